"""Average precision of boxes found in images; in NumPy, on the host."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import RefusedError, arguments, array, instance, number, one_of, sequence
from dlcore.core.errors import DataError
from dlcore.metrics.boxes import BOX_FORMAT, Boxes, BoxFormat, corners_of, overlaps
from dlcore.metrics.numbers import numbers
from dlcore.metrics.undefined import refuse_known

NAME = "detection_average_precision"
NUMBERS = numbers("numbers")


@arguments(
    found=instance(Boxes, example="dl.metrics.Boxes(boxes, images, classes, scores)"),
    true=instance(Boxes, example="dl.metrics.Boxes(boxes, images, classes)"),
    iou_thresholds=sequence(number(0, 1, open_low=True), 1, text="numbers in (0, 1]"),
    interpolation=one_of("all_points", "coco"),
    box_format=BOX_FORMAT,
)
def detection_average_precision(
    found: Boxes,
    true: Boxes,
    *,
    iou_thresholds: Sequence[float] = (0.5,),
    interpolation: Literal["all_points", "coco"] = "all_points",
    box_format: BoxFormat = "corners",
) -> float:
    """Mean over classes and IoU thresholds (mAP) of the average precision of found boxes; not to be compiled.

    From the highest score down, a found box is right if its best overlap with a true box of its image and class reaches
    the threshold. "all_points" (PASCAL VOC since 2010) gives each true box to its first claimant: another box that
    overlaps it most is wrong. "coco" matches to the best true box that is still free, of equals the last, and takes the
    mean of precisions at 101 recalls; its usual thresholds are 0.5, 0.55, ..., 0.95. Both use the highest precision at
    that recall or beyond. Of equal scores, the box in the image of the lower number comes first, then the one that is
    given first. Classes without a true box do not count. COCO's limit of 100 boxes per image and its crowd regions are
    left out.

    Args:
      box_format: of found and true boxes, as in `box_iou`.

    Raises:
      DataError: no true box, arrays that do not fit each other, boxes or scores that are NaN.
      ArgumentError: a threshold outside (0, 1], an unknown interpolation.
    Reference: Everingham et al., The PASCAL visual object classes challenge, IJCV 2010; Lin et al., Microsoft COCO,
      2014.

    Example:
      >>> true = dl.metrics.Boxes([[0, 0, 4, 4]], [0], [0])
      >>> dl.metrics.detection_average_precision(true._replace(scores=[0.9]), true)
      1.0
    """
    if found.scores is None:
        raise DataError(f"{NAME}: the found boxes have no scores; expects Boxes(..., scores=[N]).")
    found, true = _checked("found", found, box_format), _checked("true", true, box_format)
    if not len(true.boxes):
        raise DataError(f"{NAME}: there is no true box; expects at least one.")
    order = np.lexsort((found.images, -found.scores))
    found = Boxes(*(part[order] for part in found))
    values = []
    for label in np.unique(true.classes):
        ranked = Boxes(*(part[found.classes == label] for part in found))
        wanted = Boxes(*(part[true.classes == label] for part in true))
        for right in _right(ranked, wanted, iou_thresholds, interpolation == "coco"):
            values.append(_interpolated(right, len(wanted.boxes), interpolation))
    return float(np.mean(values))


def _right(ranked: Boxes, true: Boxes, thresholds: Sequence[float], coco: bool) -> np.ndarray:
    """Whether each found box, best score first, is right at each threshold: [thresholds, found]."""
    right = np.zeros((len(thresholds), len(ranked.boxes)), bool)
    for image in np.intersect1d(ranked.images, true.images):
        rows = np.flatnonzero(ranked.images == image)
        pairs = overlaps(ranked.boxes[rows][:, None], true.boxes[true.images == image][None])
        for i, threshold in enumerate(thresholds):
            right[i, rows] = _matched(pairs, threshold, coco)
    return right


def _matched(pairs: np.ndarray, threshold: float, coco: bool) -> np.ndarray:
    """Whether each found box of an image, best score first, is right; pairs: overlaps [found, true]."""
    free, right = np.ones(pairs.shape[1], bool), np.zeros(len(pairs), bool)
    least = min(threshold, 1 - 1e-10) if coco else threshold  # as pycocotools: 1 is reached in spite of rounding
    for i, row in enumerate(pairs):
        best = len(row) - 1 - np.argmax(np.where(free, row, -1.0)[::-1]) if coco else np.argmax(row)
        right[i] = row[best] >= least and free[best]
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


def _checked(name: str, boxes: Boxes, box_format: str) -> Boxes:
    """As NumPy arrays, boxes as corners; or `DataError`."""
    scores = np.zeros(np.shape(boxes.images)) if boxes.scores is None else boxes.scores
    parts = boxes._replace(scores=scores)
    arrays = Boxes(*(_known(name, field, part) for field, part in zip(Boxes._fields, parts, strict=True)))
    num_boxes = arrays.images.size
    if arrays.boxes.shape != (num_boxes, 4) or any(part.shape != (num_boxes,) for part in arrays[1:]):
        raise DataError(
            f"{NAME}: the {name} boxes are {[list(part.shape) for part in arrays]}; expects boxes [N, 4] and images, "
            "classes, scores [N]."
        )
    what = f"scores of the {name} boxes hold"
    refuse_known(
        NAME, what, arrays.scores, np.isnan, "numbers. Drop such boxes, or see whether the model has diverged."
    )
    return arrays._replace(boxes=corners_of(f"{NAME}: {name}", arrays.boxes, box_format))


def _known(name: str, field: str, part: Any) -> np.ndarray:
    """The values of a field as a NumPy array of numbers; an empty one of any dtype."""
    is_label = field in ("images", "classes")
    try:
        if isinstance(part, Tracer):
            raise RefusedError("They are traced: call it outside of programs.")
        found = np.asarray(array("biuf").accept(part))
    except RefusedError as error:
        raise DataError(f"{NAME}: {field} of the {name} boxes are no array of numbers. {error}") from None
    if not found.size:
        return np.zeros((0, 4)) if field == "boxes" else np.zeros(0, int)
    if is_label and found.dtype.kind not in "iu":
        raise DataError(f"{NAME}: {field} of the {name} boxes are {found.dtype}; expects integers. Number them from 0.")
    return found.astype(np.int64) if is_label else NUMBERS.check(f"{NAME}: {field} of the {name} boxes", found)
