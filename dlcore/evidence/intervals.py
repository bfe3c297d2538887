"""Intervals of what independent runs measured: what an interval is, and those of means, on `scipy.stats`.

What cannot be determined is an interval too, with its reason: a judge never has to ask first.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from dlcore.core.arguments import arguments, array, integer, number, text
from dlcore.core.errors import DataError

Bound = Literal["two-sided", "at least", "at most", "exact", "none"]
# One-sided p-values at x: of "the truth is x or less" and of "the truth is x or more".
Tails = Callable[[float], tuple[float, float]]

LEVEL = number(0, 1, open_low=True, open_high=True)
OBSERVATIONS = array(ndim=1, text="numbers [n], one of each independent run")
WRITTEN_OUT = 1e6  # from here on numbers are printed as powers of ten
ROUNDING = 8 * np.finfo(float).eps  # observations that differ by less, relatively, are equal


class Student(NamedTuple):
    """A mean, its standard error and its degrees of freedom."""

    mean: float
    error: float
    freedom: float

    def limits(self, level: float) -> tuple[float, float]:
        """Of Student's t interval."""
        half = self.error * quantile((1 + level) / 2, self.freedom)
        return self.mean - half, self.mean + half

    def tails(self, x: float) -> tuple[float, float]:
        """One-sided p-values of Student's t test."""
        from scipy import stats  # 0.3 s to import

        statistic = (self.mean - x) / self.error
        return float(stats.t.sf(statistic, self.freedom)), float(stats.t.cdf(statistic, self.freedom))


@functools.cache
def quantile(probability: float, freedom: float) -> float:
    """Of Student's t."""
    from scipy import stats

    return float(stats.t.ppf(probability, freedom))


def _unknown(x: float) -> tuple[float, float]:
    return 1.0, 1.0


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    count: number of independent observations.
    level: probability that such an interval holds the truth.
    bound: "two-sided"; "at least" (the truth is no smaller, `high` says nothing); "at most" (no larger, `low` says
      nothing); "exact" (a deterministic result, which has no error); "none".
    reason: why the bound is "none".
    tails: one-sided p-values at x: of "the truth is x or less", and of "the truth is x or more".
    logs: the logarithm of a positive quantity, where that is what the t interval is of.

    Example:
      >>> interval = dl.evidence.mean_interval([1.0, 2.0, 3.0])
      >>> interval.estimate, interval.count, interval.bound, round(interval.p_below(0.0), 3)
      (2.0, 3, 'two-sided', 0.037)
      >>> print(interval)
      2 [-0.484, 4.48] (n=3)
    """

    estimate: float
    low: float
    high: float
    count: int
    level: float = 0.95
    bound: Bound = "two-sided"
    reason: str = ""
    tails: Tails = dataclasses.field(default=_unknown, repr=False, compare=False)
    logs: Student | None = dataclasses.field(default=None, repr=False, compare=False)

    def p_below(self, x: float) -> float:
        """p-value of the truth being `x` or less: how well it is known to be larger."""
        return float(x > 0) if math.isinf(x) else self.tails(x)[0]

    def p_above(self, x: float) -> float:
        """p-value of the truth being `x` or more: how well it is known to be smaller."""
        return float(x < 0) if math.isinf(x) else self.tails(x)[1]

    def __str__(self) -> str:
        if self.bound == "none":
            return f"undetermined: {self.reason}"
        if self.bound == "exact":
            return f"exact: {self.estimate:.4g}"
        estimate, low, high = (digits(value) for value in (self.estimate, self.low, self.high))
        if self.bound == "at least":
            return f"> {low} (n={self.count}, censored)"
        if self.bound == "at most":
            return f"< {high} (n={self.count}, censored)"
        return f"{estimate} [{low}, {high}] (n={self.count})"


def digits(value: float, count: int = 3) -> str:
    """So many significant digits; up to a million without a power of ten."""
    text = f"{value:.{count}g}"
    return f"{float(text):.0f}" if 10**count <= abs(float(text)) < WRITTEN_OUT else text


@arguments(value=array(ndim=0, text="a number"))
def exact(value: float) -> Interval:
    """What is computed without any randomness: a number, which has no error.

    Example:
      >>> print(dl.evidence.exact(2.5))
      exact: 2.5
    """
    value = float(value)
    if not math.isfinite(value):
        return undetermined("it is not finite", 1)
    return Interval(value, value, value, 1, bound="exact", tails=lambda x: (float(value <= x), float(value >= x)))


@arguments(reason=text, count=integer(0))
def undetermined(reason: str, count: int = 0) -> Interval:
    """No interval.

    Args:
      reason: why not, as a reader of a table needs it.
      count: number of observations that there are.

    Example:
      >>> print(dl.evidence.undetermined("3 of 8 runs are not finite", 8))
      undetermined: 3 of 8 runs are not finite
    """
    return Interval(math.nan, -math.inf, math.inf, count, bound="none", reason=reason)


@arguments(values=OBSERVATIONS, level=LEVEL)
def mean_interval(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of independent observations [n], by Student's t.

    Booleans have none: see `share_interval`. Of strongly skewed observations it misses the mean more often on
    the side of the long tail: of 8 exponential ones in 10 % of cases instead of 2.5 % (`tests/interval_coverage.py`).

    Example:
      >>> print(dl.evidence.mean_interval([1.0, 2.0, 3.0]))
      2 [-0.484, 4.48] (n=3)
    """
    if _are_flags(values):
        return undetermined("Booleans have no t interval: count them by share_interval", len(values))
    return of_mean(np.asarray(values, float), level, "runs")


