"""Claim (a): the gradient of one example is right on average, and far off."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from benchmarks.convergence import comparison
from benchmarks.convergence.parts import Part, Scale
from benchmarks.convergence.problems import PROBLEMS, Problem
from dlcore.core.order import batch_rows
from dlcore.evidence import (
    Check,
    Claim,
    Evidence,
    SubClaim,
    Verdict,
    above,
    exact,
    geometric_mean_interval,
    mean_interval,
    within,
)

NUM_DRAWS = 4096  # single-sample gradients of a run, to see whether they are right on average
SAME = 1e-4  # relative distance up to which two gradients are the same
UNBIASED = 0.1  # what a mean over runs may be off
FAR = 0.25  # times the length of the full gradient

CLAIM = Claim(
    "a",
    "Batch descent computes the gradient over the whole training set, stochastic descent from one sample.",
    (
        SubClaim(
            "samples right on average",
            "The gradients of samples that are drawn at random have the full gradient as their mean.",
            f"component along the full gradient of the mean of {NUM_DRAWS} drawn ones, over the full gradient's length",
            within(1 - UNBIASED, 1 + UNBIASED),
            "{} of its length",
        ),
        SubClaim(
            "one sample far off",
            "The gradient of a single sample is far from the full gradient.",
            "distance from the full gradient, of the median over the samples, over the full gradient's length",
            above(FAR),
            "{} lengths",
        ),
    ),
)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """By problem: projection, distance (of the median example), mean_distance (of the mean over all); dims (seed)."""
    return {name: measured(PROBLEMS[name](), scale) for name in comparison.problems(scale)}


def measured(problem: Problem, scale: Scale) -> xr.Dataset:
    """At the start of each seed's run."""
    train = jax.tree.map(jnp.asarray, problem.task.data.train)
    values = jax.jit(jax.vmap(lambda seed: _distances(problem, train, jax.random.key(seed))))(scale.seeds)
    names = ("projection", "distance", "mean_distance")
    start_varies = problem.name == "network"
    data = {name: ("seed", np.asarray(value, float)) for name, value in zip(names, values, strict=True)}
    return xr.Dataset(data, {"seed": scale.seeds}, {"title": problem.title, "start_varies": start_varies})


def _distances(problem: Problem, train, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    gradient = _gradient(problem, key)
    full = gradient(train)
    norm = jnp.linalg.norm(full)
    num_examples = train.num_rows

    def of_row(row):
        one = gradient(jax.tree.map(lambda leaf: leaf[row][None], train))
        return one @ full / norm**2, jnp.linalg.norm(one - full) / norm, one

    def add(total, row):
        projection, distance, one = of_row(row)
        return total + one, (projection, distance)

    total, (projections, distances) = jax.lax.scan(add, jnp.zeros_like(full), jnp.arange(num_examples))
    drawn = batch_rows(key, jnp.zeros((), jnp.int32), NUM_DRAWS, num_examples, 1, "with_replacement")[:, 0]
    off = jnp.linalg.norm(total / num_examples - full) / norm
    return jnp.mean(projections[drawn]), jnp.median(distances), off


def _gradient(problem: Problem, key: jax.Array) -> Callable:
    """`gradient(batch) -> [num_params]` at the start of the run with that key."""
    task = problem.task
    params, state = task.model.init(key)

    def gradient(batch):
        found = jax.grad(lambda p: task.objective(p, state, batch)[0])(params)
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(found)])

    return gradient


def judge(measured: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """The verdict on (a)."""
    unbiased, far, checks = [], [], []
    for data in measured.values():
        title, distance = data.attrs["title"], data.distance.values
        unbiased.append(Evidence(title, mean_interval(data.projection.values)))
        far.append(
            Evidence(
                title, geometric_mean_interval(distance) if data.attrs["start_varies"] else exact(_first(distance))
            )
        )
        off = float(np.max(data.mean_distance.values, initial=0.0))
        checks.append(
            Check(
                f"The mean over all examples is the full gradient: {title}", off < SAME, f"relative distance {off:.1e}"
            )
        )
    return [Verdict(CLAIM, {"samples right on average": unbiased, "one sample far off": far}, checks)]


def _first(values: np.ndarray) -> float:
    return float(values[0]) if len(values) else np.nan


PART = Part("gradients", "Gradients: of one sample and of all", (CLAIM,), measure, judge)
