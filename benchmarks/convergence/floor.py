"""The noise floor of least squares: where descent with a constant rate settles around the optimum, next to its theory.

The data are diabetes', their principal axes scaled to curvatures that span a factor of 10. As they are they span one of
470, and the flattest direction settles in hundreds of epochs at rates at which the laws hold.
"""

import functools
import itertools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from benchmarks.convergence.parts import COLORS, LANE_WIDTH, MARKERS, Picture, Scale, label
from benchmarks.convergence.problems import with_gap
from dlcore.core.dataset import Split
from dlcore.core.task import Task
from dlcore.evidence.claims import Claim, Evidence, SubClaim, Verdict, within
from dlcore.evidence.intervals import Interval, geometric_mean_interval, mean_interval
from dlcore.evidence.slopes import slopes_interval

NUM_EXAMPLES = 440  # of 442: a remainder that batches of 8 leave out of each epoch would be noise of its own
CURVATURE_RANGE = 10.0
BATCH_SIZES = (1, 8)
SAMPLINGS = ("with_replacement", "reshuffle")
WAYS = {"with_replacement": "with replacement", "reshuffle": "reshuffled"}
# Learning rate x steps of an epoch x largest curvature: what separates the laws of shuffled descent.
RELATIVE_RATES = 2.0 ** np.arange(-4, 4)
# Shuffled, the floor is of second order in the rate while an epoch moves little, and its level that of the lowest order
# while it moves very little. With replacement, settling takes 1 / (rate x smallest curvature) steps: from 1/2 on, the
# flattest direction has e^-5 left to go when the averaging begins; from 8 on, the next order of the rate adds 10 % with
# batches of 8.
JUDGED_EXPONENT = {"with_replacement": (0.5, 4.0), "reshuffle": (0.0, 1.0)}
JUDGED_LEVEL = {"with_replacement": (0.5, 4.0), "reshuffle": (0.0, 0.25)}
# Records are 0.618 epochs apart (the golden ratio), so that they meet all parts of an epoch equally often.
INTERVALS = {1: 272, 8: 34}
NUM_RECORDS, NUM_RECORDS_QUICK = 160, 96
EXPONENTS = {"with_replacement": 1.0, "reshuffle": 2.0}
SAME_EXPONENT = 0.15
SAME_LEVEL = 1.25

CLAIM = Claim(
    "floor",
    "With a constant rate, stochastic descent settles at a noise floor that theory predicts.",
    (
        SubClaim(
            "exponent, with replacement",
            "Drawn with replacement, the floor is proportional to the rate.",
            "b in: floor = a x rate^b, fitted for each seed",
            within(1 - SAME_EXPONENT, 1 + SAME_EXPONENT),
            "exponent {}",
        ),
        SubClaim(
            "exponent, reshuffled",
            "Reshuffled, the floor is proportional to the square of the rate, where rate x steps of an epoch x "
            "largest curvature is at most 1.",
            "b in: floor = a x rate^b, fitted for each seed",
            within(2 - SAME_EXPONENT, 2 + SAME_EXPONENT),
            "exponent {}",
        ),
        SubClaim(
            "level, with replacement",
            "Drawn with replacement, the floor is rate x tr(C) / (4 x batch size), with C the covariance of one "
            "example's gradient at the optimum.",
            "floor (loss above the optimum), measured / predicted",
            within(1 / SAME_LEVEL, SAME_LEVEL),
            "{} of theory",
        ),
        SubClaim(
            "level, reshuffled",
            "Reshuffled, the floor is rate^2 x (steps of an epoch + 1) x tr(H C_B) / 12, with H the Hessian and C_B "
            "the covariance of a batch's gradient.",
            "floor (loss above the optimum), measured / predicted",
            within(1 / SAME_LEVEL, SAME_LEVEL),
            "{} of theory",
        ),
    ),
)


class Quadratic(NamedTuple):
    """Least squares whose optimum is at zero, where float32 resolves the smallest error.

    task: reports `gap`, the loss above the optimum.
    hessian: of the loss, [11, 11].
    covariance: of one example's gradient at the optimum, [11, 11].
    """

    task: Task
    hessian: np.ndarray
    covariance: np.ndarray

    @property
    def largest_curvature(self) -> float:
        """Largest eigenvalue of the Hessian."""
        return float(np.linalg.eigvalsh(self.hessian)[-1])


