"""Shares of runs that did something, and differences of shares, without approximation."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlcore.core.arguments import arguments, integer, number
from dlcore.core.errors import DataError
from dlcore.evidence.intervals import LEVEL, OBSERVATIONS, Interval, undetermined

NUM_SHARES = 257  # at which the probability of an outcome is looked at to find the largest
ORDER = 0.0125  # one-sided error of the limits that order outcomes


@arguments(successes=integer(0), trials=integer(0), level=LEVEL)
def share_interval(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Share of successes among independent runs, by Clopper and Pearson: never less than the level.

    Raises:
      DataError: more successes than trials.

    Example:
      >>> print(dl.evidence.share_interval(8, 8))
      1 [0.631, 1] (n=8)
    """
    _check("share_interval", successes, trials)
    if not trials:
        return undetermined("no runs")
    error = (1 - level) / 2
    low, high = _low(successes, trials, error), 1 - _low(trials - successes, trials, error)

    def tails(x: float) -> tuple[float, float]:
        return _p_below(successes, trials, x), _p_below(trials - successes, trials, 1 - x)

    return Interval(successes / trials, low, high, trials, level, tails=tails)


@arguments(values=OBSERVATIONS, limit=number(), level=LEVEL)
def share_below(values: Sequence[float] | np.ndarray, limit: float, *, level: float = 0.95) -> Interval:
    """Share of independent runs whose value is below `limit`, as `share_interval`.

    A run that diverged has an infinite loss and counts as one above; NaN is no measurement, and leaves nothing to say.

    Args:
      values: [n], one of each run.
      limit: what is compared with.
      level: of the interval.

    Example:
      >>> print(dl.evidence.share_below([0.1, 0.2, np.inf, 0.1], 0.5))
      0.75 [0.194, 0.994] (n=4)
    """
    values = np.asarray(values, float)
    if unknown := int(np.isnan(values).sum()):
        return undetermined(f"{unknown} of {len(values)} runs have no value", len(values))
    return share_interval(int((values < limit).sum()), len(values), level=level)


@arguments(successes_a=integer(0), trials_a=integer(0), successes_b=integer(0), trials_b=integer(0), level=LEVEL)
def share_difference(
    successes_a: int, trials_a: int, successes_b: int, trials_b: int, *, level: float = 0.95
) -> Interval:
    """Share of successes of independent runs under a condition, less that under another: never less than the level.

    Exact and unconditional, by Buehler's limits: of all outcomes that speak at least as much for a difference as the
    one observed, the probability is maximized over shares of that difference. Outcomes are ordered by the difference of
    Clopper and Pearson's limits, so that the interval is never wider than that difference.

    Raises:
      DataError: more successes than trials.
    Reference: Buehler, Confidence intervals for the product of two binomial parameters, J. Amer. Statist. Assoc. 1957;
      Kabaila & Lloyd, The efficiency of Buehler confidence limits, Statist. Probab. Lett. 2003.

    Example:
      >>> print(dl.evidence.share_difference(8, 8, 0, 8))
      1 [0.588, 1] (n=8)
    """
    _check("share_difference", successes_a, trials_a)
    _check("share_difference", successes_b, trials_b)
    if not (trials_a and trials_b):
        return undetermined("no runs under one of the conditions")
    forth = functools.partial(_p_difference_below, *_as_likely(successes_a, trials_a, successes_b, trials_b))
    back = functools.partial(_p_difference_below, *_as_likely(successes_b, trials_b, successes_a, trials_a))
    error = (1 - level) / 2
    return Interval(
        successes_a / trials_a - successes_b / trials_b,
        _crossing(forth, error),
        -_crossing(back, error),
        min(trials_a, trials_b),
        level,
        tails=lambda x: (forth(x), back(-x)),
    )


def _check(name: str, successes: int, trials: int) -> None:
    if successes > trials:
        raise DataError(f"{name}: {successes} successes in {trials} trials; expects no more successes than trials.")


def _low(successes: int | np.ndarray, trials: int, error: float) -> Any:
    """Clopper and Pearson's lower limit, of each number of successes."""
    from scipy import stats  # 0.3 s to import

    successes = np.asarray(successes)
    limits = stats.beta.ppf(error, np.maximum(successes, 1), trials - np.maximum(successes, 1) + 1)
    limits = np.where(successes > 0, limits, 0.0)
    return limits if limits.ndim else float(limits)


def _p_below(successes: int, trials: int, x: float) -> float:
    """p-value of the share being `x` or less."""
    from scipy import stats

    if x >= 1 or x < 0:
        return float(x >= 1)
    return float(stats.binom.sf(successes - 1, trials, x))


def _as_likely(successes_a: int, trials_a: int, successes_b: int, trials_b: int) -> tuple[np.ndarray, int]:
    """Outcomes that speak as much for a: for each number of successes in a the largest in b, -1 if none; trials_b."""
    low_a = _low(np.arange(trials_a + 1), trials_a, ORDER)
    high_b = 1 - _low(trials_b - np.arange(trials_b + 1), trials_b, ORDER)
    least = low_a[successes_a] - high_b[successes_b]
    speaks = low_a[:, None] - high_b >= least - 1e-12  # the observed one does, whatever the rounding
    return speaks.sum(axis=1) - 1, trials_b


def _p_difference_below(most: np.ndarray, trials_b: int, x: float) -> float:
    """p-value of the difference being `x` or less. The probability grows with it: its edge is the worst case."""
    from scipy import stats

    if x >= 1 or x < -1:
        return float(x >= 1)
    share_b = np.linspace(max(0.0, -x), min(1.0, 1 - x), NUM_SHARES)[:, None]
    share_a = np.clip(share_b + x, 0, 1)
    of_a = stats.binom.pmf(np.arange(len(most)), len(most) - 1, share_a)
    return min(1.0, float((of_a * stats.binom.cdf(most, trials_b, share_b)).sum(axis=1).max()))


def _crossing(p_below: Callable[[float], float], error: float) -> float:
    """The difference with that p-value."""
    from scipy import optimize

    if p_below(-1.0) >= error:
        return -1.0
    root: Any = optimize.brentq(lambda x: p_below(x) - error, -1.0, 1.0, xtol=1e-9)
    return float(root)
