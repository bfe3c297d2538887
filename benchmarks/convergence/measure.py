"""What the main job measures: tuned runs for each batch size, their cost, the noise floor."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
import optax
import xarray as xr

import dlcore as dl
from benchmarks.convergence.problems import PROBLEMS, BatchSize, Problem
from dlcore import optimizers
from dlcore.core.order import Sampling
from dlcore.core.training import Training
from dlcore.evidence import convergence

GRID = 2.0 ** np.arange(-2, 3)  # around a problem's first guess; it grows by itself
DECAYED_TO = 20  # a decaying rate ends at 1 / (1 + this) of its start
CONSECUTIVE = 3  # records in a row at a target before it counts as reached
BLOWN_UP = 10.0  # a run whose gap ever exceeds this many times the initial one has not converged, whatever follows
RECORDS = {"network": 50, "noisy_quadratic": 150, "drawn": 150}
DEFAULT_RECORDS = 600
FIRST_SEED = 100  # the pilots that sized the runs and the thresholds used seeds 0 to 7
LANE_WIDTH = 8  # 5 rates x 2 schedules x 8 seeds fill whole lanes on 1, 2 and 5 devices


class Scale(NamedTuple):
    """How much is measured.

    epochs: share of the epochs of a full-scale run. problems: names in `PROBLEMS`. without: studies left out, and with
    them their claims.
    """

    num_seeds: int = 8
    epochs: float = 1.0
    problems: tuple[str, ...] = tuple(PROBLEMS)
    batch_sizes: tuple[BatchSize, ...] = (1, 8, 64, 512, "full")
    without: tuple[str, ...] = ()


QUICK = Scale(
    num_seeds=4,
    epochs=0.5,
    problems=("least_squares", "logistic_regression"),
    batch_sizes=(1, "full"),
    without=("endurance", "train_set_size"),
)


def batch_sizes(problem: Problem, scale: Scale) -> tuple[BatchSize, ...]:
    """Those of the scale's batch sizes that the problem has examples for."""
    num_examples = len(problem.task.data.train.inputs)
    return tuple(size for size in scale.batch_sizes if size == "full" or size < num_examples)


def size_of(problem: Problem, batch_size: BatchSize) -> int:
    """Examples per step."""
    return len(problem.task.data.train.inputs) if batch_size == "full" else batch_size


def steps_per_epoch(problem: Problem, batch_size: BatchSize) -> int:
    """Whole batches in the train split."""
    return len(problem.task.data.train.inputs) // size_of(problem, batch_size)


