"""The median of observations that are known only to lie between bounds, by order statistics.

The sign test needs no distribution: a median is as likely above an observation as below. Between order statistics its
p-value is interpolated.
Reference: Hettmansperger & Sheather, Confidence intervals based on interpolated order statistics, Statist. Probab.
Lett. 1986.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

# An order statistic whose outer neighbor is unknown is taken as it is, if its one-sided error is at most that many
# times the one asked for: the second of eight has 3.5 % where 2.5 % are asked for.
LARGEST_EXCESS = 1.41


class LowerLimit(NamedTuple):
    """A lower confidence limit, and the probability that the median is smaller."""

    limit: float
    error: float


def lower_limit(bounds: np.ndarray, error: float) -> LowerLimit:
    """Of the median of n observations, of which each is no smaller than its bound.

    Args:
      bounds: [n]; -inf where nothing is known.
      error: probability that the median is smaller than the limit.

    Returns:
      the limit, and what its error is; -inf and 0 where there is none.
    """
    ordered, chances = np.sort(bounds), sign_chances(len(bounds))
    # The largest rank, from 1, with an error of its own within the one asked for; 0 is none.
    rank = int((chances[1:] <= error).sum())
    inner = ordered[rank] if rank < len(ordered) else math.inf
    outer = ordered[rank - 1] if rank else -math.inf
    if math.isfinite(inner) and math.isfinite(outer):
        share = (error - chances[rank]) / (chances[rank + 1] - chances[rank])
        return LowerLimit(float(outer + _weight(share, rank, len(bounds)) * (inner - outer)), error)
    if math.isfinite(inner) and chances[rank + 1] <= LARGEST_EXCESS * error:
        return LowerLimit(float(inner), float(chances[rank + 1]))
    if math.isfinite(outer):
        return LowerLimit(float(outer), float(chances[rank]))
    return LowerLimit(-math.inf, 0.0)


def p_below(bounds: np.ndarray, x: float) -> float:
    """One-sided p-value of the median being `x` or less, where each observation is no smaller than its bound.

    It is the error of the lower limit that lies at `x`.
    """
    ordered, chances = np.sort(bounds), sign_chances(len(bounds))
    rank = int((ordered <= x).sum())  # order statistics up to x
    if rank == 0:
        return float(chances[1])
    outer = ordered[rank - 1]
    if x == outer:  # of several that are equal, the largest error
        return float(chances[rank])
    if rank == len(ordered):
        return 1.0
    inner = ordered[rank]
    if not (math.isfinite(outer) and math.isfinite(inner)):
        return float(chances[rank + 1])
    share = _share((x - outer) / (inner - outer), rank, len(ordered))
    return float(chances[rank] + share * (chances[rank + 1] - chances[rank]))


@functools.cache
def sign_chances(count: int) -> np.ndarray:
    """Probability that the median of `count` observations is smaller than the one of rank d, for d from 0; [count + 2].

    That is when fewer than d of them are smaller than the median.
    """
    from scipy import stats  # 0.3 s to import

    return np.concatenate([[0.0], stats.binom.cdf(np.arange(count + 1), count, 0.5)])


def _weight(share: float, rank: int, count: int) -> float:
    """How far between two order statistics the limit is whose error lies that share of the way between theirs."""
    return (count - rank) * share / (rank + (count - 2 * rank) * share)


def _share(weight: float, rank: int, count: int) -> float:
    """The inverse of `_weight`."""
    return rank * weight / ((count - rank) - (count - 2 * rank) * weight)