@functools.cache
def quadratic() -> Quadratic:
    """Diabetes in scaled principal axes; the targets are what the solution leaves of them, so the optimum is zero."""
    data = dl.data.diabetes(test=0.0)
    inputs, targets = (part[:NUM_EXAMPLES].astype(np.float64) for part in (data.train.inputs, data.train.targets))
    axes = np.linalg.svd(inputs - inputs.mean(0), full_matrices=False)[0] * np.sqrt(NUM_EXAMPLES)
    inputs = axes * np.geomspace(1, CURVATURE_RANGE**-0.5, axes.shape[1])
    design = np.column_stack([inputs, np.ones(NUM_EXAMPLES)])
    residuals = targets - design @ np.linalg.lstsq(design, targets, rcond=None)[0]
    hessian = 2 * design.T @ design / NUM_EXAMPLES
    gradients = -2 * residuals[:, None] * design
    curvature = jnp.asarray(hessian, jnp.float32)

    def gap(params, loss):
        layer = params["layers"][0]
        error = jnp.concatenate([layer["kernel"][:, 0], layer["bias"]])
        return 0.5 * error @ curvature @ error  # the loss minus the optimum would cancel

    split = Split(inputs.astype(np.float32), residuals.astype(np.float32))
    data = dl.data.Dataset(split, name="diabetes_axes", source="scikit-learn's diabetes in scaled principal axes")
    task = dl.tasks.regression(dl.models.linear(inputs.shape[1]), data)
    return Quadratic(with_gap(task, gap), hessian, gradients.T @ gradients / NUM_EXAMPLES)


