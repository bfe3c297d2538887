"""Runs of plain SGD on a problem, recorded at equal examples."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
import xarray as xr

import dlcore as dl
from benchmarks.convergence.parts import LANE_WIDTH
from benchmarks.convergence.problems import BatchSize, Problem
from dlcore import optimizers
from dlcore.core.order import Sampling
from dlcore.core.training import Training
from dlcore.evidence import arrival

BLOWN_UP = 100.0  # a run whose gap ever exceeds this many times the initial one has not converged, whatever follows


def size_of(problem: Problem, batch_size: BatchSize) -> int:
    """Examples per step."""
    return problem.task.data.train.num_rows if batch_size == "full" else batch_size


def record_steps(problem: Problem, batch_size: BatchSize) -> int:
    """Steps between records: the problem's distance in examples, or one step that takes more than that."""
    return max(1, problem.record_every // size_of(problem, batch_size))


def num_steps(problem: Problem, batch_size: BatchSize, epochs: float) -> int:
    """Steps of a run of so many epochs, a whole number of records."""
    every, size = record_steps(problem, batch_size), size_of(problem, batch_size)
    return max(1, round(epochs * problem.task.data.train.num_rows / size / every)) * every


def training(
    problem: Problem,
    batch_size: BatchSize,
    seed: Any,
    learning_rate: Any,
    decay: Any = 0.0,
    *,
    epochs: float | None = None,
    sampling: Sampling = "reshuffle",
) -> Training:
    """A run of SGD.

    Args:
      decay: the rate falls as `learning_rate / (1 + decay * step)`; 0 is a constant one.
      epochs: its length; the problem's by default.
    """
    length = problem.epochs[batch_size] if epochs is None else epochs
    return dl.training(
        jax.random.key(seed),
        problem.task,
        optax.sgd(optimizers.inverse_time(learning_rate, 1 / decay)),
        batch_size=batch_size,
        num_steps=num_steps(problem, batch_size, length),
        record_every=record_steps(problem, batch_size),
        evaluate=(problem.gap_split,),
        sampling=sampling,
    )


def descend(
    problem: Problem,
    batch_size: BatchSize,
    *axes: Any,
    epochs: float | None = None,
    sampling: Sampling = "reshuffle",
    **more: Any,
) -> xr.DataArray:
    """The share of the initial gap that is left along runs; dims (..., step).

    Args:
      axes, more: of the study: `dl.points(...)`, learning_rate, decay, seed; store: a folder that keeps it.
    """

    def fit(seed, learning_rate, decay=0.0):
        """What share of the gap descent leaves."""
        return training(problem, batch_size, seed, learning_rate, decay, epochs=epochs, sampling=sampling)

    records = dl.sweep(fit, *axes, lane_width=LANE_WIDTH, progress=False, final_state=False, **more)
    return records[f"{problem.gap_split}_gap"]


def arrived(gap: xr.DataArray, target: float, window: float) -> xr.DataArray:
    """Examples to the target, from which on the mean gap over a window of examples is at it, too; dims (...).

    NaN where a run never arrives, or blows up on the way: such a run has not converged, even if it comes back.
    """
    gap = gap.where(gap.fillna(np.inf).max("step") <= BLOWN_UP)
    return arrival(gap.to_dataset(name="gap"), "gap", target, window=window)


def typical(costs: xr.DataArray) -> xr.DataArray:
    """Geometric mean over seeds; infinite where one of them has no cost: a setting has to be reliable."""
    logs = xr.apply_ufunc(np.log, costs.fillna(np.inf))
    return xr.apply_ufunc(np.exp, logs.mean("seed"))


def last_epoch(problem: Problem, gap: xr.DataArray) -> xr.DataArray:
    """Mean over the records of the last epoch, which does not depend on where in an epoch a run ends; dims (...)."""
    begin = float(gap.epoch[-1]) - 1
    return gap.isel(step=gap.epoch.values > begin + 1e-6).mean("step", skipna=False)


def with_start(problem: Problem, start: Any) -> Problem:
    """The problem with runs that begin at `start(key) -> (params, state)`."""
    return problem._replace(task=problem.task._replace(model=problem.task.model._replace(init=start)))


def batch_sizes(problem: Problem, sizes: Sequence[BatchSize]) -> tuple[BatchSize, ...]:
    """Those of the batch sizes that the problem has examples for."""
    return tuple(size for size in sizes if size == "full" or size < problem.task.data.train.num_rows)
