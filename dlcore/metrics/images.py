"""Metrics of images, and of boxes found in them. Boxes are (top, left, bottom, right)."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import RefusedError, arguments, array, as_array, instance, number, one_of, sequence
from dlcore.core.errors import DataError
from dlcore.losses.checks import OUTPUTS, check_boxes, check_same_shape

BOXES = array(text="boxes [..., 4]: top, left, bottom, right")


@arguments(predictions=OUTPUTS, targets=OUTPUTS, max_value=number(0, open_low=True))
def psnr(predictions: jax.Array, targets: jax.Array, *, max_value: float | jax.Array = 1.0) -> jax.Array:
    """Peak signal-to-noise ratio in dB, mean over images: [N, ...], [N, ...] -> []; inf if one is perfect.

    Args:
      max_value: the largest value a pixel can have.

    >>> dl.metrics.psnr(jnp.zeros((1, 4)), jnp.full((1, 4), 0.1)).round(3)
    Array(20., dtype=float32)
    """
    check_same_shape("psnr", predictions, targets)
    errors = jnp.mean(((predictions - targets) ** 2).reshape(len(targets), -1), axis=1)
    peak = max_value * 1.0  # a large integer fits no array
    return jnp.mean(10 * jnp.log10(peak * peak / errors))


@arguments(boxes=BOXES, others=BOXES)
def box_iou(boxes: Any, others: Any) -> Any:
    """Intersection over union: [..., 4], [..., 4] -> [...]; 0 for boxes without area.

    Of all pairs of boxes [N, 4] and others [M, 4]: `box_iou(boxes[:, None], others[None])`, [N, M]. NumPy arrays give
    a NumPy array: no program is compiled for every number of boxes.

    >>> float(dl.metrics.box_iou([0.0, 0, 2, 2], [0.0, 0, 2, 1]))
    0.5
    """
    xp = jnp if isinstance(boxes, jax.Array) or isinstance(others, jax.Array) else np
    for given in (boxes, others):
        check_boxes("box_iou", given)
    try:
        np.broadcast_shapes(boxes.shape, others.shape)
    except ValueError:
        raise DataError(
            f"box_iou: boxes are {list(boxes.shape)}, others {list(others.shape)}; expects shapes that broadcast. Use "
            "boxes[:, None] and others[None] for all pairs."
        ) from None

    def area(low, high):
        return xp.prod(xp.maximum(high - low, 0), axis=-1)

    overlap = area(xp.maximum(boxes[..., :2], others[..., :2]), xp.minimum(boxes[..., 2:], others[..., 2:]))
    union = area(boxes[..., :2], boxes[..., 2:]) + area(others[..., :2], others[..., 2:]) - overlap
    empty = union <= 0  # not so where the corners are NaN
    return xp.where(empty, 0, overlap / xp.where(empty, 1, union))


class Boxes(NamedTuple):
    """Boxes found or true, in all images together.

    boxes: [N, 4]. images, classes: integers [N], where each box is and of what. scores: [N], of found ones.
    """

    boxes: Any
    images: Any
    classes: Any
    scores: Any = None


@arguments(
    found=instance(Boxes, example="dl.metrics.Boxes(boxes, images, classes, scores)"),
    true=instance(Boxes, example="dl.metrics.Boxes(boxes, images, classes)"),
    iou_thresholds=sequence(number(0, 1, open_low=True), 1, text="numbers in (0, 1]"),
    interpolation=one_of("all_points", "coco"),
)
def detection_average_precision(
    found: Boxes,
    true: Boxes,
    *,
    iou_thresholds: Sequence[float] = (0.5,),
    interpolation: Literal["all_points", "coco"] = "all_points",
) -> float:
    """Mean over classes and IoU thresholds of the average precision of found boxes; in NumPy, not to be compiled.

    From the highest score down, a found box is right if its best overlap with a true box of its image and class reaches
    the threshold. "all_points" (PASCAL VOC since 2010) gives each true box to its first claimant: another box that
    overlaps it most is wrong. "coco" matches to the best true box that is still free and takes the mean of precisions
    at 101 recalls; its usual thresholds are 0.5, 0.55, ..., 0.95. Both use the highest precision at that recall or
    beyond. Classes without a true box do not count. COCO's limit of 100 boxes per image and its crowd regions are left
    out. NaN if a score is NaN.

    Raises:
      DataError: no true box, arrays that do not fit each other. ArgumentError: a threshold outside (0, 1], an unknown
        interpolation.
    Reference: Everingham et al., The PASCAL visual object classes challenge, IJCV 2010; Lin et al., Microsoft COCO,
      2014.

    Example:
      >>> true = dl.metrics.Boxes([[0, 0, 4, 4]], [0], [0])
      >>> dl.metrics.detection_average_precision(true._replace(scores=[0.9]), true)
      1.0
    """
    if found.scores is None:
        raise DataError("detection_average_precision: the found boxes have no scores; expects Boxes(..., scores=[N]).")
    found, true = _checked_boxes("found", found), _checked_boxes("true", true)
    if not len(true.boxes):
        raise DataError("detection_average_precision: there is no true box; expects at least one.")
    if np.isnan(found.scores).any():
        return math.nan
    values = []
    for label in np.unique(true.classes):
        found_rows, true_rows = found.classes == label, true.classes == label
        order = np.argsort(-found.scores[found_rows], kind="stable")
        boxes, images = found.boxes[found_rows][order], found.images[found_rows][order]
        overlaps = box_iou(boxes[:, None], true.boxes[true_rows][None])
        overlaps = np.where(images[:, None] == true.images[true_rows][None], overlaps, -1.0)
        for threshold in iou_thresholds:
            right = _matched(overlaps, threshold, interpolation == "coco")
            values.append(_interpolated(right, len(overlaps.T), interpolation))
    return float(np.mean(values))


def _matched(overlaps: np.ndarray, threshold: float, only_free: bool) -> np.ndarray:
    """Whether each found box, best score first, is right; overlaps [found, true] are negative in different images."""
    free, right = np.ones(overlaps.shape[1], bool), np.zeros(len(overlaps), bool)
    for i, row in enumerate(overlaps):
        best = np.argmax(np.where(free, row, -1.0) if only_free else row)
        right[i] = row[best] >= threshold and free[best]
        free[best] &= not right[i]
    return right


def _interpolated(right: np.ndarray, num_true: int, interpolation: str) -> float:
    """Area under the precision-recall curve of a ranking, under its envelope from the right."""
    hits = np.cumsum(right)
    precisions = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    if interpolation == "all_points":
        return float(np.sum(precisions[right]) / num_true)
    positions = np.searchsorted(hits / num_true, np.linspace(0, 1, 101), side="left")
    return float(np.mean(np.append(precisions, 0)[positions]))


def _checked_boxes(name: str, boxes: Boxes) -> Boxes:
    scores = np.zeros(np.shape(boxes.images)) if boxes.scores is None else boxes.scores
    try:
        arrays = Boxes(*(np.asarray(as_array(part)) for part in (boxes.boxes, boxes.images, boxes.classes, scores)))
    except RefusedError as error:
        raise DataError(f"detection_average_precision: the {name} boxes are no arrays. {error}") from None
    num_boxes = arrays.images.size
    if arrays.boxes.shape != (num_boxes, 4) or any(part.shape != (num_boxes,) for part in arrays[1:]):
        raise DataError(
            f"detection_average_precision: the {name} boxes are {[list(part.shape) for part in arrays]}; expects boxes "
            "[N, 4] and images, classes, scores [N]."
        )
    check_boxes(f"detection_average_precision: {name}", arrays.boxes)
    return arrays
