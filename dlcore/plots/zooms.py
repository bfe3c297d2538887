"""Figures of borders: through windows that follow them, and how many boxes meet them."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dlcore.plots.fates import add_legend, draw_fates
from dlcore.plots.style import BLACK, COLORS, MARKERS

LINES = ("-", "--", ":", "-.")


def windows_figure(found: Mapping[str, xr.Dataset], labels: Sequence[str]) -> Figure:
    """Windows of the first seed, see `dlcore.evidence.zoom_into_border`: a row for each name.

    Args:
      found: name to windows, with a dimension seed. labels: of y and x, with their units.
    """
    zooms = next(iter(found.values())).zoom.values
    figure = Figure(figsize=(3.1 * len(zooms), 3.1 * len(found) + 0.4), layout="constrained")
    panels = figure.subplots(len(found), len(zooms), squeeze=False)
    for (name, runs), row in zip(found.items(), panels, strict=True):
        data = runs.isel(seed=0)
        for position, ax in enumerate(row):
            _draw_window(ax, data.isel(zoom=position))
            ax.set(title=f"{name}, zoom {zooms[position]:g}")
            if position + 1 < len(zooms):
                _outline(ax, data.isel(zoom=position + 1))
    figure.supylabel(labels[0], fontsize="medium")
    figure.supxlabel(labels[1], fontsize="medium")
    add_legend(figure)
    return figure


def _draw_window(ax: Axes, window: xr.Dataset) -> None:
    if not np.isfinite([*window.low.values, window.width]).all():
        return
    y, x = (np.linspace(low, low + float(window.width), window.sizes["x"]) for low in window.low.values)
    draw_fates(ax, x, y, window.inside.values)
    ax.set_aspect("equal")
    ax.locator_params(nbins=3)
    ax.ticklabel_format(useOffset=False)


def _outline(ax: Axes, window: xr.Dataset) -> None:
    """Where the next window lies."""
    low, width = window.low.values[::-1], float(window.width)
    for color, thickness in (("white", 3.0), (BLACK, 1.2)):
        ax.add_patch(Rectangle(low, width, width, fill=False, edgecolor=color, linewidth=thickness))


def box_counts_figure(found: Mapping[str, xr.Dataset]) -> Figure:
    """How many boxes of each size meet a border, mean over the dimension seed: a line for each name and zoom.

    Args:
      found: name to `boxes`, dims (seed, zoom, side).
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    ax = figure.subplots()
    for (name, data), line, marker in zip(found.items(), LINES, MARKERS, strict=False):
        for zoom, color in zip(data.zoom.values, COLORS[1:], strict=False):
            boxes = data.boxes.sel(zoom=zoom).mean("seed")
            ax.plot(data.side, boxes, line, marker=marker, color=color, label=f"{name}, zoom {zoom:g}")
    ax.set(xscale="log", yscale="log", xlabel="side of a box [cells]", ylabel="boxes that meet the border")
    side = next(iter(found.values())).side.values
    ax.set_xticks(side, [f"{each:g}" for each in side], minor=False)
    ax.set_xticks([], minor=True)
    figure.legend(loc="outside right upper", frameon=False)
    return figure
