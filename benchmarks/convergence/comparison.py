"""The main comparison: what each batch size costs to a target, each at its own best rate and schedule."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

import dlcore as dl
from benchmarks.convergence.descents import arrived, batch_sizes, descend, num_steps, size_of, typical
from benchmarks.convergence.parts import Scale, side_by_side
from benchmarks.convergence.problems import PROBLEMS, BatchSize, Problem
from dlcore.evidence import tune

GRID = 2.0 ** np.arange(-2, 3)  # around a problem's first guess; it grows by itself
REFINE = 2.0 ** (np.arange(-6, 6) / 4)  # around the best rate of the grid, more below it: see `_reliable`
# Examples in which a decaying rate falls to 1 / (1 + DECAYED_TO) of its start, as shares of the run; 0: constant.
HORIZONS = (0.0, 1.0, 1 / 4, 1 / 16, 1 / 64)
DECAYED_TO = 20
WINDOW = 10.0  # epochs over which the mean gap stays at the target from arrival on
RULES = {"judged": WINDOW, "first passage": 0.0, "twice as long": 2 * WINDOW}
NUM_THREADS = 2
SIZES: tuple[BatchSize, ...] = (1, 8, 64, 512, "full")
QUICK_SIZES: tuple[BatchSize, ...] = (1, "full")
QUICK_PROBLEMS = ("logistic_regression", "interpolation")


def problems(scale: Scale) -> tuple[str, ...]:
    """Names of the problems that are compared."""
    return QUICK_PROBLEMS if scale.quick else tuple(PROBLEMS)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Problem to its costs and curves, dims (batch_size, target, seed) and more; see `compared`."""
    sizes = QUICK_SIZES if scale.quick else SIZES
    names = problems(scale)
    tasks = [functools.partial(compared, PROBLEMS[name](), sizes, scale) for name in reversed(names)]
    return dict(zip(names, reversed(side_by_side(tasks, NUM_THREADS)), strict=True))


def compared(problem: Problem, sizes: Sequence[BatchSize], scale: Scale) -> xr.Dataset:
    """A problem's batch sizes.

    Returns:
      examples: to each target, dims (rule, batch_size, target, seed), NaN where censored; learning_rate, horizon (in
      examples, 0 for a constant rate), interior, dims (batch_size, target); limit: examples of a run, dims
      (batch_size); gap_of_SIZE: curves, dims (target, seed, examples_of_SIZE).
    """
    found = [measured(problem, size, scale) for size in batch_sizes(problem, sizes)]
    names = [str(size) for size in batch_sizes(problem, sizes)]
    costs = xr.concat([costs for costs, _ in found], xr.Variable("batch_size", names), join="exact")
    curves = {}
    for name, (_, gap) in zip(names, found, strict=True):
        gap = gap.swap_dims(step="examples").drop_vars(["step", "epoch"]).rename(examples=f"examples_of_{name}")
        curves[f"gap_of_{name}"] = gap
    return costs.assign(curves).assign_attrs(
        title=problem.title, num_examples=problem.task.data.train.num_rows, interpolates=problem.interpolates
    )


def measured(problem: Problem, batch_size: BatchSize, scale: Scale) -> tuple[xr.Dataset, xr.DataArray]:
    """Costs and curves of one batch size on the judged seeds, at the settings that the tuning seeds chose."""
    settings = tuned(problem, batch_size, scale)
    seeds = scale.seeds if _varies(problem, batch_size) else scale.seeds[:1]
    gap = descend(
        problem,
        batch_size,
        dl.points(
            learning_rate=settings.learning_rate.values, decay=_decay(problem, batch_size, settings.horizon.values)
        ),
        seed=seeds,
        epochs=problem.epochs[batch_size] + WINDOW,  # so that the longer window of the other rule ends within it
        store=_store(problem, batch_size, scale, "judged"),
    )
    gap = gap.rename(point="target").drop_vars(["learning_rate", "decay"], errors="ignore")
    gap = gap.assign_coords(target=list(problem.targets))
    own = [
        xr.concat(
            [
                _arrival(problem, gap.sel(target=target), target, window).drop_vars("target")
                for target in problem.targets
            ],
            xr.Variable("target", list(problem.targets)),
        )
        for window in RULES.values()
    ]
    examples = xr.concat(own, xr.Variable("rule", list(RULES)))
    if len(seeds) < scale.num_seeds:  # one deterministic run: its cost stands once, the other seeds are empty
        examples = examples.reindex(seed=scale.seeds)
    costs = settings.assign(
        examples=examples,
        deterministic=not _varies(problem, batch_size),
        limit=float(gap.examples[-1]) - WINDOW * problem.task.data.train.num_rows,
    )
    return costs, gap.astype(np.float32)


def _store(problem: Problem, batch_size: BatchSize, scale: Scale, name: str) -> pathlib.Path | None:
    return scale.store("cost", problem.name, batch_size, name)


