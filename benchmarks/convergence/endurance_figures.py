"""The figure of claim (e)."""

from collections.abc import Mapping
from typing import Any

import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.convergence.parts import COLORS, HUES, Picture

LOWEST_DRAWN = 1e-13
# Of schedules.
STYLES = {
    "constant": (HUES[0], "constant rate"),
    "constant, a quarter": (HUES[1], "a quarter of that rate"),
    "decaying": (COLORS[1], "rate as 1/t"),
}
DASHES: dict[str, Any] = {"with replacement": "-", "reshuffled": "--"}


def gaps(measured: Mapping[str, xr.Dataset], lowest: float) -> Picture:
    """Gaps against epochs: double logarithmic for single samples, semilogarithmic for full batch, down to `lowest`."""
    figure = Figure(figsize=(5.2 * len(measured), 7.8), layout="constrained")
    axes = figure.subplots(2, len(measured), squeeze=False)
    for (ax, straight), data in zip(axes.T, measured.values(), strict=True):
        _draw_powers(ax, data)
        falls = data.full.where(data.full > LOWEST_DRAWN)
        straight.plot(falls.epoch, falls, color=COLORS["full"])
        straight.axhline(lowest, color="0.6", linewidth=0.8, linestyle=":")
        straight.set(yscale="log", xlabel="epochs", ylabel="gap of full batch")
    figure.legend(handles=_handles(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    seeds = max(data.sizes["seed"] for data in measured.values())
    caption = (
        "Claim (e). Gap of the train loss, as a share of the initial one. Above: against epochs, in which all "
        f"methods see equally many examples; lines: median over {seeds} seeds, bands: the middle half of them. "
        "Dotted: powers of the epochs T, next to the runs at a rate as 1/t. Reshuffled, they fall as 1/T^3 until T "
        "is about the number of examples, then as 1/T^2 (Safran and Shamir, COLT 2020). Below: full batch alone, on "
        f"a linear axis of epochs, on which a constant factor per epoch is a straight line. Dotted: {lowest:g}, "
        f"which it has to fall below; curves are drawn down to {LOWEST_DRAWN:g}."
    )
    return Picture("endurance", caption, figure, ("e",))


def _handles() -> list[Line2D]:
    single = [
        Line2D([], [], color=color, linestyle=line, label=f"{name}, {sampling}")
        for color, name in STYLES.values()
        for sampling, line in DASHES.items()
    ]
    return [*single, Line2D([], [], color=COLORS["full"], label="full batch")]


def _draw_powers(ax, data: xr.Dataset) -> None:
    single = data.single.sel(epoch=data.epoch > 0)
    for sampling, line in DASHES.items():
        for schedule, (color, _) in STYLES.items():
            gap = single.sel(schedule=schedule, sampling=sampling)
            middle = gap.median("seed")
            ax.plot(gap.epoch, middle, color=color, linestyle=line, linewidth=1)
            ax.fill_between(gap.epoch, *gap.quantile([0.25, 0.75], "seed").values, color=color, alpha=0.15, linewidth=0)
            if schedule == "decaying":
                for power in (-1,) if sampling == "with replacement" else (-2, -3):
                    _guide(ax, middle, power)
    full = data.full.sel(epoch=data.epoch > 0)
    full = full.where(full > LOWEST_DRAWN)
    ax.plot(full.epoch, full, color=COLORS["full"])
    ax.set(xscale="log", yscale="log", title=data.attrs["title"], xlabel="epochs T", ylabel="gap")


def _guide(ax, middle: xr.DataArray, power: int) -> None:
    """A line of that slope below the end of the curve; its name stands where it begins."""
    times = middle.epoch.values[middle.epoch.values >= middle.epoch.values[-1] / 10]
    line = (0.2 if power == -1 else 0.05) * float(middle[-1]) * (times / times[-1]) ** power
    ax.plot(times, line, color="0.35", linestyle=":", linewidth=1.2, zorder=3)
    name = "1/T" if power == -1 else f"1/T$^{-power}$"
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.5}
    ax.annotate(
        name,
        (times[0], line[0]),
        xytext=(-3, 0),
        textcoords="offset points",
        fontsize=8,
        ha="right",
        va="center",
        bbox=box,
    )
