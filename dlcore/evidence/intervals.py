"""Intervals for what a study measured, on `scipy.stats`."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dlcore.core.errors import ArgumentError

Bound = Literal["exact", "at least", "at most", "none"]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

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


def mean_interval(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of independent observations [n] with Student's t interval; exact if all are equal.

    Raises:
      ArgumentError: fewer than two observations, or one that is not finite.
    """
    from scipy import stats  # 0.3 s to import

    if not 0 < level < 1:
        raise ArgumentError(f"level is {level}; expects a probability, e.g. 0.95.")
    values = np.asarray(values, float)
    if values.ndim != 1 or len(values) < 2:
        raise ArgumentError(f"mean_interval got shape {values.shape}; expects two or more observations [n].")
    if not np.isfinite(values).all():
        raise ArgumentError(f"mean_interval got {values[~np.isfinite(values)][0]}; expects finite observations.")
    mean, error = float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
    half = error * float(stats.t.ppf((1 + level) / 2, len(values) - 1))
    return Interval(mean, mean - half, mean + half, len(values), level)


def paired_difference(a: np.ndarray, b: np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of `a - b` over pairs, [n] each: the same seeds under two conditions."""
    return mean_interval(np.asarray(a, float) - np.asarray(b, float), level=level)


def paired_ratio(a: np.ndarray, b: np.ndarray, *, limit_a: float, limit_b: float, level: float = 0.95) -> Interval:
    """Geometric mean of `a / b` over pairs of positive costs, [n] each, some of which may be censored.

    Args:
      a, b: the cost of reaching a target; NaN where the run never did.
      limit_a, limit_b: the cost that such a run had spent; the truth is larger.

    Returns:
      the interval of the ratio; a bound where one side has censored runs, "none" where both have.
    Reference: the t interval of the mean log ratio.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if (a <= 0).any() or (b <= 0).any():
        raise ArgumentError(f"paired_ratio got a cost of {min(np.nanmin(a), np.nanmin(b))}; expects positive costs.")
    censored = (bool(np.isnan(a).any()), bool(np.isnan(b).any()))
    logs = np.log(np.where(np.isnan(a), limit_a, a)) - np.log(np.where(np.isnan(b), limit_b, b))
    interval = mean_interval(logs, level=level)
    bounds: dict[tuple[bool, bool], Bound] = {
        (False, False): "exact",
        (True, False): "at least",
        (False, True): "at most",
    }
    bound = bounds.get(censored, "none")
    estimate, low, high = (math.exp(value) for value in (interval.estimate, interval.low, interval.high))
    return Interval(estimate, low, high, interval.count, level, bound)


def slope_interval(x: np.ndarray, y: np.ndarray, *, level: float = 0.95) -> Interval:
    """Slope of the least-squares line through points (x, y), [n] each, with its t interval."""
    from scipy import stats  # 0.3 s to import

    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ArgumentError("slope_interval got points that are not finite; drop or count censored observations first.")
    fit: Any = stats.linregress(x, y)
    half = float(fit.stderr * stats.t.ppf((1 + level) / 2, len(x) - 2)) if len(x) > 2 else math.inf
    return Interval(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, len(x), level)