def _varies(problem: Problem, batch_size: BatchSize) -> bool:
    """Whether runs depend on their seed: full batch from a fixed start does not."""
    return batch_size != "full" or problem.name == "network"


def tuned(problem: Problem, batch_size: BatchSize, scale: Scale) -> xr.Dataset:
    """The learning rate and horizon with the lowest cost over the tuning seeds; dims (target).

    A coarse grid of both on four of the seeds, then a fine one of rates on all of them.
    """
    # Single samples blow up in few of the runs where their rate is a little too large.
    many, some = (4, 2) if problem.name == "network" else (scale.num_tuning_seeds, 4)
    seeds = scale.tuning_seeds[: many if batch_size == 1 else some]
    seeds = seeds if _varies(problem, batch_size) else seeds[:1]
    length = num_steps(problem, batch_size, problem.epochs[batch_size]) * size_of(problem, batch_size)
    few = batch_size == 512 or scale.quick or problem.name == "network"
    num_horizons = 1 if few and batch_size in (512, "full") else 2 if few else len(HORIZONS)
    horizons = length * np.array(HORIZONS[:num_horizons])

    coarse_runs = _store(problem, batch_size, scale, "tuning")

    def run_rates(rates):
        decay = _decay(problem, batch_size, horizons)
        gap = descend(
            problem, batch_size, learning_rate=np.asarray(rates), decay=decay, seed=seeds[:4], store=coarse_runs
        )
        costs = [_cost(problem, gap, target) for target in problem.targets]
        return xr.concat(costs, xr.Variable("target", list(problem.targets))).to_dataset(name="cost")

    coarse = tune(run_rates, problem.learning_rates[batch_size] * GRID, lambda history: history.cost)
    rows = []
    for target in problem.targets:
        cost = coarse.history.cost.sel(target=target).fillna(np.inf)
        best = cost.min("learning_rate").argmin("decay")
        rate = float(coarse.best.sel(target=target).isel(decay=best))
        interior = bool(coarse.interior.sel(target=target).isel(decay=best)) and np.isfinite(rate)
        rate = rate if np.isfinite(rate) else float(problem.learning_rates[batch_size])
        rows.append((rate, float(horizons[int(best)]), interior))
    return _refined(problem, batch_size, rows, seeds, _store(problem, batch_size, scale, "fine_tuning"))


def _reliable(cost: np.ndarray) -> np.ndarray:
    """Costs [rate], infinite where one of the next two larger rates does not arrive on every seed.

    The best rate lies next to rates at which some runs blow up, and few seeds do not show those that blow up rarely.
    """
    larger = np.append(cost[1:], [np.inf, np.inf])
    return np.where(np.isfinite(larger[:-1]) & np.isfinite(larger[1:]), cost, np.inf)


def _refined(
    problem: Problem, batch_size: BatchSize, rows: Sequence[tuple[float, float, bool]], seeds: Any, store: Any
) -> xr.Dataset:
    """The best rate of a finer grid around each target's.

    Args:
      rows: rate, horizon and whether the rate is interior. store: where the runs are kept.
    """
    rates = np.concatenate([rate * REFINE for rate, _, _ in rows])
    horizons = np.repeat([horizon for _, horizon, _ in rows], len(REFINE))
    decays = _decay(problem, batch_size, horizons)
    gap = descend(problem, batch_size, dl.points(learning_rate=rates, decay=decays), seed=seeds, store=store)
    best, interior = [], []
    for position, target in enumerate(problem.targets):
        begin = position * len(REFINE)
        cost = _cost(problem, gap.isel(point=slice(begin, begin + len(REFINE))), target).values
        cost = _reliable(cost) if len(seeds) > 1 else cost
        best.append(begin + int(cost.argmin()))
        interior.append(rows[position][2] and bool(np.isfinite(cost.min())))
    return xr.Dataset(
        {
            "learning_rate": ("target", rates[best]),
            "horizon": ("target", horizons[best]),
            "interior": ("target", interior),
        },
        coords={"target": list(problem.targets)},
    )


def _decay(problem: Problem, batch_size: BatchSize, horizons: np.ndarray) -> np.ndarray:
    """Of the rate per step; horizons in examples, 0 for a constant rate."""
    steps = np.asarray(horizons, float) / size_of(problem, batch_size)
    return np.divide(DECAYED_TO, steps, out=np.zeros_like(steps), where=steps > 0)


def _arrival(problem: Problem, gap: xr.DataArray, target: float, window: float = WINDOW) -> xr.DataArray:
    """Examples to the target; window in epochs."""
    return arrived(gap, target, window * problem.task.data.train.num_rows)


def _cost(problem: Problem, gap: xr.DataArray, target: float) -> xr.DataArray:
    return typical(_arrival(problem, gap, target))