def interval(problem: Problem, batch_size: BatchSize) -> int:
    """Steps between records. The same for every length of run, so that all of them share a compiled program."""
    steps = round(problem.epochs[batch_size] * steps_per_epoch(problem, batch_size))  # 24000 / 91 * 91 is below 24000
    return max(1, steps // RECORDS.get(problem.name, DEFAULT_RECORDS))


def grid(
    problem: Problem,
    batch_size: BatchSize,
    *,
    epochs: float,
    learning_rates: Sequence[float] | np.ndarray,
    num_seeds: int,
    decays: Sequence[float] = (0.0,),
    sampling: Sampling = "reshuffle",
    num_records: int | None = None,
) -> xr.Dataset:
    """Runs of plain SGD.

    Args:
      epochs: their length, rounded to whole intervals between records.
      decays: 0 for a constant learning rate, 1 for one that falls as 1/t to 1 / (1 + DECAYED_TO) of its start.

    Returns:
      the records, dims (decay, learning_rate, seed, step).
    """
    steps = epochs * steps_per_epoch(problem, batch_size)
    every = interval(problem, batch_size) if num_records is None else max(1, int(steps // num_records))
    num_steps = max(1, round(steps / every)) * every

    def fit(decay, learning_rate, seed):
        schedule = optimizers.inverse_time(learning_rate, 1 / decay)
        return dl.training(
            jax.random.key(seed),
            problem.task,
            optax.sgd(schedule),
            batch_size=batch_size,
            num_steps=num_steps,
            record_every=every,
            evaluate=("train",),
            sampling=sampling,
        )

    history = dl.sweep(
        fit,
        lane_width=LANE_WIDTH,
        decay=np.asarray(decays) * DECAYED_TO / num_steps,
        learning_rate=np.asarray(learning_rates),
        seed=FIRST_SEED + np.arange(num_seeds),
    )
    return history.assign_coords(decay=np.asarray(decays))


class Tuning(NamedTuple):
    """Tuned runs of one problem at one batch size.

    history: the whole grid, dims (decay, learning_rate, seed, step).
    best: at the best rate of each target, dims (decay, target, seed): steps, epochs and examples to it, NaN where
    censored; learning_rate and interior, dims (decay, target); limit_steps, ...: the length of a run.
    """

    history: xr.Dataset
    best: xr.Dataset


def tuned(problem: Problem, batch_size: BatchSize, scale: Scale) -> Tuning:
    """Constant and decaying learning rates, each tuned for each target on a grid that grows at its edges."""

    def run_rates(rates):
        return grid(
            problem,
            batch_size,
            epochs=problem.epochs[batch_size] * scale.epochs,
            learning_rates=rates,
            num_seeds=scale.num_seeds,
            decays=(0.0, 1.0),
        )

    def score(history):
        return steps_to(problem, history).fillna(np.inf).median("seed")

    found = convergence.tune(run_rates, problem.learning_rates[batch_size] * GRID, score)
    known = found.best.notnull()
    rate = found.best.fillna(found.history.learning_rate[0])
    steps = steps_to(problem, found.history).sel(learning_rate=rate, method="nearest").drop_vars("learning_rate")
    best = xr.Dataset({"steps": steps.where(known), "learning_rate": found.best, "interior": found.interior})
    last = found.history[["step", "epoch", "examples"]].isel(step=-1)
    for cost, time in {"steps": "step", "epochs": "epoch", "examples": "examples"}.items():
        best[cost] = best.steps * float(last[time] / last.step)
        best[f"limit_{cost}"] = float(last[time])
    return Tuning(found.history, best)


def steps_to(problem: Problem, history: xr.Dataset) -> xr.DataArray:
    """Steps to each of the problem's targets, with a dim "target"; NaN for runs that blew up on the way.

    With a decaying rate that starts beyond the stability limit, a quadratic can blow up by many orders of magnitude and
    come back; nobody would call that converging.
    """
    history = history.where(history.train_gap.fillna(np.inf).max("step") <= BLOWN_UP)
    reached = [
        convergence.steps_to_target(history, "train_gap", target, consecutive=CONSECUTIVE) for target in problem.targets
    ]
    return xr.concat(reached, xr.Variable("target", list(problem.targets))).rename("steps")


def timed(problem: Problem, batch_size: BatchSize) -> Training:
    """A run to time the steps of: no evaluation, long intervals."""
    steps = 64 if batch_size == "full" else max(64, 4096 // batch_size)
    optimizer = optax.sgd(problem.learning_rates[batch_size] / 10)
    return dl.training(
        jax.random.key(0),
        problem.task,
        optimizer,
        batch_size=batch_size,
        num_steps=64 * steps,
        record_every=steps,
        evaluate=(),
    )


def noise_floor(problem: Problem, scale: Scale) -> xr.Dataset:
    """Where SGD ends up that starts at the optimum: with and without replacement, with a constant and a decaying rate.

    Returns:
      floor: mean train gap of the last quarter of the records; dims (sampling, batch_size, decay, learning_rate, seed).
      learning_rate is in units of the stability limit 2 / (largest Hessian eigenvalue).
    """
    assert problem.hessian_eigenvalues is not None, f"{problem.name} has no constant Hessian"
    limit = 2 / problem.hessian_eigenvalues[-1]
    model = problem.task.model._replace(init=lambda key: (problem.minimizer, {}))
    at_optimum = problem._replace(task=problem.task._replace(model=model))
    relative = 2.0 ** np.arange(-10, -4)
    sizes = [size for size in (1, 8) if size in scale.batch_sizes]

    def floor(sampling: Sampling, batch_size: BatchSize) -> xr.DataArray:
        history = grid(
            at_optimum,
            batch_size,
            epochs=problem.epochs[batch_size] * scale.epochs,
            learning_rates=relative * limit,
            num_seeds=scale.num_seeds,
            decays=(0.0, 1.0),
            sampling=sampling,
        )
        last = history.train_gap.isel(step=slice(-(history.sizes["step"] // 4), None)).mean("step")
        return last.assign_coords(learning_rate=relative)

    samplings: list[Sampling] = ["with_replacement", "reshuffle"]
    by_size = [
        xr.concat([floor(sampling, size) for size in sizes], xr.Variable("batch_size", sizes)) for sampling in samplings
    ]
    return xr.concat(by_size, xr.Variable("sampling", samplings)).rename("floor").to_dataset()


def linear_rate(problem: Problem) -> xr.Dataset:
    """Factor by which full-batch descent multiplies the gap per step, measured late, next to theory.

    Returns:
      measured, theory: dims (learning_rate), in units of 2 / (largest eigenvalue); theory is
      max_i (1 - rate * eigenvalue_i)^2, which is above 1 beyond 1.
    """
    eigenvalues = problem.hessian_eigenvalues
    assert eigenvalues is not None, f"{problem.name} has no constant Hessian"
    relative = np.array([0.25, 0.5, 0.9, 1.02])
    rates = relative * 2 / eigenvalues[-1]
    history = grid(problem, "full", epochs=problem.epochs["full"], learning_rates=rates, num_seeds=1)
    gap = history.train_gap.isel(decay=0, seed=0)
    late = gap.isel(step=slice(gap.sizes["step"] // 2, None))
    steps = float(late.step[-1] - late.step[0])
    measured = np.exp((np.log(late.isel(step=-1)) - np.log(late.isel(step=0))) / steps)
    theory = np.max((1 - rates[:, None] * eigenvalues) ** 2, axis=1)
    return xr.Dataset(
        {"measured": ("learning_rate", measured.values), "theory": ("learning_rate", theory)},
        coords={"learning_rate": relative},
    )


def published(num_seeds: int = 64) -> xr.Dataset:
    """DeepOBS' runs on the noisy quadratic: batch 128, fixed batches, 100 epochs.

    Returns:
      test_loss, dims (learning_rate, seed, step); seeds are partitions of the examples into batches.
    """
    problem = PROBLEMS["noisy_quadratic"]()

    def fit(learning_rate, seed):
        return dl.training(
            jax.random.key(seed),
            problem.task,
            optax.sgd(learning_rate),
            batch_size=128,
            num_epochs=100,
            evaluate=("test",),
            sampling="shuffle_once",
        )

    rates = np.array([0.001, 0.015849, 0.03764 * 0.99, 0.03981])
    return dl.sweep(fit, learning_rate=rates, seed=FIRST_SEED + np.arange(num_seeds))[["test_loss", "finite"]]