@arguments(values=OBSERVATIONS, test_share=LEVEL, level=LEVEL)
def resampled_interval(values: Sequence[float] | np.ndarray, test_share: float, *, level: float = 0.95) -> Interval:
    """Mean of what was measured on random splits of one data set into train and test.

    Splits share examples, so they are no independent runs: the variance of their mean is taken to be
    (1 / n + test_share / train_share) times theirs, which does not vanish however many splits there are.

    Args:
      values: [n], one of each split.
      test_share: of the examples that are in the test split.
      level: of the interval.

    Reference: Nadeau and Bengio, Inference for the generalization error, Machine Learning 2003.

    Example:
      >>> print(dl.evidence.resampled_interval([1.0, 2.0, 3.0], 0.3))
      2 [-1.76, 5.76] (n=3)
    """
    values = np.asarray(values, float)
    found = of_mean(values, level, "splits")
    if found.bound == "none":
        return found
    student = student_of(values)
    wider = student._replace(error=student.error * math.sqrt(1 + len(values) * test_share / (1 - test_share)))
    return Interval(wider.mean, *wider.limits(level), len(values), level, tails=wider.tails)


@arguments(values=OBSERVATIONS, level=LEVEL)
def geometric_mean_interval(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Interval:
    """Geometric mean of independent positive observations [n], by Student's t of their logarithms.

    Example:
      >>> print(dl.evidence.geometric_mean_interval([1.0, 10.0, 100.0]))
      10 [0.0328, 3050] (n=3)
    """
    values = np.asarray(values, float)
    reason = fault(values, "runs", positive=True)
    return undetermined(reason, len(values)) if reason else of_logs(np.log(values), level, "runs")


@arguments(a=OBSERVATIONS, b=OBSERVATIONS, level=LEVEL)
def paired_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, level: float = 0.95
) -> Interval:
    """Mean of `a - b` over pairs, by Student's t; differences of Booleans have none: see `share_difference`.

    Args:
      a, b: [n] each: the same seeds under two conditions.
      level: of the interval.

    Raises:
      DataError: as many of both are expected.

    Example:
      >>> print(dl.evidence.paired_difference([3.0, 5.0, 6.0], [1.0, 2.0, 2.0]))
      3 [0.516, 5.48] (n=3)
    """
    flags = _are_flags(a) and _are_flags(b)
    a, b = in_pairs("paired_difference", a, b)
    if flags:
        return undetermined(
            "differences of Booleans have no t interval: count both sides, for share_difference", len(a)
        )
    for side in (a, b):
        if reason := fault(side, "pairs"):
            return undetermined(reason, len(a))
    with np.errstate(over="ignore"):
        return of_mean(a - b, level, "differences")


def _are_flags(values: Any) -> bool:
    return np.asarray(values).dtype == bool


def of_mean(values: np.ndarray, level: float, noun: str) -> Interval:
    """Student's t interval of [n]; noun: what they are, in the plural."""
    if reason := fault(values, noun) or sameness(values, noun):
        return undetermined(reason, len(values))
    student = student_of(values)
    low, high = student.limits(level)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return undetermined(f"the {noun} are too large or too close together for an interval", len(values))
    return Interval(student.mean, low, high, len(values), level, tails=student.tails)


def of_logs(logs: np.ndarray, level: float, noun: str) -> Interval:
    """Student's t interval of logarithms [n], as an interval of what they are the logarithms of."""
    found = of_mean(logs, level, noun)
    return found if found.bound == "none" else from_logs(student_of(logs), len(logs), level)


def from_logs(student: Student, count: int, level: float) -> Interval:
    """The interval of a positive quantity of which the logarithm is known."""

    def tails(x: float) -> tuple[float, float]:
        return student.tails(math.log(x)) if x > 0 else (0.0, 1.0)

    low, high = (exponential(limit) for limit in student.limits(level))
    estimate = exponential(student.mean)
    if not (low < high and 0 < estimate < math.inf):
        return undetermined("it is too large or too small for a number", count)
    return Interval(estimate, low, high, count, level, tails=tails, logs=student)


def student_of(values: np.ndarray) -> Student:
    """Mean and standard error of [n]; by way of units in which no square overflows."""
    unit = float(np.abs(values).max()) or 1.0
    scaled = values / unit
    error = float(scaled.std(ddof=1)) / math.sqrt(len(values))
    return Student(unit * float(scaled.mean()), unit * error, len(values) - 1)


def fault(values: np.ndarray, noun: str, *, positive: bool = False, least: int = 2) -> str:
    """Why observations have no interval, or nothing."""
    count = len(values)
    if count < least:
        return f"{count} {noun[:-1] if count == 1 else noun}, an interval needs {least} or more"
    unknown = int((~np.isfinite(values)).sum())
    if unknown:
        return f"{unknown} of {count} {noun} {'is' if unknown == 1 else 'are'} not finite"
    wrong = int((values <= 0).sum()) if positive else 0
    return f"{wrong} of {count} {noun} {'is' if wrong == 1 else 'are'} not positive" if wrong else ""


def sameness(values: np.ndarray, noun: str) -> str:
    """What is wrong with finite observations [n] that do not differ, or nothing."""
    largest = float(np.abs(values).max())
    unit = largest or 1.0
    if float(np.ptp(values / unit)) > ROUNDING:
        return ""
    return f"all {len(values)} {noun} are equal: copies of one run, or measured too coarsely"


def in_pairs(name: str, a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """As float64 [n] each; name: of the function that they were given to."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b):
        raise DataError(f"{name}: a and b hold {len(a)} and {len(b)} observations; expects pairs, as many of both.")
    return a, b


def exponential(value: float) -> float:
    """Infinite beyond all floats."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
