"""Ratios of costs, some of which are only known to be larger than a limit."""

import math
from collections.abc import Sequence

import numpy as np

from dlcore.core.arguments import arguments, number
from dlcore.evidence import medians
from dlcore.evidence.intervals import (
    LEVEL,
    OBSERVATIONS,
    Bound,
    Interval,
    exponential,
    fault,
    in_pairs,
    of_logs,
    undetermined,
)

LIMIT = number(0, open_low=True, finite=False)


@arguments(a=OBSERVATIONS, b=OBSERVATIONS, limit_a=LIMIT, limit_b=LIMIT, level=LEVEL)
def paired_ratio(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    limit_a: float,
    limit_b: float,
    level: float = 0.95,
) -> Interval:
    """Typical ratio `a / b` over pairs of positive costs, some of which may be censored.

    Where every run arrived it is the geometric mean, by Student's t of the log ratios. Otherwise it is the median, by
    order statistics, whatever the distribution: the two are the same where log ratios are as likely above as below
    their mean. A ratio whose `a` is censored lies above `limit_a / b`, one whose `b` is censored below `a / limit_b`,
    one of which both are anywhere. The interval is "at least" or "at most" a limit where the censored runs leave no
    other. Its level is the one that it has, which may differ from the one asked for, as the errors of order statistics
    come in steps.

    Args:
      a, b: [n] each: the cost of reaching a target; NaN where the run never did.
      limit_a, limit_b: the cost that such a run had spent; the truth is larger. Infinite where it is not known.
      level: of the interval.

    Raises:
      DataError: as many of both are expected.

    Example:
      >>> print(dl.evidence.paired_ratio([20.0, 24.0, 28.0], [10.0, 11.0, 15.0], limit_a=99, limit_b=99))
      2.01 [1.66, 2.44] (n=3)
      >>> slow, fast = [9.0, 8.0, 7.0, np.nan, 8.0, 9.0, 7.0, 6.0], np.ones(8)
      >>> print(dl.evidence.paired_ratio(slow, fast, limit_a=20, limit_b=20))
      8 [6.93, 9] (n=8)
    """
    a, b = in_pairs("paired_ratio", a, b)
    for side, limit in ((a, limit_a), (b, limit_b)):
        arrived = ~np.isnan(side)
        if reason := fault(side[arrived], "costs that are known", positive=True, least=0):
            return undetermined(reason, len(a))
        if math.isinf(limit) and not arrived.all():
            return undetermined(f"{_never(side)}, at a cost that is not known", len(a))
    if len(a) < 2:
        return undetermined(fault(a, "pairs"), len(a))
    log_a, log_b = np.log(a), np.log(b)
    if np.isfinite(log_a - log_b).all():
        return of_logs(log_a - log_b, level, "ratios")
    lowest = np.where(np.isnan(a), math.log(limit_a), log_a) - np.where(np.isnan(b), math.inf, log_b)
    highest = np.where(np.isnan(a), math.inf, log_a) - np.where(np.isnan(b), math.log(limit_b), log_b)
    both = np.isnan(a) & np.isnan(b)
    return _of_median(np.where(both, -math.inf, lowest), np.where(both, math.inf, highest), level, _missing(a, b))


def _never(side: np.ndarray) -> str:
    return f"{int(np.isnan(side).sum())} of {len(side)} runs never arrived"


def _missing(a: np.ndarray, b: np.ndarray) -> str:
    sides = [_never(side) + where for side, where in ((a, " under the first condition"), (b, " under the second"))]
    return " and ".join(text for side, text in zip((a, b), sides, strict=True) if np.isnan(side).any())


def _of_median(lowest: np.ndarray, highest: np.ndarray, level: float, missing: str) -> Interval:
    """Of the exponential of the median of observations [n] that lie between these; missing: what no limit is due to."""
    low = medians.lower_limit(lowest, (1 - level) / 2)
    high = medians.lower_limit(-highest, (1 - level) / 2)
    bounds: dict[tuple[bool, bool], Bound] = {
        (True, True): "two-sided",
        (True, False): "at least",
        (False, True): "at most",
    }
    bound = bounds.get((math.isfinite(low.limit), math.isfinite(high.limit)), "none")
    if bound == "none":
        return undetermined(f"{missing}: too few of {len(lowest)} pairs are left for a limit", len(lowest))
    if low.limit >= -high.limit:
        return undetermined("ratios are equal: copies of one run, or measured too coarsely", len(lowest))
    middle = np.array([np.median(lowest), np.median(highest)])
    known = middle[np.isfinite(middle)]
    estimate = exponential(float(known.mean())) if len(known) else math.nan

    def tails(x: float) -> tuple[float, float]:
        if x <= 0:
            return 0.0, 1.0
        return medians.p_below(lowest, math.log(x)), medians.p_below(-highest, -math.log(x))

    reached = 1 - low.error - high.error
    return Interval(
        estimate, exponential(low.limit), exponential(-high.limit), len(lowest), reached, bound, tails=tails
    )
