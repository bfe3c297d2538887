"""Intervals for what a study measured, on `scipy.stats`."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dlcore.core.arguments import arguments, array, number
from dlcore.core.errors import DataError, described

Bound = Literal["exact", "at least", "at most", "none"]

LEVEL = number(0, 1, open_low=True, open_high=True)
LIMIT = number(0, open_low=True, finite=False)
OBSERVATIONS = array(ndim=1, text="two or more numbers [n]")


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    level: probability that such an interval holds the truth.
    bound: what censored observations leave of it: "exact"; "at least" (the truth is no smaller, `high` says nothing);
      "at most" (no larger, `low` says nothing); "none".
    count: number of independent observations.
    """

    estimate: float
    low: float
    high: float
    count: int
    level: float = 0.95
    bound: Bound = "exact"

    def __str__(self) -> str:
        if self.bound == "none":
            return f"undetermined (n={self.count})"
        if self.bound == "at least":
            return f"> {self.low:.3g} (n={self.count}, censored)"
        if self.bound == "at most":
            return f"< {self.high:.3g} (n={self.count}, censored)"
        return f"{self.estimate:.3g} [{self.low:.3g}, {self.high:.3g}] (n={self.count})"


@arguments(values=OBSERVATIONS, level=LEVEL)
def mean_interval(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of independent observations [n] with Student's t interval; a point if all are equal.

    Raises:
      DataError: fewer than two observations, or one that is not finite.

    Example:
      >>> print(dl.evidence.mean_interval([1.0, 2.0, 3.0]))
      2 [-0.484, 4.48] (n=3)
    """
    return _mean_interval(_checked("mean_interval: values", values), level)


@arguments(a=OBSERVATIONS, b=OBSERVATIONS, level=LEVEL)
def paired_difference(a: np.ndarray, b: np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of `a - b` over pairs, with its t interval.

    Args:
      a, b: [n] each: the same seeds under two conditions.
      level: of the interval.

    Raises:
      DataError: fewer than two pairs, or one that is not finite.

    Example:
      >>> print(dl.evidence.paired_difference([3.0, 4.0], [1.0, 2.0]))
      2 [2, 2] (n=2)
    """
    a, b = _checked("paired_difference: a", a), _checked("paired_difference: b", b)
    _check_pairs("paired_difference: a and b", a, b)
    return _mean_interval(a - b, level)


@arguments(a=OBSERVATIONS, b=OBSERVATIONS, limit_a=LIMIT, limit_b=LIMIT, level=LEVEL)
def paired_ratio(a: np.ndarray, b: np.ndarray, *, limit_a: float, limit_b: float, level: float = 0.95) -> Interval:
    """Geometric mean of `a / b` over pairs of positive costs, some of which may be censored.

    Args:
      a, b: [n] each: the cost of reaching a target; NaN where the run never did.
      limit_a, limit_b: the cost that such a run had spent; the truth is larger. Infinite where there is none.
      level: of the interval.

    Returns:
      the interval of the ratio, from the t interval of the mean log ratio; a bound where one side has censored runs,
      "none" where both have.

    Raises:
      DataError: fewer than two pairs, a cost that is not positive or not finite.

    Example:
      >>> print(dl.evidence.paired_ratio([20.0, 20.0], [10.0, 10.0], limit_a=99, limit_b=99))
      2 [2, 2] (n=2)
    """
    a = _checked("paired_ratio: a", a, positive=True, censored=True)
    b = _checked("paired_ratio: b", b, positive=True, censored=True)
    _check_pairs("paired_ratio: a and b", a, b)
    censored = (bool(np.isnan(a).any()), bool(np.isnan(b).any()))
    for name, limit, missing in zip("ab", (limit_a, limit_b), censored, strict=True):
        if missing and math.isinf(limit):
            raise DataError(
                f"paired_ratio: {name} has censored runs, limit_{name} is {limit}; expects what they spent."
            )
    logs = np.log(np.where(np.isnan(a), limit_a, a)) - np.log(np.where(np.isnan(b), limit_b, b))
    interval = _mean_interval(logs, level)
    bounds: dict[tuple[bool, bool], Bound] = {
        (False, False): "exact",
        (True, False): "at least",
        (False, True): "at most",
    }
    bound = bounds.get(censored, "none")
    estimate, low, high = (_exp(value) for value in (interval.estimate, interval.low, interval.high))
    return Interval(estimate, low, high, interval.count, level, bound)


@arguments(x=OBSERVATIONS, y=OBSERVATIONS, level=LEVEL)
def slope_interval(x: np.ndarray, y: np.ndarray, *, level: float = 0.95) -> Interval:
    """Slope of the least-squares line through points (x, y), with its t interval; through two points it is infinite.

    Args:
      x, y: [n] each.
      level: of the interval.

    Raises:
      DataError: fewer than two points, one that is not finite, or all at the same x.

    Example:
      >>> print(dl.evidence.slope_interval([0.0, 1.0, 2.0], [1.0, 3.0, 5.0]))
      2 [2, 2] (n=3)
    """
    from scipy import stats  # 0.3 s to import

    x, y = _checked("slope_interval: x", x), _checked("slope_interval: y", y)
    _check_pairs("slope_interval: x and y", x, y)
    if (x == x[0]).all():
        raise DataError(f"slope_interval: x is {x[0]:g} at all points; expects two different values or more.")
    fit: Any = stats.linregress(x, y)
    half = float(fit.stderr * stats.t.ppf((1 + level) / 2, len(x) - 2)) if len(x) > 2 else math.inf
    return Interval(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, len(x), level)


def _mean_interval(values: np.ndarray, level: float) -> Interval:
    from scipy import stats  # 0.3 s to import

    mean, error = float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
    half = error * float(stats.t.ppf((1 + level) / 2, len(values) - 1))
    return Interval(mean, mean - half, mean + half, len(values), level)


def _checked(name: str, values: Any, *, positive: bool = False, censored: bool = False) -> np.ndarray:
    """As float64 [n], n >= 2; finite, but for NaN where observations may be censored."""
    values = np.asarray(values, float)
    if len(values) < 2:
        raise DataError(f"{name} is {described(values)}; expects two or more observations [n].")
    wrong = ~(np.isfinite(values) | (np.isnan(values) & censored)) | (values <= 0 if positive else False)
    if wrong.any():
        row = int(np.argmax(wrong))
        kind = "positive, finite" if positive else "finite"
        advice = "censored ones are NaN" if censored else "drop or count censored ones first"
        raise DataError(f"{name} holds {values[row]} at row {row}; expects {kind} observations: {advice}.")
    return values


def _check_pairs(name: str, a: np.ndarray, b: np.ndarray) -> None:
    if len(a) != len(b):
        raise DataError(f"{name} hold {len(a)} and {len(b)} observations; expects pairs, as many of both.")


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
