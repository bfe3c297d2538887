"""The eight textbook differences between batch and stochastic descent: claims, thresholds, verdicts.

The thresholds stand here, apart from the measurements. They were written after pilot runs with seeds 0 to 7, which are
not among those that are judged (`measure.FIRST_SEED`).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import xarray as xr

from benchmarks.convergence.measure import Tuning
from benchmarks.convergence.problems import PROBLEMS, BatchSize
from dlcore.evidence.claims import Claim, Evidence, Outcome, Verdict
from dlcore.evidence.intervals import Interval, mean_interval, paired_difference, paired_ratio, slope_interval

SAME_GRADIENT = 1e-4  # relative distance up to which two gradients are the same
ANOTHER_GRADIENT = 0.1
TIMES_SLOWER = 1.0  # ratio of costs above which batch descent is the more expensive
GROWS_WITH_SET, INDEPENDENT_OF_SET = 0.5, 0.25  # exponent of the cost against the number of examples
SAME_RESULT = 1e-5  # relative spread between orders of the examples
FOUND_OPTIMUM = 1e-4  # share of the initial gap
NEEDS_SHUFFLING = 1.5  # ratio of gaps, unshuffled to shuffled
ESCAPES_MORE = 0.1  # difference of shares

CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "a",
            "Batch descent computes the gradient over the whole training set, stochastic descent from one sample.",
            f"The mean of the single-sample gradients is within {SAME_GRADIENT:g} (relative) of the full gradient; a "
            f"typical single one is more than {ANOTHER_GRADIENT:g} away.",
        ),
        Claim(
            "b",
            "Batch descent is slow and computationally expensive.",
            f"Full batch over single samples, ratio above {TIMES_SLOWER:g}: seconds of one step; examples and seconds "
            "to the finest target that single samples reach.",
        ),
        Claim(
            "c",
            "Batch descent does not suit huge training sets; stochastic descent does.",
            f"Cost to 1 % of the initial gap grows with the number of examples n: exponent above {GROWS_WITH_SET:g} "
            f"for full batch, below {INDEPENDENT_OF_SET:g} for single samples.",
        ),
        Claim(
            "d",
            "Batch descent is deterministic, stochastic descent is random.",
            f"From one start, the relative spread of the loss over orders of the examples is below {SAME_RESULT:g} for "
            "full batch and above it for single samples.",
        ),
        Claim(
            "e",
            "Given time, batch descent finds the best solution, stochastic descent only a good one.",
            f"Share of the initial gap left by long runs: below {FOUND_OPTIMUM:g} for full batch, above it for single "
            "samples.",
        ),
        Claim(
            "f",
            "Stochastic descent needs the examples shuffled, batch descent does not.",
            f"Gap on data stored by target over the gap on shuffled data: above {NEEDS_SHUFFLING:g} for single "
            "samples, below it for full batch.",
        ),
        Claim(
            "g",
            "Stochastic descent escapes shallow local minima more easily.",
            "Share of runs that end in the deep one of two wells, each method at its best learning rate: single "
            f"samples more than {ESCAPES_MORE:g} ahead of full batch.",
        ),
        Claim(
            "h",
            "Stochastic descent converges much faster.",
            f"Full batch over single samples, ratio above {TIMES_SLOWER:g} of the examples and of the seconds to each "
            "target, each method tuned, with a constant or a decaying rate, whichever is better.",
        ),
    )
}

Side = Literal["above", "below"]
Tunings = Mapping[str, Mapping[BatchSize, Tuning]]
Times = Mapping[str, Mapping[BatchSize, float]]


def judge(tunings: Tunings, times: Times, studies: Mapping[str, xr.Dataset]) -> list[Verdict]:
    """A verdict for each claim whose study was made."""
    by_study = {
        "gradients": _gradients,
        "train_set_size": _set_size,
        "determinism": _determinism,
        "endurance": _endurance,
        "shuffling": _shuffling,
        "wells": _wells,
    }
    verdicts = [by_study[name](study) for name, study in studies.items() if name in by_study]
    return sorted([*verdicts, _expense(tunings, times), _speed(tunings, times)], key=lambda verdict: verdict.claim.name)


def _gradients(study: xr.Dataset) -> Verdict:
    evidence = []
    for name in study.problem.values:
        found = study.sel(problem=name)
        mean, single = mean_interval(found["mean"].values), mean_interval(found["single"].values)
        evidence.append(Evidence(name, "distance of the mean gradient", mean, SAME_GRADIENT, "below"))
        evidence.append(Evidence(name, "distance of one gradient", single, ANOTHER_GRADIENT, "above"))
    typical = [float(study["single"].sel(problem=name).mean()) for name in study.problem.values]
    return Verdict(
        CLAIMS["a"],
        evidence,
        f"A single gradient is off by {min(typical):.1f} to {max(typical):.1f} times the length of the full one, and "
        "right on average.",
    )


ONE: dict[BatchSize, float] = {"full": 1.0, 1: 1.0}


def _summary(evidence: Sequence[Evidence]) -> str:
    """How the conditions came out, in numbers."""
    counts = {outcome: sum(e.outcome is outcome for e in evidence) for outcome in Outcome}
    counted = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    estimates = [e.interval.estimate for e in evidence if e.interval.bound != "none"]
    return f"{min(estimates):.2g} to {max(estimates):.2g}; of {len(evidence)} conditions {counted}"


def cost_ratio(
    tunings: Mapping[BatchSize, Tuning], cost: str, target: int, unit: Mapping[BatchSize, float]
) -> Interval:
    """Full batch over single samples, paired by seed, each with the better of a constant and a decaying rate."""
    sides = []
    for batch_size in ("full", 1):
        best = tunings[batch_size].best.isel(target=target)
        medians = best[cost].fillna(np.inf).median("seed")
        side = best.isel(decay=int(medians.argmin("decay")))
        sides.append((side[cost].values * unit[batch_size], float(side[f"limit_{cost}"]) * unit[batch_size]))
    (full, full_limit), (single, single_limit) = sides
    return paired_ratio(full, single, limit_a=full_limit, limit_b=single_limit)


def _finest_reached(tunings: Mapping[BatchSize, Tuning]) -> int:
    """Position of the finest target that half the single-sample runs reach at some rate."""
    reached = tunings[1].best.steps.notnull().mean("seed").max("decay") >= 0.5
    return int(np.flatnonzero(reached.values)[-1])


def _expense(tunings: Tunings, times: Times) -> Verdict:
    evidence = []
    for name, per_size in tunings.items():
        target = _finest_reached(per_size)
        step = times[name]["full"] / times[name][1]
        exact = Interval(step, step, step, 1)
        evidence.append(Evidence(name, "ratio of seconds per step", exact, TIMES_SLOWER, "above"))
        for quantity, cost, unit in (("examples", "examples", ONE), ("seconds", "steps", times[name])):
            interval = cost_ratio(per_size, cost, target, unit)
            gap = PROBLEMS[name]().targets[target]
            evidence.append(Evidence(name, f"ratio of {quantity} to a gap of {gap:g}", interval, TIMES_SLOWER, "above"))
    return Verdict(
        CLAIMS["b"],
        evidence,
        f"Ratios: {_summary(evidence)}.",
    )


def _set_size(study: xr.Dataset) -> Verdict:
    sizes = np.log(study.num_examples.values)
    evidence = []
    for cost in ("examples", "seconds"):
        sides: list[tuple[str, float, Side]] = [("full", GROWS_WITH_SET, "above"), ("1", INDEPENDENT_OF_SET, "below")]
        for method, threshold, side in sides:
            logs = np.log(study[cost].sel(descent=method).values)
            undetermined = Interval(np.nan, np.nan, np.nan, logs.size, bound="none")  # some run never arrived
            known = np.isfinite(logs).all()
            slope = slope_interval(np.repeat(sizes, logs.shape[1]), logs.ravel()) if known else undetermined
            evidence.append(Evidence(f"batch size {method}", f"exponent of {cost} in n", slope, threshold, side))
    largest = study.isel(num_examples=-1).median("seed")
    costs = {
        method: f"{float(largest.examples.sel(descent=key)):.0f} examples and "
        f"{1e3 * float(largest.seconds.sel(descent=key)):.2g} ms"
        for method, key in (("full batch", "full"), ("single samples", "1"))
    }
    return Verdict(
        CLAIMS["c"],
        evidence,
        f"At n = {int(study.num_examples[-1])}: "
        + "; ".join(f"{method} {cost}" for method, cost in costs.items())
        + ".",
    )


def _determinism(study: xr.Dataset) -> Verdict:
    evidence = []
    for name in study.problem.values:
        sides: list[tuple[str, Side]] = [("full", "below"), ("1", "above")]
        for size, side in sides:
            gap = study.gap.sel(problem=name, batch_size=size).values
            spread = mean_interval(np.abs(gap[1:] - gap[0]) / gap[0])
            evidence.append(Evidence(f"{name}, batch size {size}", "relative spread", spread, SAME_RESULT, side))
    full = study.gap.sel(batch_size="full")
    identical = bool((full == full.isel(seed=0)).all())
    return Verdict(
        CLAIMS["d"],
        evidence,
        "The order of the examples changes "
        + ("not one bit" if identical else "nothing beyond rounding")
        + " of full-batch descent. "
        + ("Given its seed, stochastic descent repeats bit for bit too." if bool(study.repeats.all()) else ""),
    )


def _endurance(study: xr.Dataset) -> Verdict:
    evidence = []
    for name in study.problem.values:
        for method in study.descent.values:
            logs = np.log10(study.gap.sel(problem=name, descent=method).values + 1e-12)
            side: Side = "below" if method == "full" else "above"
            quantity = "log10 of the gap left"
            evidence.append(
                Evidence(f"{name}, {method}", quantity, mean_interval(logs), float(np.log10(FOUND_OPTIMUM)), side)
            )
    median = study.gap.median("seed")
    left = {method: float(median.sel(descent=method).max()) for method in study.descent.values}
    return Verdict(
        CLAIMS["e"],
        evidence,
        f"On the hardest problem full batch leaves {left['full']:.1e}, single samples {left['1 constant']:.1e} with a "
        f"constant rate and {left['1 decaying']:.1e} with a decaying one.",
    )


def _shuffling(study: xr.Dataset) -> Verdict:
    evidence = []
    for name in study.problem.values:
        gap = study.gap.sel(problem=name)
        sides: list[tuple[str, str, str, Side]] = [
            ("in_order", "reshuffle", "single samples", "above"),
            ("full in_order", "full shuffled", "full batch", "below"),
        ]
        for stored, shuffled, method, side in sides:
            a, b = (gap.sel(sampling=way).values for way in (stored, shuffled))
            ratio = paired_ratio(a, b, limit_a=np.inf, limit_b=np.inf)
            evidence.append(Evidence(f"{name}, {method}", "ratio of gaps", ratio, NEEDS_SHUFFLING, side))
    once = float((study.gap.sel(sampling="shuffle_once") / study.gap.sel(sampling="reshuffle")).median("seed").max())
    return Verdict(
        CLAIMS["f"],
        evidence,
        f"Shuffling once is nearly enough: at worst {once:.2f} times the gap of shuffling each epoch.",
    )


def _wells(study: xr.Dataset) -> Verdict:
    evidence, shares = [], []
    for landscape in study.landscape.values:
        deep = study.deep.sel(landscape=landscape)
        best = {}
        for size in ("1", "full"):
            runs = deep.sel(batch_size=size)
            best[size] = runs.isel(learning_rate=int(runs.mean("seed").argmax("learning_rate"))).values
        shares.append(f"{landscape}: {best['1'].mean():.0%} against {best['full'].mean():.0%}")
        difference = paired_difference(best["1"], best["full"])
        evidence.append(Evidence(landscape, "difference of shares", difference, ESCAPES_MORE, "above"))
    return Verdict(CLAIMS["g"], evidence, f"Reached the deep well, {'; '.join(shares)}.")


def _speed(tunings: Tunings, times: Times) -> Verdict:
    evidence: dict[str, list[Evidence]] = {"examples": [], "seconds": []}
    for name, per_size in tunings.items():
        for position, target in enumerate(PROBLEMS[name]().targets):
            for quantity, cost, unit in (("examples", "examples", ONE), ("seconds", "steps", times[name])):
                ratio = cost_ratio(per_size, cost, position, unit)
                condition = f"ratio of {quantity} to a gap of {target:g}"
                evidence[quantity].append(Evidence(name, condition, ratio, TIMES_SLOWER, "above"))
    return Verdict(
        CLAIMS["h"],
        [*evidence["examples"], *evidence["seconds"]],
        "; ".join(f"ratio of {quantity} {_summary(found)}" for quantity, found in evidence.items()) + ".",
    )
