"""Colors of what became of runs: blue, and dark, where they trained; yellow, and bright, where they diverged.

Whoever sees no colors sees bright and dark. Within each kind runs are shaded by rank, so that all shades are used.
"""

import itertools

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dlcore.plots.zoomable import LogAxis, zoomable_map

SHADES = 128  # of each kind
MOST_DRAWN = 512  # cells along each side of a figure, which has no more pixels
LABELS = ["log10 of the first layer's learning rate", "log10 of the second layer's learning rate"]  # of y and x
TRAINED = ("#3D9BD9", "#0B2545")  # from the first that trained to the last
DIVERGED = ("#FFF7DC", "#E69F00")  # from the first that diverged to the last


def _ramp(colors: tuple[str, str]) -> np.ndarray:
    shades = LinearSegmentedColormap.from_list("", colors)(np.linspace(0, 1, SHADES))[:, :3]
    return np.round(255 * shades).astype(np.uint8)


PALETTE = np.concatenate([_ramp(TRAINED), _ramp(DIVERGED)])  # [2 x SHADES, 3], red, green, blue


def shades(trained: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Positions in the palette, of the same shape as Booleans and of how many steps it took, as `Fate` has them."""
    trained, steps = np.asarray(trained, bool), np.nan_to_num(np.asarray(steps, float))
    found = np.zeros(trained.shape, np.uint8)
    for kind, first in ((trained, 0), (~trained, SHADES)):
        values = steps[kind]
        if len(values):
            # The largest number that has each shade, by rank.
            last = -(-np.arange(1, SHADES) * len(values) // SHADES) - 1
            bounds = np.partition(values, np.unique(last))[last]
            found[kind] = first + np.searchsorted(bounds, values, side="left")
    return found


def draw_fates(ax: Axes, x: np.ndarray, y: np.ndarray, trained: np.ndarray, steps: np.ndarray | None = None) -> None:
    """Draw what became of runs over two coordinates.

    Args:
      x, y: of the columns [width] and of the rows [height], at equal distances, or at equal ratios on logarithmic axes.
      trained: Booleans [height, width]. steps: as `Fate` has them; None: all of a kind are colored alike.
    """
    found = shades(trained, np.zeros(np.shape(trained)) if steps is None else steps)
    ax.pcolormesh(x, y, PALETTE[found + SHADES // 2 * (steps is None)], rasterized=True, shading="nearest")


def add_legend(figure: Figure) -> None:
    """What the colors say, above the axes."""
    handles = [Patch(facecolor=PALETTE[SHADES * kind + SHADES // 2] / 255, edgecolor="black") for kind in (0, 1)]
    figure.legend(handles, ["trains", "diverges"], loc="outside upper center", ncols=2, frameon=False)


def map_figure(runs: xr.Dataset) -> Figure:
    """What became of runs over two learning rates.

    Args:
      runs: trained and steps, dims (first_rate, second_rate), rates at equal ratios. Of large maps it shows a part of
        the rows and columns, at equal distances.
    """
    runs = runs.isel({name: slice(None, None, max(1, length // MOST_DRAWN)) for name, length in runs.sizes.items()})
    figure = Figure(figsize=(6, 6.4), layout="constrained")
    ax = figure.subplots()
    draw_fates(ax, runs.second_rate.values, runs.first_rate.values, runs.trained.values > 0, runs.steps.values)
    ax.set(xscale="log", yscale="log", aspect="equal")
    ax.set(xlabel="learning rate of the second layer", ylabel="learning rate of the first layer")
    add_legend(figure)
    return figure


def meanings(positions: np.ndarray, steps: np.ndarray) -> list[str]:
    """What each position in the palette says of the runs that have it, in words."""
    positions, steps = positions.ravel(), np.asarray(steps, float).ravel()
    order = np.argsort(positions, kind="stable")
    bounds = np.searchsorted(positions[order], np.arange(2 * SHADES + 1))
    texts = []
    for position, (begin, end) in enumerate(itertools.pairwise(bounds)):
        typical = f"{np.median(steps[order[begin:end]]):.3g}" if end > begin else "?"
        kind = "trains; its losses add up to" if position < SHADES else "diverges; decided after about"
        texts.append(f"{kind} {typical} {'times the first' if position < SHADES else 'steps'}")
    return texts


def map_page(runs: xr.Dataset, title: str) -> str:
    """A page to look closely at what `map_figure` shows; see `zoomable_map`."""
    trained, steps = runs.trained.values > 0, runs.steps.values
    rates = {name: runs[name].values for name in ("first_rate", "second_rate")}
    y, x = (
        LogAxis(f"{name.split('_')[0]} layer's learning rate", float(values[0]), float(values[-1]))
        for name, values in rates.items()
    )
    legend = [
        (0, "trains at once"),
        (SHADES - 1, "trains late"),
        (SHADES, "diverges at once"),
        (2 * SHADES - 1, "diverges late"),
    ]
    found = shades(trained, steps)
    return zoomable_map(found, PALETTE, meanings(found, steps), legend, title=title, x=x, y=y)
