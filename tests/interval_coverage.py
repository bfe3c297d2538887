"""How often intervals hold the truth, by simulation: `python -m tests.interval_coverage` prints the table (5 minutes).

Every interval of `dl.evidence` at a level of 95 %, of runs that are normal, heavy-tailed (t with 3 degrees of freedom)
or skewed (exponential), at n = 8 and 16, and of ratios of which some are censored. Of intervals on the log scale these
laws are of the logarithms: those of log-normal costs are the normal ones. Skewed costs are exponential themselves, on
both sides of a ratio. Shares are enumerated.
"""

import argparse
import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

import dlcore as dl
from dlcore.evidence.intervals import Interval

Sampler = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Measure = Callable[[np.ndarray], tuple[Interval, float]]  # observations of unit scale to an interval and its truth


class Law(NamedTuple):
    """A distribution of observations with its mean and median; of_costs: that of the logarithms of costs."""

    sample: Sampler
    mean: float
    median: float
    of_costs: bool = False


LAWS = {
    "normal": Law(lambda rng, shape: rng.normal(size=shape), 0.0, 0.0),
    "heavy-tailed": Law(lambda rng, shape: rng.standard_t(3, size=shape), 0.0, 0.0),
    "skewed": Law(lambda rng, shape: rng.exponential(size=shape), 1.0, math.log(2)),
    "skewed costs": Law(
        lambda rng, shape: np.log(rng.exponential(size=shape)), -np.euler_gamma, math.log(math.log(2)), of_costs=True
    ),
}


OF_DIFFERENCES = ("mean_interval", "paired_difference")  # not for costs


class Row(NamedTuple):
    """How often an interval was wrong.

    below: share of intervals that the truth is below of; above: that it is above of. undetermined: share without any
    limit, which are never wrong.
    """

    kind: str
    law: str
    count: int
    truth: str
    below: float
    above: float
    undetermined: float = 0.0

    @property
    def coverage(self) -> float:
        """Share of intervals that hold the truth."""
        return 1 - self.below - self.above


def row(kind: str, law: str, count: int, truth: str, found: list[tuple[Interval, float]]) -> Row:
    """Of intervals with what they should hold."""
    below = np.mean([true < interval.low for interval, true in found])
    above = np.mean([true > interval.high for interval, true in found])
    none = np.mean([interval.bound == "none" for interval, _ in found])
    return Row(kind, law, count, truth, float(below), float(above), float(none))


def means(
    law: Law, rng: np.random.Generator, count: int, num: int
) -> dict[str, tuple[str, list[tuple[Interval, float]]]]:
    """Intervals of means, `num` of each kind, with the truth in words and as a number; of costs, on the log scale."""
    draw = functools.partial(law.sample, rng, (num, count))
    values, other = draw(), draw()
    places = np.arange(4.0)
    lines = law.sample(rng, (num, count, 4)) + 2 * places
    means_of = dl.evidence.geometric_mean_interval
    found = {
        "mean_interval": ("mean", [(dl.evidence.mean_interval(v), law.mean) for v in values]),
        "geometric_mean_interval": ("mean of logs", [(means_of(v), math.exp(law.mean)) for v in np.exp(values)]),
        "paired_difference": (
            "mean",
            [(dl.evidence.paired_difference(v, w), 0.0) for v, w in zip(values, other, strict=True)],
        ),
        "slopes_interval": ("mean slope", [(dl.evidence.slopes_interval(places, line), 2.0) for line in lines]),
        "product": (
            "mean of logs",
            [
                (dl.evidence.product(means_of(v), means_of(w)), math.exp(2 * law.mean))
                for v, w in zip(np.exp(values), np.exp(0.5 * (other + law.mean)), strict=True)
            ],
        ),
    }
    return {kind: rows for kind, rows in found.items() if not (law.of_costs and kind in OF_DIFFERENCES)}