def measure(scale: Scale) -> xr.Dataset:
    """Runs that start at the optimum, where `dl.models.linear` begins.

    Returns:
      floor: loss above the optimum, mean of the second half of the records; dims (sampling, batch_size, relative_rate,
        seed). theory: dims (sampling, batch_size, relative_rate). learning_rate: dims (batch_size, relative_rate).
    """
    problem = quadratic()
    sizes = BATCH_SIZES[:1] if scale.quick else BATCH_SIZES
    num_records = NUM_RECORDS_QUICK if scale.quick else NUM_RECORDS

    def fit(sampling, batch_size, relative_rate, seed):
        """Where descent at a constant rate settles."""
        return dl.training(
            jax.random.key(seed),
            problem.task,
            optax.sgd(_learning_rate(problem, batch_size, relative_rate)),
            batch_size=batch_size,
            num_steps=num_records * INTERVALS[batch_size],
            record_every=INTERVALS[batch_size],
            evaluate=("train",),
            sampling=sampling,
        )

    history = dl.sweep(
        fit,
        along="epoch",
        lane_width=LANE_WIDTH,
        store=scale.store("theory", "noise_floor"),
        final_state=False,
        progress=False,
        sampling=list(SAMPLINGS),
        batch_size=list(sizes),
        relative_rate=RELATIVE_RATES,
        seed=scale.seeds,
    )
    late = history.train_gap.isel(epoch=slice(history.sizes["epoch"] // 2, None))
    theory = [[_theory(problem, sampling, size) for size in sizes] for sampling in SAMPLINGS]
    rates = [_learning_rate(problem, size, RELATIVE_RATES) for size in sizes]
    return xr.Dataset(
        {
            "floor": late.astype(float).mean("epoch"),
            "theory": (("sampling", "batch_size", "relative_rate"), np.array(theory)),
            "learning_rate": (("batch_size", "relative_rate"), np.array(rates)),
        }
    )


def _learning_rate(problem: Quadratic, batch_size, relative_rate):
    return relative_rate / (NUM_EXAMPLES // batch_size * problem.largest_curvature)


def _theory(problem: Quadratic, sampling: str, batch_size: int) -> np.ndarray:
    """Loss above the optimum to leading order in the rate, at each of the relative rates.

    With e the distance from the optimum, H the Hessian and C / B the covariance of a batch's gradient at the optimum, a
    step is e <- (I - rate H) e - rate g. A covariance S of e that no step changes solves H S + S H = rate C / B up to
    higher orders, so the loss tr(H S) / 2 is rate tr(C) / (4 B).

    Without replacement the gradients of an epoch's m steps cancel: after k of them the covariance of their sum is
    k (m - k) / (m - 1) C_batch with C_batch = C / B (n - B) / (n - 1), on average over k (m + 1) / 6 C_batch.
    """
    rates = _learning_rate(problem, batch_size, RELATIVE_RATES)
    if sampling == "with_replacement":
        return rates * np.trace(problem.covariance) / (4 * batch_size)
    steps = NUM_EXAMPLES // batch_size
    share = (NUM_EXAMPLES - batch_size) / (NUM_EXAMPLES - 1) / batch_size
    return rates**2 * (steps + 1) * share * np.trace(problem.hessian @ problem.covariance) / 12


def judge(measured: xr.Dataset) -> Verdict:
    """Exponent and level for each way of sampling and batch size."""
    evidence: dict[str, list[Evidence]] = {part.name: [] for part in CLAIM.parts}
    for sampling in SAMPLINGS:
        way = WAYS[sampling]
        for size in measured.batch_size.values:
            part = measured.sel(sampling=sampling, batch_size=size)
            found = part.sel(relative_rate=slice(*JUDGED_EXPONENT[sampling]))
            slope = slopes_interval(np.log(found.relative_rate.values), _logs(found)[0])
            evidence[f"exponent, {way}"].append(Evidence(label(int(size)), slope, _range(found)))
            found = part.sel(relative_rate=slice(*JUDGED_LEVEL[sampling]))
            logs, theory = _logs(found)
            level = geometric_mean_interval(np.exp((logs - theory).mean(axis=1)))
            evidence[f"level, {way}"].append(Evidence(label(int(size)), level, _range(found)))
    return Verdict(CLAIM, evidence)


def _range(measured: xr.Dataset) -> str:
    rates = measured.relative_rate.values
    return f"rate x steps of an epoch x largest curvature from {rates[0]:g} to {rates[-1]:g}"


def _logs(measured: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the floor [n_seeds, n_rates] and of its theory [n_rates]; NaN where a floor is not positive."""
    floor = measured.floor.transpose("seed", "relative_rate")
    return np.log(floor.where(floor > 0).values), np.log(measured.theory.values)


def tables(measured: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Local exponents between neighboring rates, and levels over theory, with intervals over seeds."""
    rates = measured.relative_rate.values
    places = "rate x steps of an epoch x largest curvature"
    exponents: dict[str, list[str]] = {places: [f"{a:g} to {b:g}" for a, b in itertools.pairwise(rates)]}
    levels: dict[str, list[str]] = {places: [f"{rate:g}" for rate in rates]}
    for sampling in SAMPLINGS:
        inside = _inside(rates, JUDGED_EXPONENT[sampling])
        for size in measured.batch_size.values:
            logs, theory = _logs(measured.sel(sampling=sampling, batch_size=size))
            name = f"{WAYS[sampling]}, {label(int(size))}"
            local = np.diff(logs, axis=1) / np.diff(np.log(rates))
            exponents[name] = _column([mean_interval(each) for each in local.T], inside[:-1] & inside[1:])
            ratios = [geometric_mean_interval(each) for each in np.exp(logs - theory).T]
            levels[name] = _column(ratios, _inside(rates, JUDGED_LEVEL[sampling]))
    return {
        "Noise floor: exponent between neighboring rates, 95 % intervals (in parentheses: not judged)": pd.DataFrame(
            exponents
        ),
        "Noise floor: measured / theory, 95 % intervals (in parentheses: not judged)": pd.DataFrame(levels),
    }


def _inside(rates: np.ndarray, judged: tuple[float, float]) -> np.ndarray:
    return (rates >= judged[0]) & (rates <= judged[1])


def _column(intervals: list[Interval], judged: np.ndarray) -> list[str]:
    texts = [
        f"{each.estimate:.3f} [{each.low:.3f}, {each.high:.3f}]" if each.bound == "two-sided" else str(each)
        for each in intervals
    ]
    return [text if inside else f"({text})" for text, inside in zip(texts, judged, strict=True)]


def draw(measured: xr.Dataset) -> Picture:
    """The floor against the rate, with and without replacement, next to theory."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    titles: Mapping[str, str] = {
        "with_replacement": "With replacement: theory rate tr(C) / 4B",
        "reshuffle": r"Reshuffled: theory rate$^2$ (m + 1) tr(H C$_B$) / 12",
    }
    for ax, sampling in zip(figure.subplots(1, 2, sharey=True), SAMPLINGS, strict=True):
        for size in map(int, measured.batch_size.values):
            part = measured.sel(sampling=sampling, batch_size=size)
            rate, floor = part.learning_rate.values, np.exp(_logs(part)[0].mean(axis=0))
            judged = _inside(part.relative_rate.values, JUDGED_EXPONENT[sampling])
            style = {"color": COLORS[size], "marker": MARKERS[size], "linestyle": "none", "markersize": 6}
            ax.plot(rate[judged], floor[judged], **style, label=label(size))
            ax.plot(rate[~judged], floor[~judged], **style, markerfacecolor="white")
            ax.plot(rate, part.theory.values, color=COLORS[size], linewidth=1.1)
        ax.plot([], [], color="0.4", linewidth=1.1, label="theory")
        ax.plot([], [], "o", color="0.4", markerfacecolor="white", label="not judged")
        ax.set(xscale="log", yscale="log", xlabel="learning rate", title=titles[sampling])
        ax.minorticks_off()
    figure.axes[0].set_ylabel("loss above the optimum")
    figure.axes[0].legend(fontsize=8, frameon=False)
    caption = (
        "Theory (floor). Least squares on diabetes: the loss above the optimum at which runs settle that start "
        f"there, against the learning rate. Markers: geometric mean over {measured.sizes['seed']} seeds of the mean "
        "over the second half of a run. Lines: theory, nothing fitted; B is the batch size, m the steps of an "
        "epoch, H the Hessian, C and C_B the covariance of one example's and of a batch's gradient. Filled markers "
        "are judged. Hollow ones, with replacement: small rates have not settled yet, the largest leaves the first "
        "order; reshuffled: rate x m x largest curvature is above 1, and the floor turns to that with replacement."
    )
    return Picture("noise_floor", caption, figure, (CLAIM.name,))
