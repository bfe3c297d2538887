"""Figures of claim (g)."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from benchmarks.convergence.parts import COLORS, HUES, MARKERS, Picture, label

SHAPES = ("v", "P", "<", "h")
NUM_COLUMNS = 4
TIMES = (250, 500, 1000, 2000, 4000)  # ticks


def dwell_times(lines: Sequence[tuple[str, np.ndarray, xr.DataArray, np.ndarray]]) -> Picture:
    """Mean dwell times against 1 / rate.

    Args:
      lines: name, rates [k], times (dims temperature, seed), barrier over temperature [k] of each pair of wells.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    for i, (name, rates, times, barriers) in enumerate(lines):
        color, shape = HUES[i % len(HUES)], SHAPES[i % len(SHAPES)]
        known = times.where(np.isfinite(times) & (times > 0))
        logs = known.copy(data=np.log(known.values))
        mean, spread = (found.values for found in (logs.mean(dim="seed"), logs.std(dim="seed")))
        x = 1 / rates
        ax.fill_between(x, np.exp(mean - spread), np.exp(mean + spread), color=color, alpha=0.2, linewidth=0)
        ax.plot(x, np.exp(mean), shape, color=color, markersize=6, label=name)
        ax.plot(x, np.exp(np.nanmean(mean - barriers) + barriers), color=color, linewidth=1.2)
    ax.plot([], [], color="0.4", linewidth=1.2, label="slope of Kramers' law")
    ax.set(yscale="log", xlabel="1 / learning rate", ylabel="mean dwell time in the shallow well (steps x rate)")
    ax.legend(frameon=False, fontsize=9)
    ax.minorticks_off()
    ax.set_yticks(TIMES, [str(time) for time in TIMES])
    caption = (
        "Claim (g). How long single samples stay in the shallow one of two wells (a loss of one parameter), by "
        "height of the barrier and standard deviation of one example's gradient. Markers: geometric mean over "
        f"{lines[0][2].sizes['seed'] if lines else 0} seeds; bands: one standard deviation between seeds. Lines have "
        "the slope of Kramers' law, 2 x barrier / noise variance, and a fitted height."
    )
    return Picture("escape_dwell_times", caption, figure, ("g",))


def shares(groups: Sequence[xr.Dataset]) -> Picture:
    """Share of the judged runs that leave against the rate, a panel for each landscape."""
    panels = [(group, str(name)) for group in groups for name in group.landscape.values]
    num_rows = math.ceil((len(panels) + 1) / NUM_COLUMNS)
    figure = Figure(figsize=(12, 2.9 * num_rows + 0.2), layout="constrained")
    axes = figure.subplots(num_rows, NUM_COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, (group, name) in zip(axes, panels, strict=False):
        _panel(ax, group, name)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for i, ax in enumerate(axes[: len(panels)]):
        ax.tick_params(labelbottom=True)
        if i + NUM_COLUMNS >= len(panels):
            ax.set_xlabel("rate / full batch's stability limit")
        if i % NUM_COLUMNS == 0:
            ax.set_ylabel("share of runs that leave")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[len(panels)].legend(handles, labels, frameon=False, loc="center")
    caption = (
        "Claim (g). Share of runs that start in a bad minimum and are in the better one after equally many "
        f"examples, against the learning rate; {_num_runs(groups)} runs at each rate. Above: losses of one parameter "
        "with two wells. Below: tanh networks with one hidden unit, named by the targets that they learn; the "
        "minima that steps and outlier start in are shallow, that of pulse is not. To the right of the gray line "
        "full batch is unstable in the bad minimum."
    )
    return Picture("escape_shares", caption, figure, ("g",))


def _num_runs(groups: Sequence[xr.Dataset]) -> str:
    counts = {int(group.judged.sum()) * int(group.attrs["runs"]) for group in groups}
    return " or ".join(map(str, sorted(counts)))


def _panel(ax, group: xr.Dataset, name: str) -> None:
    counts = group.better.sel(landscape=name).isel(seed=np.flatnonzero(group.judged.values))
    found = counts.mean("seed") / group.attrs["runs"]
    ax.axvline(1.0, color="0.6", linewidth=1)
    for size in group.batch_size.values:
        key = size if size == "full" else int(size)
        ax.plot(
            group.fraction,
            found.sel(batch_size=size),
            color=COLORS[key],
            marker=MARKERS[key],
            markersize=5,
            linewidth=1.2,
            label=label(key),
        )
    ax.set(xscale="log", ylim=(-0.05, 1.05))
    ax.set_title(f"{'network: ' if 'barrier' in group else ''}{name}", fontsize=9)
    ax.minorticks_off()
