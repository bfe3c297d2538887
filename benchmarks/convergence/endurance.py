"""Claim (e): what descent comes to, given time."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

import dlcore as dl
from benchmarks.convergence import drawn, endurance_figures
from benchmarks.convergence.descents import descend
from benchmarks.convergence.parts import Part, Picture, Scale
from benchmarks.convergence.problems import Problem
from dlcore.core.order import Sampling
from dlcore.evidence import (
    Claim,
    Evidence,
    Interval,
    SubClaim,
    Verdict,
    above,
    below,
    exact,
    exact_slope,
    geometric_mean_interval,
    slopes_interval,
    undetermined,
    within,
)

EPOCHS, RECORD_EPOCHS = 600, 2  # of all methods: equal examples; records at the ends of epochs
SPECTRUM, NUM_EXAMPLES, NOISE = np.geomspace(1.0, 0.1, 10), 256, 1.0
STRENGTH = 0.1  # of the L2 penalty: a condition number of about 20
TINY = 1e-11  # share of the initial gap that only a descent without a floor falls to
MIDDLE, LATE = (1e-5, 1e-8), (1e-8, TINY)  # gaps between which the slopes of full batch are compared
CONSTANT = {"constant": 1 / 8, "constant, a quarter": 1 / 32}  # rates, in units of half of what single samples stand
# c of a rate that falls as c / t, times the smallest curvature. Above 1/2 the gap falls as 1 / t, reshuffled as 1 / t^2
# above 1, as soon as the rate is small for a whole epoch.
PACE = 3.0
NUM_BINS = 6  # of equal ratio, over the last factor of 10 in epochs: the points of the judged lines
FLOOR = 0.25  # exponents up to which a gap does not fall
FAR_ABOVE = 100 * TINY
EXPONENT = "b in: gap = a x epochs^b, over the last factor of 10 in epochs"
READS = "exponent {}"

CLAIM = Claim(
    "e",
    "Given time, batch descent finds the best solution, stochastic descent only a good one.",
    (
        SubClaim(
            "full batch falls steadily",
            "Full batch's gap falls by the same factor in every epoch, late in a run as before.",
            f"slope of log(gap) against epochs, for gaps from {LATE[0]:g} to {LATE[1]:g} / for {MIDDLE[0]:g} to "
            f"{MIDDLE[1]:g}",
            within(0.8, 1.25),
            "slopes {}",
        ),
        SubClaim(
            "full batch reaches the best",
            f"Full batch's gap falls below {TINY:g}, which is as good as the optimum.",
            f"gap after {EPOCHS} epochs, share of the initial one",
            below(TINY),
            "gap {}",
        ),
        SubClaim(
            "floor at a constant rate",
            "At a constant rate, single samples stop getting better.",
            EXPONENT,
            within(-FLOOR, FLOOR),
            READS,
        ),
        SubClaim(
            "floor far from the best",
            "The floor of single samples at a constant rate is far above what full batch falls to.",
            "mean gap in the last tenth of the epochs, share of the initial one",
            above(FAR_ABOVE),
            "gap {}",
        ),
        SubClaim(
            "floor at a 1/t rate, with replacement",
            "At a rate that falls as 1/t, single samples drawn with replacement stop getting better, too.",
            EXPONENT,
            above(-FLOOR),
            READS,
        ),
        SubClaim(
            "floor at a 1/t rate, reshuffled",
            "At such a rate, reshuffled single samples stop getting better, too.",
            EXPONENT,
            above(-FLOOR),
            READS,
        ),
    ),
)
SAMPLINGS: dict[str, Sampling] = {"with replacement": "with_replacement", "reshuffled": "reshuffle"}
DECAYING = "decaying"

Measured = Mapping[str, xr.Dataset]


def problems(scale: Scale) -> dict[str, Problem]:
    """Strongly convex ones of moderate condition."""

    def settings(num_examples: int) -> dict:
        return {
            "targets": (),
            "epochs": {"full": EPOCHS, 1: EPOCHS},
            "record_every": RECORD_EPOCHS * num_examples,
        }

    random = np.random.default_rng(scale.first_seed)
    found = {"least_squares": drawn.least_squares(random, NUM_EXAMPLES, SPECTRUM, NOISE, **settings(NUM_EXAMPLES))}
    if not scale.quick:
        found["logistic_regression"] = drawn.breast_cancer(STRENGTH, **settings(569))
    return found


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """Problem to its gaps; see `gaps_of`."""
    return {name: gaps_of(problem, scale) for name, problem in problems(scale).items()}


def gaps_of(problem: Problem, scale: Scale) -> xr.Dataset:
    """Gaps along runs of equally many examples.

    Returns:
      full: dims (epoch), a single run, which is deterministic. single: dims (sampling, schedule, seed, epoch), at each
      constant rate and at one that falls as PACE / (smallest curvature * t).
    """
    assert problem.hessian_eigenvalues is not None
    smallest = float(problem.hessian_eigenvalues[0])
    full = descend(
        problem,
        "full",
        learning_rate=np.array([problem.learning_rates["full"]]),
        decay=np.zeros(1),
        seed=scale.seeds[:1],
        store=scale.store("endurance", problem.name, "full"),
    ).isel(learning_rate=0, decay=0, seed=0, drop=True)
    rates = problem.learning_rates[1] * np.array([*CONSTANT.values(), 1.0])
    decays = np.array([*(0.0 for _ in CONSTANT), problem.learning_rates[1] * smallest / PACE])
    single = xr.concat(
        [
            descend(
                problem,
                1,
                dl.points(learning_rate=rates, decay=decays),
                seed=scale.seeds,
                sampling=sampling,
                store=scale.store("endurance", problem.name, sampling),
            )
            for sampling in SAMPLINGS.values()
        ],
        xr.Variable("sampling", list(SAMPLINGS)),
    )
    single = single.rename(point="schedule").drop_vars(["learning_rate", "decay"], errors="ignore")
    single = single.assign_coords(schedule=[*CONSTANT, DECAYING])
    return xr.Dataset({"full": _over_epochs(full), "single": _over_epochs(single)}, attrs={"title": problem.title})


def _over_epochs(gap: xr.DataArray) -> xr.DataArray:
    return gap.swap_dims(step="epoch").drop_vars(["step", "examples"])


def in_bins(gap: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Middle epochs [k] and mean gaps [..., k] of bins of equal ratio over the last factor of 10 in epochs."""
    last = float(gap.epoch[-1])
    edges = last * 10.0 ** np.linspace(-1, 0, NUM_BINS + 1)
    edges[-1] = np.inf
    inside = [(gap.epoch.values >= low) & (gap.epoch.values < high) for low, high in itertools.pairwise(edges)]
    values = gap.transpose(..., "epoch").values
    kept = [rows for rows in inside if rows.any()]
    times = np.array([np.exp(np.log(gap.epoch.values[rows]).mean()) for rows in kept])
    return times, np.stack([values[..., rows].mean(-1) for rows in kept], axis=-1)


