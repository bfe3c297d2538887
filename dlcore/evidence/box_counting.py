"""How rough a border is: its box-counting dimension, 1 for smooth curves, up to 2 for what fills the plane.

Reference: Falconer, Fractal geometry, 2nd edition, Wiley 2003, chapter 3.
"""

from typing import NamedTuple

import numpy as np

from dlcore.core.arguments import arguments, array, integer
from dlcore.core.errors import DataError, described
from dlcore.evidence.intervals import Interval, undetermined
from dlcore.evidence.slopes import TOLERANCE, exact_slope

FEWEST_SIZES = 3  # of boxes, for a slope that could be no line
CELLS = array("b", ndim=2, text="Booleans [height, width]")
BOXES = integer(1, meaning="boxes along the shorter side of the largest size that is counted")


class BoxCounts(NamedTuple):
    """How many boxes of each size meet a border.

    sizes: lengths of the boxes' sides in cells, [k], powers of two. counts: of those that meet it, [k].

    Example:
      >>> counts = dl.evidence.box_counts(np.eye(8, dtype=bool), min_boxes=2)  # of a line
      >>> counts.sizes, counts.counts, counts.local_slopes
      (array([1, 2, 4]), array([8, 4, 2]), array([1., 1.]))
    """

    sizes: np.ndarray
    counts: np.ndarray

    @property
    def local_slopes(self) -> np.ndarray:
        """Dimension between each size and the next one, [k - 1]; NaN where no box meets the border."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return -np.diff(np.log(self.counts)) / np.diff(np.log(self.sizes))


@arguments(inside=CELLS)
def border_cells(inside: np.ndarray) -> np.ndarray:
    """Cells of a grid at whose four corners not all points are of one kind.

    Args:
      inside: of each point, whether it is of the one kind, [height, width].

    Returns:
      Booleans [height - 1, width - 1].

    Example:
      >>> dl.evidence.border_cells(np.array([[True, True, False], [True, True, False]]))
      array([[False,  True]])
    """
    inside = np.asarray(inside)
    corners = np.stack([inside[1:, 1:], inside[1:, :-1], inside[:-1, 1:], inside[:-1, :-1]])
    return np.asarray(corners.any(axis=0) & ~corners.all(axis=0))


@arguments(border=CELLS, min_boxes=BOXES)
def box_counts(border: np.ndarray, *, min_boxes: int = 4) -> BoxCounts:
    """Count the boxes of a grid that meet a border, for boxes of 1, 2, 4, ... cells.

    Args:
      border: of each cell, whether it belongs to the border, [height, width].
      min_boxes: along the shorter side, of the largest size. Where few boxes cover all, nearly every one is met.

    Returns:
      Boxes at the edges count too where they lie partly outside.

    Raises:
      DataError: not even boxes of one cell are so many.

    Example:
      >>> dl.evidence.box_counts(np.eye(8, dtype=bool), min_boxes=2)
      BoxCounts(sizes=array([1, 2, 4]), counts=array([8, 4, 2]))
    """
    border = np.asarray(border)
    if min(border.shape) < min_boxes:
        raise DataError(
            f"box_counts: border is {described(border)}; expects {min_boxes} cells or more along each side, for "
            f"min_boxes={min_boxes}."
        )
    sizes = 2 ** np.arange((min(border.shape) // min_boxes).bit_length())
    return BoxCounts(sizes, np.array([_met(border, int(size)) for size in sizes]))


@arguments(border=CELLS, min_boxes=BOXES, tolerance=TOLERANCE)
def box_counting_dimension(border: np.ndarray, *, min_boxes: int = 4, tolerance: float = 0.15) -> Interval:
    """The exponent d in: boxes that meet a border = a x (length of a box)^-d, the slope of a line of logarithms.

    Of several borders that were measured independently, `mean_interval` of their estimates has the error.

    Args:
      border: of each cell, whether it belongs to the border, [height, width].
      min_boxes: as in `box_counts`: with 4, boxes go from one cell to a quarter of the shorter side at most.
      tolerance: how far the points may be from a line, as in `exact_slope`.

    Returns:
      exact, since a picture has no error; undetermined where it has fewer than three sizes of boxes, no border at all,
      or points that make no line.

    Raises:
      DataError: not even boxes of one cell are so many.

    Example:
      >>> print(dl.evidence.box_counting_dimension(np.eye(64, dtype=bool)))
      exact: 1
      >>> print(dl.evidence.box_counting_dimension(np.eye(8, dtype=bool)))
      undetermined: boxes of 2 sizes, a dimension needs 3 or more
    """
    sizes, counts = box_counts(border, min_boxes=min_boxes)
    if len(sizes) < FEWEST_SIZES:
        noun = "1 size" if len(sizes) == 1 else f"{len(sizes)} sizes"
        return undetermined(f"boxes of {noun}, a dimension needs {FEWEST_SIZES} or more", 1)
    if not counts[0]:
        return undetermined("there is no border", 1)
    return exact_slope(-np.log(sizes), np.log(counts), tolerance=tolerance)


@arguments(border=CELLS, size=integer(1, meaning="cells along each side"))
def densest_window(border: np.ndarray, size: int) -> tuple[int, int]:
    """Where a border is roughest: row and column of the first cell of the square window that holds most of it.

    Of several that hold as much, one in the middle.

    Args:
      border: of each cell, whether it belongs to the border, [height, width].
      size: of the window.

    Raises:
      DataError: a window larger than the picture.

    Example:
      >>> dl.evidence.densest_window(np.array([[False, False, True], [False, True, True]]), 2)
      (0, 1)
    """
    border = np.asarray(border)
    if size > min(border.shape):
        raise DataError(
            f"densest_window: size is {size}; expects at most {min(border.shape)}, border is {described(border)}."
        )
    sums = np.pad(border, ((1, 0), (1, 0))).cumsum(axis=0, dtype=int).cumsum(axis=1)
    held = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    best = np.argwhere(held == held.max())
    row, column = best[len(best) // 2]
    return int(row), int(column)


def _met(border: np.ndarray, size: int) -> int:
    """Boxes of that size that meet the border."""
    height, width = border.shape
    padded = np.pad(border, ((0, -height % size), (0, -width % size)))
    boxes = padded.reshape(padded.shape[0] // size, size, padded.shape[1] // size, size)
    return int(boxes.any(axis=(1, 3)).sum())
