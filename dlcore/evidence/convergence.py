"""How fast runs converge: cost to a target, tuning, batch-size scaling."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, array, function, instance, integer, number, result_of, sequence, text
from dlcore.core.errors import ArgumentError, DataError, described, shown
from dlcore.core.training import Training
from dlcore.engine.devices import Constants
from dlcore.engine.program import Program, build, trace
from dlcore.engine.setup import available_cores
from dlcore.engine.threads import DaemonThreads


@arguments(history=instance(xr.Dataset), metric=text, target=number(), along=text, consecutive=integer())
def steps_to_target(
    history: xr.Dataset, metric: str, target: float, *, along: str = "step", consecutive: int = 1
) -> xr.DataArray:
    """Where along time `metric` first falls to `target` or below, at the resolution of the records.

    Args:
      history: dims (..., along), as returned by `dl.sweep`.
      metric: name of a variable where smaller is better, e.g. "train_loss".
      target: value to reach, in the metric's units.
      along: "step", or another dimension of time.
      consecutive: records in a row, this one the first, that have to be there; 1 counts a dip.

    Returns:
      dims (...): steps, as float; NaN where the run never got there (a censored observation, not an error).

    Raises:
      ArgumentError: `metric` or `along` is not in `history`; the message lists what is.
      DataError: a metric without that dimension, or of no numbers.
    Reference: Shallue et al., Measuring the effects of data parallelism on neural network training, JMLR 2019, sec. 3.

    Example:
      >>> import xarray as xr
      >>> history = xr.Dataset({"loss": ("step", [3.0, 0.9, 2.0, 0.5, 0.4])}, {"step": [0, 10, 20, 30, 40]})
      >>> float(dl.evidence.steps_to_target(history, "loss", 1.0, consecutive=2))
      30.0
    """
    if metric not in history.data_vars:
        raise ArgumentError(f"no variable {metric!r} in the history; it has {', '.join(map(str, history.data_vars))}.")
    if along not in history.dims:
        raise ArgumentError(f"no dimension {along!r} in the history; it has {', '.join(map(str, history.dims))}.")
    values, times = history[metric], history[along]
    if along not in values.dims or values.dtype.kind not in "biuf" or times.dtype.kind not in "iuf":
        raise DataError(
            f"steps_to_target: {metric!r} is {values.dtype}, dims {values.dims}, along {times.dtype}; expects numbers "
            f"with the dimension {along!r}."
        )
    reached = values <= target
    reached = reached.copy(data=_beginnings(reached.values, reached.get_axis_num(along), consecutive))
    first = xr.where(reached, times, np.inf).min(along)
    return first.where(np.isfinite(first)).rename(f"{along}s_to_target")


def _beginnings(there: np.ndarray, axis: int, consecutive: int) -> np.ndarray:
    """Where this and the next entries along the axis, so many in all, are true; a window past the end is none."""
    there = np.moveaxis(there, axis, -1)
    found = np.zeros(there.shape, bool)
    num_windows = there.shape[-1] - consecutive + 1
    if num_windows > 0:
        before = np.concatenate([np.zeros_like(there[..., :1], int), np.cumsum(there, axis=-1)], axis=-1)
        found[..., :num_windows] = before[..., consecutive:] - before[..., :num_windows] == consecutive
    return np.moveaxis(found, -1, axis)


class Tuned(NamedTuple):
    """What `tune` found.

    history: the whole grid, dims (..., learning_rate, ...). best: learning rate of the lowest score, dims as the
    score's without learning_rate; NaN where no rate has a finite score. interior: whether the grid goes on beyond it on
    both sides; a best value at the edge is no result.
    """

    history: xr.Dataset
    best: xr.DataArray
    interior: xr.DataArray


@arguments(
    run_rates=function,
    learning_rates=sequence(
        number(0, open_low=True), text="learning rates; it expects 3 or more, increasing with a constant ratio"
    ),
    score=function,
    max_rounds=integer(0, 100),
)
def tune(
    run_rates: Callable[[np.ndarray], xr.Dataset],
    learning_rates: Sequence[float] | np.ndarray,
    score: Callable[[xr.Dataset], xr.DataArray],
    *,
    max_rounds: int = 8,
) -> Tuned:
    """Run a logarithmic grid of learning rates that grows by itself while a best value sits at its edge.

    Args:
      run_rates: `run_rates(rates [k]) -> Dataset` with dim learning_rate; called for new rates only.
      learning_rates: first grid, [k], k of 3 or more, increasing with a constant ratio.
      score: `score(Dataset) -> DataArray` with dim learning_rate, lower is better, inf or NaN for no result.
      max_rounds: how often the grid may grow, by two rates at a time.

    Raises:
      ArgumentError: a grid of another kind, functions that return something else.

    Example:
      >>> import xarray as xr
      >>> def run_rates(rates):
      ...     return xr.Dataset({"loss": ("learning_rate", np.log(rates) ** 2)}, {"learning_rate": rates})
      >>> tuned = dl.evidence.tune(run_rates, [0.1, 0.2, 0.4], lambda history: history.loss)
      >>> round(float(tuned.best), 2), tuned.history.sizes["learning_rate"]
      (0.8, 5)
    """
    rates = np.asarray(learning_rates, float)
    ratio = rates[1] / rates[0] if len(rates) > 2 else math.nan
    if not (ratio > 1 and math.isfinite(ratio) and np.allclose(rates[1:] / rates[:-1], ratio)):
        raise ArgumentError(
            f"tune: learning_rates are {shown(learning_rates)}; expects 3 or more, increasing with a constant ratio."
        )
    history = _ran(run_rates, rates)
    for rounds_left in reversed(range(max_rounds + 1)):
        tuned = _best(history, score)
        at_edge = tuned.best.where(~tuned.interior)
        grow_down = bool((at_edge == history.learning_rate[0]).any())
        grow_up = bool((at_edge == history.learning_rate[-1]).any())
        below = float(rates[0]) * ratio ** np.array([-2.0, -1.0]) if grow_down else np.empty(0)
        above = float(rates[-1]) * ratio ** np.array([1.0, 2.0]) if grow_up else np.empty(0)
        new = np.concatenate([below, above])
        if not len(new) or not rounds_left or not (np.isfinite(new) & (new > 0)).all():
            return tuned
        rates = np.concatenate([below, rates, above])
        history = xr.concat([history, _ran(run_rates, new)], "learning_rate", join="exact").sortby("learning_rate")
    raise AssertionError("unreachable: the last round returns")


def _ran(run_rates: Callable[[np.ndarray], xr.Dataset], rates: np.ndarray) -> xr.Dataset:
    history = result_of("tune: run_rates", run_rates, rates)
    fits = isinstance(history, xr.Dataset) and "learning_rate" in history.coords
    if not fits or history.sizes.get("learning_rate") != len(rates):
        raise ArgumentError(
            f"tune: run_rates gives {shown(history)} for {len(rates)} rates; expects a Dataset with the coordinate "
            f"learning_rate [{len(rates)}]."
        )
    return history


def _best(history: xr.Dataset, score: Callable[[xr.Dataset], xr.DataArray]) -> Tuned:
    scores = result_of("tune: score", score, history)
    fits = isinstance(scores, xr.DataArray) and scores.dtype.kind in "biuf"
    if not fits or scores.sizes.get("learning_rate") != history.sizes["learning_rate"]:
        raise ArgumentError(
            f"tune: score gives {shown(scores)}; expects a DataArray of numbers with the dimension learning_rate, e.g. "
            "history.train_loss.isel(step=-1)."
        )
    scores = scores.where(np.isfinite(scores), np.inf)
    position = scores.argmin("learning_rate")
    found = np.isfinite(scores.min("learning_rate"))
    interior = (position > 0) & (position < scores.sizes["learning_rate"] - 1)
    best = history.learning_rate[position].drop_vars("learning_rate").where(found)
    return Tuned(history, best.rename("best_learning_rate"), interior | ~found)


class Scaling(NamedTuple):
    """`steps = fewest_steps * (1 + critical_batch_size / batch_size)`.

    fewest_steps: with the largest batches. critical_batch_size: at which twice as many are needed.
    """

    fewest_steps: float
    critical_batch_size: float

    def __call__(self, batch_size: np.ndarray) -> np.ndarray:
        """Predicted steps to the target."""
        return self.fewest_steps * (1 + self.critical_batch_size / np.asarray(batch_size, float))


@arguments(
    batch_sizes=array("iuf", ndim=1, text="batch sizes [k]"),
    steps=array("iuf", ndim=1, text="steps to the target [k]"),
)
def fit_scaling(batch_sizes: np.ndarray, steps: np.ndarray) -> Scaling:
    """Fit `steps = s_min (1 + B_crit / B)` to the steps to a target, by least squares of the logarithms.

    Args:
      batch_sizes: [k], positive.
      steps: [k], positive; entries where it is not finite are left out.

    Raises:
      DataError: fewer than two batch sizes reached the target; sizes or steps beyond [1e-6, 1e15].
    Reference: McCandlish et al., An empirical model of large-batch training, 2018, eq. 2.11.

    Example:
      >>> fitted = dl.evidence.fit_scaling([1, 8, 64], [3300.0, 500.0, 150.0])
      >>> round(fitted.fewest_steps), round(fitted.critical_batch_size)
      (100, 32)
    """
    from scipy import optimize  # 0.2 s to import

    batch_sizes, steps = np.asarray(batch_sizes, float), np.asarray(steps, float)
    if batch_sizes.shape != steps.shape:
        raise DataError(
            f"fit_scaling: batch_sizes are {described(batch_sizes)}, steps {described(steps)}; expects as many of both."
        )
    known = np.isfinite(steps)
    for name, values in {"batch_sizes": batch_sizes, "steps": steps[known]}.items():
        if not ((values >= 1e-6) & (values <= 1e15)).all():
            raise DataError(f"fit_scaling: {name} are {shown(values)}; expects numbers from 1e-6 to 1e15.")
    count = len(np.unique(batch_sizes[known]))
    if count < 2:
        raise DataError(f"{count} batch sizes reached the target; a fit of two parameters needs two or more.")

    def residuals(logs):
        return logs[0] + np.log1p(np.exp(logs[1]) / batch_sizes[known]) - np.log(steps[known])

    start = np.log([steps[known].min(), np.median(batch_sizes[known])])
    fewest, critical = np.exp(optimize.least_squares(residuals, start, bounds=(-20, 40)).x)
    return Scaling(float(fewest), float(critical))


@arguments(
    trainings=sequence(instance(Training), 1, text="trainings, e.g. dl.training(...)"),
    repeats=integer(1, 1000),
    seconds=number(0, 60),
)
def seconds_per_step(trainings: Sequence[Training], *, repeats: int = 5, seconds: float = 0.04) -> np.ndarray:
    """Median wall-clock time of an optimizer step of each run, alone on one device, after compilation; [k] seconds.

    A run's records are part of it: to time the steps, describe it with `evaluate=()` and long intervals.

    Args:
      trainings: timed one after the other; the "step" coordinate tells the steps of a record.
      repeats: timings to take the median of.
      seconds: how long each lasts, at least.

    Example:
      >>> task = dl.tasks.regression(dl.models.linear(1, 1), dl.data.from_arrays(np.ones((4, 1)), np.ones((4, 1))))
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=2, num_epochs=1, evaluate=())
      >>> dl.evidence.seconds_per_step([run], repeats=1, seconds=0.0).shape
      (1,)
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
