"""Windows that follow a border into its roughest part, each a part of the one before."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, function, integer, number, result_of, sequence
from dlcore.core.errors import ArgumentError, shown
from dlcore.evidence.box_counting import border_cells, box_counting_dimension, box_counts, densest_window

FEWEST_POINTS = 5  # along a side: boxes of at least four cells
Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]


@arguments(
    inside=function,
    corner=sequence(number(), 2, 2, text="numbers, of y and of x"),
    width=number(0, open_low=True),
    size=integer(FEWEST_POINTS, meaning="points along each side of a window"),
    zooms=sequence(number(1), 1, text="numbers from 1 on, increasing"),
)
def zoom_into_border(
    inside: Inside, corner: Sequence[float], width: float, *, size: int, zooms: Sequence[float]
) -> xr.Dataset:
    """Look at a border through smaller and smaller windows.

    The first window is the first zoom's; each later one lies in the one before, where a window of its width holds most
    of the border: see `densest_window`.

    Args:
      inside: `inside(y, x)`: of each point of a grid, of coordinates [size] and [size], whether it is of the one kind,
        Booleans [size, size].
      corner: smallest y and x of the square that is zoomed into, in the units of `inside`.
      width: of the square.
      size: points along each side of a window.
      zooms: how many times a window is narrower than the square.

    Returns:
      inside: dims (zoom, y, x). low: smallest y and x of each window, dims (zoom, axis). width: of each, dims (zoom).
      boxes: how many of each size
      meet the border, dims (zoom, side), as float, with their sides in cells as coordinate.
      dimension: of the border, see `box_counting_dimension`, NaN where undetermined, dims (zoom).

    Raises:
      ArgumentError: zooms that do not increase; what `inside` gives is no picture of that size.

    Example:
      >>> disk = lambda y, x: y[:, None] ** 2 + x**2 < 1
      >>> windows = dl.evidence.zoom_into_border(disk, (-2, -2), 4.0, size=33, zooms=(1, 8))
      >>> windows.boxes.values
      array([[60., 28., 12.,  4.],
             [59., 29., 14.,  7.]])
    """
    if not all(a < b for a, b in itertools.pairwise(zooms)):
        raise ArgumentError(
            f"zoom_into_border: zooms are {shown(zooms)}; expects each to be larger than the one before."
        )
    low, widths, windows = np.asarray(corner, float), [width / zoom for zoom in zooms], []
    for here, following in zip(widths, [*widths[1:], None], strict=True):
        y, x = (np.linspace(begin, begin + here, size) for begin in low)
        found = result_of("zoom_into_border: inside", inside, y, x)
        if np.shape(found) != (size, size) or np.asarray(found).dtype != bool:
            raise ArgumentError(
                f"zoom_into_border: inside gives {shown(found)} for {size} and {size} coordinates; expects Booleans "
                f"[{size}, {size}]."
            )
        border = border_cells(found)
        boxes = xr.Variable("side", box_counts(border).counts.astype(float))
        numbers = {"width": here, "dimension": box_counting_dimension(border).estimate}
        windows.append(xr.Dataset({"inside": (("y", "x"), found), "low": ("axis", low), "boxes": boxes, **numbers}))
        if following is not None:
            cells = max(1, round(following / here * (size - 1)))
            low = low + np.array(densest_window(border, cells)) * here / (size - 1)
    sides = 2 ** np.arange(windows[0].sizes["side"])
    return xr.concat(windows, xr.Variable("zoom", list(zooms))).assign_coords(side=sides, axis=["y", "x"])