def exponent(gap: xr.DataArray) -> Interval:
    """Of the gap in time, late; one slope a seed; gap: dims (seed, epoch)."""
    if not gap.size or gap.sizes["epoch"] < 2 * NUM_BINS:
        return undetermined("too few records")
    times, means = in_bins(gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        return slopes_interval(np.log(times), np.log(means))


def late_over_middle(full: xr.DataArray) -> Interval:
    """Slope of log gap in epochs late over the one before."""
    slopes = [_slope_between(full, *gaps) for gaps in (MIDDLE, LATE)]
    for slope in slopes:
        if slope.bound == "none":
            return slope
    middle, late = (slope.estimate for slope in slopes)
    return exact(late / middle) if middle < 0 else undetermined("the gap does not fall")


def _slope_between(full: xr.DataArray, high: float, low: float) -> Interval:
    values = full.values
    if not np.isfinite(values).all() or values.min(initial=np.inf) > low:
        return undetermined(f"full batch does not fall to {low:g}")
    begin, end = (int(np.argmax(values <= gap)) for gap in (high, low))
    if end - begin < 2:
        return undetermined("too few records")
    return exact_slope(full.epoch.values[begin : end + 1], np.log(np.maximum(values[begin : end + 1], 1e-30)))


def last_gap(full: xr.DataArray) -> Interval:
    """Of full batch at its end."""
    values = full.values[-1:]
    finite = len(values) > 0 and bool(np.isfinite(values).all())
    return exact(float(values[0])) if finite else undetermined("no finite gap")


def judge(measured: Measured) -> list[Verdict]:
    """The verdict on (e)."""
    found: dict[str, list[Evidence]] = {part.name: [] for part in CLAIM.parts}
    for data in measured.values():
        title = data.attrs["title"]
        found["full batch falls steadily"].append(Evidence(title, late_over_middle(data.full)))
        found["full batch reaches the best"].append(Evidence(title, last_gap(data.full)))
        for schedule in CONSTANT:
            for sampling in SAMPLINGS:
                gap = data.single.sel(schedule=schedule, sampling=sampling)
                condition = f"{title}, {sampling}, {endurance_figures.STYLES[schedule][1]}"
                found["floor at a constant rate"].append(Evidence(condition, exponent(gap)))
                found["floor far from the best"].append(Evidence(condition, floor(gap)))
        for sampling in SAMPLINGS:
            gap = data.single.sel(schedule=DECAYING, sampling=sampling)
            found[f"floor at a 1/t rate, {sampling}"].append(Evidence(title, exponent(gap)))
    return [Verdict(CLAIM, found)]


def floor(gap: xr.DataArray) -> Interval:
    """Mean gap of the last tenth of the epochs one of each seed; gap: dims (seed, epoch)."""
    if not gap.size:
        return undetermined("no runs")
    late = gap.isel(epoch=gap.epoch.values >= 0.9 * float(gap.epoch[-1]))
    return geometric_mean_interval(late.mean("epoch", skipna=False).values)


def tables(measured: Measured) -> dict[str, pd.DataFrame]:
    """Exponents and last gaps."""
    rows = []
    for data in measured.values():
        problem = {"problem": data.attrs["title"]}
        rows.append({**problem, "descent": "full batch", "last gap (median)": f"{float(data.full[-1]):.2g}"})
        for schedule, sampling in itertools.product(data.schedule.values, SAMPLINGS):
            gap = data.single.sel(schedule=schedule, sampling=sampling)
            last = f"{float(gap.isel(epoch=-1).median()):.2g}"
            name = f"single samples, {sampling}, {endurance_figures.STYLES[schedule][1]}"
            rows.append(
                {**problem, "descent": name, "last gap (median)": last, "exponent in epochs": str(exponent(gap))}
            )
    title = f"Gap, as a share of the initial one, after {EPOCHS} epochs, and the exponent with which it falls at last"
    return {title: pd.DataFrame(rows).fillna("")}


def draw(measured: Measured) -> Sequence[Picture]:
    """Gaps against epochs."""
    return [endurance_figures.gaps(measured, TINY)] if measured else []


PART = Part("endurance", "Endurance: what descent comes to, given time", (CLAIM,), measure, judge, draw, tables)
