"""Figures as files."""

import math
import pathlib

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def save_figure(figure: Figure, file: pathlib.Path, *, dpi: float) -> None:
    """Write a figure as PNG and SVG, both of one layout.

    Args:
      figure: is changed: its layout is fixed.
      file: path that ends in .png; that of the other ends in .svg.
      dpi: of the PNG.
    """
    for ax in figure.axes:
        _show_nothing(ax)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, saved twice
    figure.savefig(file, dpi=dpi)
    figure.savefig(file.with_suffix(".svg"))


def _show_nothing(ax: Axes) -> None:
    """Make axes linear that nothing can be shown on: logarithmic ones of no positive number have no ticks."""
    for axis, low in ((ax.xaxis, ax.get_xlim()[0]), (ax.yaxis, ax.get_ylim()[0])):
        if axis.get_scale() == "log" and not (low > 0 or math.isfinite(axis.get_minpos())):
            ax.set(**{f"{axis.axis_name}scale": "linear"})
