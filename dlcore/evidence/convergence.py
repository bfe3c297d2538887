"""How fast runs converge: cost to a target, tuning, batch-size scaling."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

from dlcore.core.errors import ArgumentError
from dlcore.core.training import Training
from dlcore.study.devices import Constants, DaemonThreads
from dlcore.study.program import Program, build, trace
from dlcore.study.setup import available_cores


def steps_to_target(
    history: xr.Dataset, metric: str, target: float, *, along: str = "step", consecutive: int = 1
) -> xr.DataArray:
    """Where along time `metric` is first at or below `target`, at the resolution of the records.

    Args:
      history: dims (..., along), as returned by `dl.sweep`.
      metric: name of a variable where smaller is better, e.g. "train_loss".
      target: value to reach, in the metric's units.
      along: "step", or another dimension of time.

    Returns:
      dims (...): steps, as float; NaN where the run never got there (a censored observation, not an error).

    Raises:
      ArgumentError: `metric` or `along` is not in `history`; the message lists what is.
    Reference: Shallue et al., Measuring the effects of data parallelism on neural network training, JMLR 2019, sec. 3.
    """
    if metric not in history:
        raise ArgumentError(f"no variable {metric!r} in the history; it has {', '.join(map(str, history.data_vars))}.")
    if along not in history.dims:
        raise ArgumentError(f"no dimension {along!r} in the history; it has {', '.join(map(str, history.dims))}.")
    reached = history[metric] <= target
    if consecutive > 1:
        ahead = [reached.shift({along: -i}, fill_value=False) for i in range(consecutive)]
        reached = xr.concat(ahead, "ahead").all("ahead")
    first = xr.where(reached, history[along], np.inf).min(along)
    return first.where(np.isfinite(first)).rename(f"{along}s_to_target")


class Tuned(NamedTuple):
    """What `tune` found.

    history: the whole grid, dims (..., learning_rate, ...). best: learning rate of the lowest score, dims as the
    score's without learning_rate; NaN where no rate has a finite score. interior: whether the grid goes on beyond it on
    both sides; a best value at the edge is no result.
    """

    history: xr.Dataset
    best: xr.DataArray
    interior: xr.DataArray


def tune(
    measure: Callable[[np.ndarray], xr.Dataset],
    learning_rates: np.ndarray,
    score: Callable[[xr.Dataset], xr.DataArray],
    *,
    max_rounds: int = 8,
) -> Tuned:
    """Measure a logarithmic grid of learning rates that grows by itself while a best value sits at its edge.

    Args:
      measure: `measure(rates [k]) -> Dataset` with dim learning_rate; called for new rates only.
      learning_rates: first grid, increasing with a constant ratio, [3] or more.
      score: `score(Dataset) -> DataArray` with dim learning_rate, lower is better, inf or NaN for no result.
      max_rounds: how often the grid may grow, by two rates at a time.
    """
    rates = np.asarray(learning_rates, float)
    ratio = rates[1] / rates[0] if rates.ndim == 1 and len(rates) > 2 and (rates > 0).all() else math.nan
    if not (ratio > 1 and np.allclose(rates[1:] / rates[:-1], ratio)):
        raise ArgumentError(f"learning_rates are {rates}; expects 3 or more, increasing with a constant ratio.")
    history = measure(rates)
    for rounds_left in reversed(range(max_rounds + 1)):
        tuned = _best(history, score)
        at_edge = tuned.best.where(~tuned.interior)
        grow_down = bool((at_edge == history.learning_rate[0]).any())
        grow_up = bool((at_edge == history.learning_rate[-1]).any())
        below = float(rates[0]) * ratio ** np.array([-2.0, -1.0]) if grow_down else np.empty(0)
        above = float(rates[-1]) * ratio ** np.array([1.0, 2.0]) if grow_up else np.empty(0)
        new = np.concatenate([below, above])
        if not len(new) or not rounds_left:
            return tuned
        rates = np.concatenate([below, rates, above])
        history = xr.concat([history, measure(new)], "learning_rate", join="exact").sortby("learning_rate")
    raise AssertionError("unreachable: the last round returns")


def _best(history: xr.Dataset, score: Callable[[xr.Dataset], xr.DataArray]) -> Tuned:
    scores = score(history)
    scores = scores.where(np.isfinite(scores), np.inf)
    position = scores.argmin("learning_rate")
    found = np.isfinite(scores.min("learning_rate"))
    interior = (position > 0) & (position < scores.sizes["learning_rate"] - 1)
    best = history.learning_rate[position].drop_vars("learning_rate").where(found)
    return Tuned(history, best.rename("best_learning_rate"), interior | ~found)


class Scaling(NamedTuple):
    """`steps = fewest_steps * (1 + critical_batch_size / batch_size)`."""

    fewest_steps: float
    critical_batch_size: float

    def __call__(self, batch_size: np.ndarray) -> np.ndarray:
        """Predicted steps to the target."""
        return self.fewest_steps * (1 + self.critical_batch_size / np.asarray(batch_size, float))


def fit_scaling(batch_sizes: np.ndarray, steps: np.ndarray) -> Scaling:
    """Fit `steps = s_min (1 + B_crit / B)` to the steps to a target, by least squares of the logarithms.

    Args:
      batch_sizes, steps: [k] each, k >= 2; entries where steps is not finite are left out.

    Raises:
      ArgumentError: fewer than two batch sizes reached the target.
    Reference: McCandlish et al., An empirical model of large-batch training, 2018, eq. 2.11.
    """
    from scipy import optimize  # 0.2 s to import

    batch_sizes, steps = np.asarray(batch_sizes, float), np.asarray(steps, float)
    known = np.isfinite(steps)
    if known.sum() < 2:
        raise ArgumentError(f"{known.sum()} batch sizes reached the target; a fit of two parameters needs two or more.")

    def residuals(logs):
        return logs[0] + np.log1p(np.exp(logs[1]) / batch_sizes[known]) - np.log(steps[known])

    start = np.log([steps[known].min(), np.median(batch_sizes[known])])
    fewest, critical = np.exp(optimize.least_squares(residuals, start, bounds=(-20, 40)).x)
    return Scaling(float(fewest), float(critical))


def seconds_per_step(trainings: Sequence[Training], *, repeats: int = 5, seconds: float = 0.04) -> np.ndarray:
    """Median wall-clock time of an optimizer step of each run, alone on one device, after compilation; [k] seconds.

    A run's records are part of it: to time the steps, describe it with `evaluate=()` and long intervals.

    Args:
      trainings: timed one after the other; the "step" coordinate tells the steps of a record.
      repeats: timings to take the median of.
      seconds: how long each lasts, at least.
    """
    device, constants, threads = jax.devices()[0], Constants(), DaemonThreads(available_cores())
    programs = [
        build(
            trace(lambda cell, training=training: training, {}, constants),
            lane_width=None,
            device=device,
            threads=threads,
            constants=constants,
        )
        for training in trainings
    ]
    try:
        return np.array(
            [
                _seconds_per_record(program, device, repeats, seconds) / np.diff(training.coordinates["step"])[0]
                for program, training in zip(programs, trainings, strict=True)
            ]
        )
    finally:
        threads.close()


def _seconds_per_record(program: Program, device: jax.Device, repeats: int, seconds: float) -> float:
    states, _ = program.start.on(device)({})
    advance = program.advance.on(device)

    def timed(states, num_records):
        began = time.perf_counter()
        states, _ = jax.block_until_ready(advance({}, states, np.int32(num_records)))
        return states, time.perf_counter() - began

    states, _ = timed(states, 1)  # the first call is slower
    states, once = timed(states, 1)
    calls = max(1, min(program.capacity, math.ceil(seconds / once)))
    times = []
    for _ in range(repeats):
        states, elapsed = timed(states, calls)
        times.append(elapsed)
    return float(np.median(times)) / calls