def ratios(
    law: Law, rng: np.random.Generator, count: int, num: int, censored: float, both: bool
) -> tuple[str, list[tuple[Interval, float]]]:
    """Intervals of paired ratios of which so large a share of the slowest runs of one side, or of both, is censored.

    Log costs have a part that is common to a pair; what is left has the law in `a`, and for a law of costs in `b` too,
    so that ratios are as often above as below 1. Where no run of a sample happens to be censored, the interval is one
    of the mean, otherwise one of the median.
    """
    common = rng.normal(size=(num, count))
    own = law.sample(rng, (num, count)) if law.of_costs else 0.0
    a, b = np.exp(common + law.sample(rng, (num, count))), np.exp(common + own)
    limit_a, limit_b = (np.quantile(a, 1 - censored) if censored else math.inf), math.inf
    if both:
        limit_b = np.quantile(b, 1 - censored)
    mean, median = (0.0, 0.0) if law.of_costs else (law.mean, law.median)
    a, b = np.where(a > limit_a, np.nan, a), np.where(b > limit_b, np.nan, b)
    found = []
    for one, other in zip(a, b, strict=True):
        whole = not (np.isnan(one) | np.isnan(other)).any()
        interval = dl.evidence.paired_ratio(one, other, limit_a=limit_a, limit_b=limit_b)
        found.append((interval, math.exp(mean if whole else median)))
    return "mean or median of logs" if mean != median else "median of logs", found


def censored_products(law: Law, rng: np.random.Generator, count: int, num: int) -> list[tuple[Interval, float]]:
    """A median ratio of which a tenth of one side is censored, times a geometric mean that is as uncertain."""
    _, found = ratios(law, rng, count, num, 0.1, both=False)
    others = np.exp(law.sample(rng, (num, count)))
    return [
        (dl.evidence.product(interval, dl.evidence.geometric_mean_interval(other)), true * math.exp(law.mean))
        for (interval, true), other in zip(found, others, strict=True)
    ]


def shares(count: int) -> Iterator[Row]:
    """The worst case over true shares, each exactly."""
    outcomes = np.arange(count + 1)
    grid = np.linspace(0.0, 1.0, 101)
    intervals = [dl.evidence.share_interval(k, count) for k in outcomes]
    chances = stats.binom.pmf(outcomes, count, grid[:, None])
    low, high = (np.array([getattr(interval, end) for interval in intervals]) for end in ("low", "high"))
    below = (chances * (grid[:, None] < low)).sum(axis=1)
    above = (chances * (grid[:, None] > high)).sum(axis=1)
    yield Row("share_interval", "worst share", count, "share", float(below.max()), float(above.max()))
    differences = [[dl.evidence.share_difference(i, count, j, count) for j in outcomes] for i in outcomes]
    low, high = (np.array([[getattr(d, end) for d in line] for line in differences]) for end in ("low", "high"))
    joint = chances[:, None, :, None] * chances[None, :, None, :]
    true = (grid[:, None] - grid)[:, :, None, None]
    slack = 1e-6  # a difference that is a limit itself, up to rounding
    below = (joint * (true < low - slack)).sum(axis=(2, 3))
    above = (joint * (true > high + slack)).sum(axis=(2, 3))
    yield Row("share_difference", "worst shares", count, "difference", float(below.max()), float(above.max()))


def table(num: int, *, laws=tuple(LAWS), counts=(8, 16), censored=(0.02, 0.1, 0.5)) -> Iterator[Row]:
    """All rows, from `num` replications each; of products of censored factors from a tenth."""
    rng = np.random.default_rng(0)
    for count in counts:
        yield from shares(count)
        for name in laws:
            for kind, (truth, found) in means(LAWS[name], rng, count, num).items():
                yield row(kind, name, count, truth, found)
            num_products = max(1, num // 10)  # p-values of products take their time
            found = censored_products(LAWS[name], rng, count, num_products)
            yield row("product, a factor censored", name, count, "median times mean of logs", found)
            truth, found = ratios(LAWS[name], rng, count, num, 0.0, both=False)
            yield row("paired_ratio", name, count, truth, found)
            for share in censored:
                for both in (False, True):
                    truth, found = ratios(LAWS[name], rng, count, num, share, both)
                    kind = f"paired_ratio, {share:.0%} of {'both sides' if both else 'one side'} censored"
                    yield row(kind, name, count, truth, found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=20_000)
    parser.add_argument("--count", type=int, nargs="*", default=(8, 16), help="runs of an interval")
    print("coverage  truth below  truth above  undetermined   n  law           interval (what it should hold)")
    chosen = parser.parse_args()
    for each in table(chosen.replications, counts=chosen.count):
        numbers = f"{each.coverage:8.1%}  {each.below:11.1%}  {each.above:11.1%}  {each.undetermined:12.1%}"
        print(f"{numbers}  {each.count:2}  {each.law:12}  {each.kind} ({each.truth})", flush=True)


if __name__ == "__main__":
    main()
