"""Figures of the main comparison."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.convergence.parts import COLORS, HUES, MARKERS, Picture, label
from dlcore.evidence import critical_batch_size

NUM_POINTS = 60  # of a curve, at equal distances on the logarithmic axis


def key_of(batch_size: str) -> Any:
    """The batch size as colors and markers know it."""
    return batch_size if batch_size == "full" else int(batch_size)


def name_of(batch_size: str) -> str:
    """The batch size in words."""
    return label(key_of(batch_size))


def draw(measured: Mapping[str, xr.Dataset]) -> list[Picture]:
    """Curves, costs against the batch size, and seconds."""
    return [convergence(measured), scaling(measured)] if measured else []


def convergence(measured: Mapping[str, xr.Dataset]) -> Picture:
    """Gap against epochs, at the settings tuned for the finest target."""
    figure, axes = _panels(len(measured))
    for ax, data in zip(axes, measured.values(), strict=False):
        for size in data.batch_size.values:
            _curve(ax, data, size)
        for gap in data.target.values:
            ax.axhline(gap, color="0.75", linewidth=0.8, zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="epochs", title=data.attrs["title"])
        ax.set_ylim(bottom=float(data.target[-1]) / 15)  # room for the last marker
    for ax in axes[:: _columns(len(measured))]:
        ax.set_ylabel("share of the initial gap")
    _legend(figure, len(measured), {size for data in measured.values() for size in data.batch_size.values})
    return Picture(
        "convergence",
        "Claims (b) and (h). Gap of the train loss, as a share of the initial one, against epochs, by batch size, "
        "each at the learning rate and schedule tuned for the finest target. Lines: median over "
        f"{_num_seeds(measured)} seeds; bands: from the smallest to the largest run (full batch is deterministic, "
        "but for the start of the network). Gray lines: the targets. Curves end where the median is a tenth of the "
        "finest target, or with the run. The network's gap is its loss over the initial one, since its optimum is "
        "not known.",
        figure,
        ("b", "h"),
    )


def _curve(ax: Axes, data: xr.Dataset, size: str) -> None:
    gap = data[f"gap_of_{size}"].isel(target=-1).dropna("seed", how="all")
    epochs = gap[f"examples_of_{size}"].values / data.attrs["num_examples"]
    floor = float(data.target[-1]) / 10
    if not gap.sizes["seed"]:
        return
    points = np.geomspace(epochs[1], epochs[-1], NUM_POINTS)
    rows = np.unique(np.searchsorted(epochs, points).clip(1, len(epochs) - 1))
    runs = gap.transpose("seed", ...).values[:, rows]
    low, middle, high = (np.nanquantile(runs, share, axis=0) for share in (0, 0.5, 1))
    end = int(np.argmax(middle < floor)) if (middle < floor).any() else len(rows)  # it has left the panel
    color, marker = COLORS[key_of(size)], MARKERS[key_of(size)]
    if np.isfinite(middle[:end]).any():
        rows, low, middle, high = (values[:end] for values in (rows, low, middle, high))
        ax.fill_between(epochs[rows], low, high, alpha=0.2, linewidth=0, color=color)
        ax.plot(epochs[rows], middle, color=color, marker=marker, markevery=0.15, markersize=4.5, linewidth=1.3)


def scaling(measured: Mapping[str, xr.Dataset]) -> Picture:
    """Steps to each target against the batch size."""
    figure, axes = _panels(len(measured))
    for ax, data in zip(axes, measured.values(), strict=False):
        sizes = np.array([size_in_examples(data, size) for size in data.batch_size.values], float)
        for position, gap in enumerate(data.target.values):
            steps = steps_of(data, position)
            style: dict[str, Any] = {"color": HUES[position % 3], "marker": "os^"[position % 3]}
            known = np.isfinite(steps).all(0)
            middle = np.exp(np.log(steps[:, known]).mean(0))
            low, high = steps[:, known].min(0), steps[:, known].max(0)
            bars = np.array([middle - low, high - middle]).clip(0)
            text = f"gap {gap:g}; critical size {critical_size(data, position)}"
            ax.errorbar(sizes[known], middle, bars, markersize=5, linewidth=1.2, capsize=3, label=text, **style)
        first = steps_of(data, 0)[:, 0]
        start = np.exp(np.log(first).mean())
        ax.plot(sizes, start * sizes[0] / sizes, ":", color="0.5", label="steps ~ 1 / batch size")
        ax.set(xscale="log", yscale="log", xlabel="batch size (examples)", title=data.attrs["title"])
        ax.legend(fontsize=7.5, frameon=True, framealpha=0.7, edgecolor="none", loc="best")
    for ax in axes[:: _columns(len(measured))]:
        ax.set_ylabel("steps to the target")
    return Picture(
        "batch_size_scaling",
        "Claims (b) and (h). Steps to each target against the batch size; the largest is full batch. Markers: "
        f"geometric mean over {_num_seeds(measured)} seeds; bars: from the smallest to the largest run. Batch sizes "
        "of which a run never arrives are left out. Dotted: as many times fewer steps as the batch is larger. "
        "Critical size: the batch size at which twice the fewest steps are needed, from a fit for each seed that "
        "counts the finite set (a full batch has no noise), with its 95 % interval.",
        figure,
        ("b", "h"),
    )


def size_in_examples(data: xr.Dataset, size: str) -> int:
    """Examples of a step."""
    return int(data.attrs["num_examples"]) if size == "full" else int(size)


def steps_of(data: xr.Dataset, position: int) -> np.ndarray:
    """Steps to a target, [seed, batch_size]; NaN where censored. A deterministic run stands in each row."""
    columns = []
    for size in data.batch_size.values:
        side = data.sel(batch_size=size, rule="judged").isel(target=position)
        examples = side.examples.values
        examples = np.full(len(examples), examples[0]) if bool(side.deterministic) else examples
        columns.append(examples / size_in_examples(data, size))
    return np.stack(columns, axis=1)


def critical_size(data: xr.Dataset, position: int) -> str:
    """The critical batch size with its interval, or why there is none."""
    sizes = np.array([size_in_examples(data, size) for size in data.batch_size.values], float)
    found = critical_batch_size(sizes, steps_of(data, position), num_examples=int(data.attrs["num_examples"]))
    return "undetermined" if found.bound == "none" else f"{found.estimate:.3g} [{found.low:.3g}, {found.high:.3g}]"


def _columns(count: int) -> int:
    return 3 if count > 4 else 2


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """As many panels, in rows of two or three."""
    columns = min(count, _columns(count))
    rows = -(-count // columns)
    figure = Figure(figsize=(4.6 * columns, 3.7 * rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]


def _num_seeds(measured: Mapping[str, xr.Dataset]) -> int:
    return max((data.sizes["seed"] for data in measured.values()), default=0)


def _legend(figure: Figure, count: int, sizes: set[str]) -> None:
    """In the first empty panel, or else below."""
    keys = [key for key in COLORS if str(key) in sizes]
    handles = [Line2D([], [], color=COLORS[key], marker=MARKERS[key], label=label(key)) for key in keys]
    if len(figure.axes) > count:
        figure.axes[count].legend(handles=handles, loc="center", frameon=False)
    else:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
