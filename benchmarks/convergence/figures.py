"""Figures of the main job."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.convergence.measure import CONSECUTIVE, Tuning, size_of
from benchmarks.convergence.problems import PROBLEMS, BatchSize
from dlcore.core.errors import DataError
from dlcore.evidence import convergence

# Okabe and Ito's palette: told apart by all readers.
COLORS: dict[Any, str] = {1: "#D55E00", 8: "#E69F00", 64: "#009E73", 512: "#56B4E9", "full": "#000000"}
SCHEDULES: dict[str, Any] = {"constant": "-", "decaying": "--"}
Tunings = Mapping[str, Mapping[BatchSize, Tuning]]


def label(batch_size: Any) -> str:
    """Legend text of a batch size."""
    return "full batch" if batch_size == "full" else f"batch {batch_size}"


def convergence_curves(tunings: Tunings) -> Figure:
    """Gap against epochs for each problem and batch size, at the rate tuned for the finest target that was reached."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplots(2, 2)
    for ax, (name, per_size) in zip(axes.flat, tunings.items(), strict=False):
        problem = PROBLEMS[name]()
        for size, tuning in per_size.items():
            for decay, style in enumerate(SCHEDULES.values()):
                best = tuning.best.isel(decay=decay)
                reached = np.flatnonzero(best.learning_rate.notnull())
                if not len(reached):
                    continue
                rate = float(best.learning_rate[reached[-1]])
                runs = tuning.history.train_gap.isel(decay=decay).sel(learning_rate=rate, method="nearest")
                ax.plot(*_smoothed(runs), style, color=COLORS[size], linewidth=1.3)
        for target in problem.targets:
            ax.axhline(target, color="0.8", linewidth=0.8, zorder=0)
        ax.set(xscale="log", yscale="log", title=problem.title, xlabel="epochs", ylabel="share of the initial gap")
        ax.set_ylim(bottom=max(ax.get_ylim()[0], problem.targets[-1] / 30), top=2)
    handles = [Line2D([], [], color=color, label=label(size)) for size, color in COLORS.items()]
    handles += [Line2D([], [], color="0.4", linestyle=style, label=f"{name} rate") for name, style in SCHEDULES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _smoothed(runs: xr.DataArray, num_bins: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and gap, geometric mean of the seeds' medians within logarithmic bins of time."""
    median = runs.median("seed").isel(step=slice(1, None))
    logs = np.log(median.epoch.values)
    bins = np.digitize(logs, np.linspace(logs[0], logs[-1], num_bins + 1)[1:-1])
    used = np.unique(bins)
    with np.errstate(divide="ignore"):
        values = np.log(np.abs(median.values))
    time, gap = (np.exp([part[bins == b].mean() for b in used]) for part in (logs, values))
    return time, gap


def batch_size_scaling(tunings: Tunings) -> Figure:
    """Steps to each target against batch size, with perfect scaling and the fit s_min (1 + B_crit / B)."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    shades = ["#0072B2", "#CC79A7", "#009E73"]
    for ax, (name, per_size) in zip(figure.subplots(2, 2).flat, tunings.items(), strict=False):
        problem = PROBLEMS[name]()
        sizes = np.array([size_of(problem, size) for size in per_size], float)
        for position, (target, color) in enumerate(zip(problem.targets, shades, strict=False)):
            steps = np.array([_best_steps(tuning, position) for tuning in per_size.values()])
            known = np.isfinite(steps)
            ax.plot(sizes[known], steps[known], "o", color=color, markersize=5)
            text = f"gap {target:g}"
            try:
                fit = convergence.fit_scaling(sizes, steps)
            except DataError:  # fewer than two batch sizes arrived
                text += ": reached by too few"
            else:
                smooth = np.geomspace(sizes[0], sizes[-1], 60)
                ax.plot(smooth, fit(smooth), color=color, linewidth=1.2)
                text += f": $B_{{crit}}$ = {fit.critical_batch_size:.3g}"
            first = np.flatnonzero(known)[:1]
            ax.plot(sizes, steps[first] * sizes[first] / sizes if len(first) else sizes * np.nan, ":", color=color)
            ax.plot([], [], "o-", color=color, label=text)
        ax.plot([], [], ":", color="0.4", label="perfect scaling")
        ax.set(xscale="log", yscale="log", title=problem.title, xlabel="batch size", ylabel="steps to target")
        ax.legend(fontsize=8, frameon=False)
    return figure


def _best_steps(tuning: Tuning, target: int) -> float:
    """Median steps with the better of the two schedules; infinite if half the runs are censored."""
    return float(tuning.best.steps.isel(target=target).fillna(np.inf).median("seed").min("decay"))


def noise_floor(study: xr.Dataset) -> Figure:
    """Gap that SGD settles at, against its learning rate, by sampling, batch size and schedule."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for ax, sampling in zip(figure.subplots(1, 2, sharey=True), study.sampling.values, strict=True):
        for size in study.batch_size.values:
            for decay, (name, style) in enumerate(SCHEDULES.items()):
                floor = study.floor.sel(batch_size=size, sampling=sampling).isel(decay=decay)
                geometric = np.exp(np.log(floor).mean("seed"))
                text = f"{label(int(size))}, {name} rate"
                color = COLORS[int(size)]
                ax.plot(geometric.learning_rate, geometric, f"o{style}", color=color, markersize=4, label=text)
        ax.set(xscale="log", yscale="log", xlabel="learning rate / stability limit")
        ax.set_title(str(sampling).replace("_", " ").capitalize())
    figure.axes[0].set_ylabel("share of the initial gap")
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def escape_from_wells(study: xr.Dataset) -> Figure:
    """Share of runs that end in the deep well against the learning rate."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for ax, landscape in zip(figure.subplots(1, 2, sharey=True), study.landscape.values, strict=True):
        for size in study.batch_size.values:
            key = size if size == "full" else int(size)
            share = study.deep.sel(landscape=landscape, batch_size=size).mean("seed")
            ax.plot(share.learning_rate, share, "o-", color=COLORS[key], markersize=4, label=label(key))
        ax.set(xscale="log", xlabel="learning rate", title=str(landscape).capitalize(), ylim=(-0.04, 1.04))
    figure.axes[0].set_ylabel("share of runs in the deep well")
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def train_set_size(study: xr.Dataset) -> Figure:
    """Cost to 1 % of the initial gap against the number of examples."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for ax, cost in zip(figure.subplots(1, 2), ("examples", "seconds"), strict=True):
        for method in study.descent.values:
            key = method if method == "full" else int(method)
            runs = study[cost].sel(descent=method)
            ax.plot(study.num_examples, runs.median("seed"), "o-", color=COLORS[key], label=label(key))
        ax.set(xscale="log", yscale="log", xlabel="examples in the train set", ylabel=f"{cost} to 1 % of the gap")
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def all_figures(tunings: Tunings, studies: Mapping[str, xr.Dataset]) -> dict[str, tuple[Figure, str]]:
    """Name to (figure, caption), for what was measured."""
    pictures = {
        "convergence": (
            convergence_curves(tunings),
            "Share of the initial gap left against epochs: median over seeds, averaged within 40 intervals of time, "
            "learning rate tuned for the finest target that was reached. Gray lines are the targets.",
        ),
        "batch_size_scaling": (
            batch_size_scaling(tunings),
            f"Steps until {CONSECUTIVE} records in a row are at the target; better of a constant and a decaying rate. "
            "Lines: fit of s_min (1 + B_crit / B). Dotted: perfect scaling from the smallest batch.",
        ),
    }
    for name, draw, caption in (
        ("noise_floor", noise_floor, "Runs start at the optimum; what they settle at is noise."),
        ("wells", escape_from_wells, "Runs start in the shallow well of a one-dimensional loss with two."),
        ("train_set_size", train_set_size, "Logistic regression, one distribution; each method at its best rate."),
    ):
        if name in studies:
            pictures[name] = (draw(studies[name]), caption)
    for figure, _ in pictures.values():
        for ax in figure.axes:
            ax.minorticks_off()  # on logarithmic axes they take most of the drawing time
    return pictures
