"""Boxes, and how much they overlap."""

from typing import Any, Literal, NamedTuple

import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments, one_of
from dlcore.core.errors import DataError
from dlcore.losses.checks import check_boxes
from dlcore.metrics.numbers import alike, namespace, numbers, quiet
from dlcore.metrics.undefined import refuse_known

BoxFormat = Literal["corners", "center"]
BOXES = numbers("boxes [..., 4]: top, left, bottom, right, or center and size")
BOX_FORMAT = one_of("corners", "center")


class Boxes(NamedTuple):
    """Boxes found or true, in all images together.

    boxes: [N, 4]. images, classes: integers [N], where each box is and of what. scores: [N], of found ones.

    Example:
      >>> boxes = np.array([[0.0, 0, 2, 2], [1.0, 1, 3, 3]])
      >>> true = dl.metrics.Boxes(boxes, images=np.array([0, 1]), classes=np.array([0, 0]))
      >>> found = true._replace(scores=np.array([0.9, 0.8]))
      >>> float(dl.metrics.detection_average_precision(found, true))
      1.0
    """

    boxes: Any
    images: Any
    classes: Any
    scores: Any = None


@arguments(boxes=BOXES, others=BOXES, box_format=BOX_FORMAT)
def box_iou(boxes: Any, others: Any, *, box_format: BoxFormat = "corners") -> Any:
    """Intersection over union: [..., 4], [..., 4] -> [...]; 0 for boxes without area.

    Of all pairs of boxes [N, 4] and others [M, 4]: `box_iou(boxes[:, None], others[None])`, [N, M]. NumPy arrays give
    a NumPy array: no program is compiled for every number of boxes.

    Args:
      box_format: "corners" are (top, left, bottom, right), "center" is (y, x, height, width). The axes may as well be
        swapped in all boxes, (left, top, right, bottom) and (x, y, width, height).

    Raises:
      DataError: shapes that do not broadcast; known boxes with corners out of order, negative sizes, or numbers that
        are not finite, of which traced ones give NaN.

    Example:
      >>> float(dl.metrics.box_iou([0.0, 0, 2, 2], [0.0, 0, 2, 1]))
      0.5
      >>> float(dl.metrics.box_iou([1.0, 1, 2, 2], [1.0, 0.5, 2, 1], box_format="center"))
      0.5
    """
    boxes, others = (corners_of("box_iou", given, box_format) for given in alike(boxes, others))
    try:
        np.broadcast_shapes(boxes.shape, others.shape)
    except ValueError:
        raise DataError(
            f"box_iou: boxes are {list(boxes.shape)}, others {list(others.shape)}; expects shapes that broadcast. Use "
            "boxes[:, None] and others[None] for all pairs."
        ) from None
    return overlaps(boxes, others)


def corners_of(name: str, boxes: Any, box_format: str) -> Any:
    """Boxes [..., 4] of that format as (top, left, bottom, right); known ones that are none raise `DataError`."""
    if boxes.ndim < 1 or boxes.shape[-1] != 4:
        raise DataError(f"{name}: boxes are {list(boxes.shape)}; expects [..., 4]: top, left, bottom, right.")
    fix = "finite numbers. Drop such boxes."
    refuse_known(name, "boxes hold", boxes, lambda known: ~np.isfinite(known), fix)
    if box_format == "center":
        if not isinstance(boxes, Tracer):
            fix = "heights and widths of 0 or more. Pass box_format='corners' if these are corners."
            refuse_known(name, "sizes of boxes hold", boxes[..., 2:], lambda known: known < 0, fix)
        centers, halves = boxes[..., :2], boxes[..., 2:] / 2
        return namespace(boxes).concatenate([centers - halves, centers + halves], axis=-1)
    check_boxes(name, boxes)
    return boxes


@quiet
def overlaps(boxes: Any, others: Any) -> Any:
    """Intersection over union of corners, unchecked."""
    xp = namespace(boxes, others)
    heights_and_widths = boxes[..., 2:] - boxes[..., :2], others[..., 2:] - others[..., :2]
    common = xp.minimum(boxes[..., 2:], others[..., 2:]) - xp.maximum(boxes[..., :2], others[..., :2])
    # Areas in units, powers of two, of the longer sides: they neither overflow nor vanish, and round as they would.
    _, unit = xp.frexp(xp.maximum(*heights_and_widths))
    first, second, both = (
        xp.prod(xp.ldexp(xp.maximum(sides, 0), -unit), axis=-1) for sides in (*heights_and_widths, common)
    )
    union = xp.maximum(first, second) + (xp.minimum(first, second) - both)
    empty = union <= 0  # not so where the corners are NaN
    shares = xp.where(empty, 0, both / xp.where(empty, 1, union))
    finite = xp.isfinite(first + second)
    return xp.where(finite, shares, xp.nan)[()]
