"""Products of independent quantities that were measured apart."""

import math
from collections.abc import Callable

import numpy as np

from dlcore.core.arguments import arguments, instance
from dlcore.evidence.intervals import Bound, Interval, Student, exact, exponential, from_logs, undetermined

FURTHEST = 600.0  # logarithm of a factor that is a number
HALVINGS = 40  # of a right angle


@arguments(a=instance(Interval), b=instance(Interval))
def product(a: Interval, b: Interval) -> Interval:
    """The product of two independent positive quantities.

    Of two geometric means the variances of the logarithms are added (Welch-Satterthwaite). An exact factor scales.
    Otherwise the squares of the distances of the logarithms of estimates and limits are added, each side by itself, and
    the product has a limit where both factors have one.

    Reference: Zou & Donner, Construction of confidence limits about effect measures, Stat. Med. 2008.

    Example:
      >>> values = dl.evidence.geometric_mean_interval([1.0, 2.0, 4.0])
      >>> print(dl.evidence.product(values, dl.evidence.exact(10.0)))
      20 [3.57, 112] (n=3)
    """
    count = min((side.count for side in (a, b) if side.bound != "exact"), default=1)
    for side in (a, b):
        if side.bound == "none":
            return undetermined(side.reason, count)
        if not side.estimate > 0:
            return undetermined("a factor is not positive", count)
    if not 0 < a.estimate * b.estimate < math.inf:
        return undetermined("the product is too large or too small for a number", count)
    if a.bound == b.bound == "exact":
        return exact(a.estimate * b.estimate)
    if a.bound == "exact" or b.bound == "exact":
        return _scaled(a, b.estimate) if b.bound == "exact" else _scaled(b, a.estimate)
    if a.logs is not None and b.logs is not None:
        return from_logs(_sum(a.logs, b.logs), count, min(a.level, b.level))
    return _of_limits(a, b, count)


def _sum(a: Student, b: Student) -> Student:
    """Of two independent means; degrees of freedom by Welch and Satterthwaite."""
    error = math.hypot(a.error, b.error)
    shares = np.array([a.error, b.error]) / error
    freedom = 1 / (shares**4 / np.array([a.freedom, b.freedom])).sum()
    return Student(a.mean + b.mean, error, float(freedom))


def _scaled(interval: Interval, factor: float) -> Interval:
    logs, low, high = interval.logs, interval.low * factor, interval.high * factor
    if not low < high:
        return undetermined("the product is too large or too small for a number", interval.count)
    return Interval(
        interval.estimate * factor,
        low,
        high,
        interval.count,
        interval.level,
        interval.bound,
        tails=lambda x: interval.tails(x / factor),
        logs=logs and logs._replace(mean=logs.mean + math.log(factor)),
    )


def _of_limits(a: Interval, b: Interval, count: int) -> Interval:
    """By distances of limits from estimates; its errors lie between those of the two factors."""
    estimate = a.estimate * b.estimate

    def tails(x: float) -> tuple[float, float]:
        if x <= 0:
            return 0.0, 1.0
        distance = max(-FURTHEST, min(math.log(estimate) - math.log(x), FURTHEST))
        below = _where_equal(
            lambda factor: a.p_below(a.estimate / factor), lambda f: b.p_below(b.estimate / f), distance
        )
        above = _where_equal(
            lambda factor: a.p_above(a.estimate / factor), lambda f: b.p_above(b.estimate / f), distance
        )
        return below, above

    low, high = 0.0, math.inf
    if a.low > 0 and b.low > 0:
        low = estimate * exponential(-math.hypot(math.log(a.estimate / a.low), math.log(b.estimate / b.low)))
    if math.isfinite(a.high) and math.isfinite(b.high):
        high = estimate * exponential(math.hypot(math.log(a.high / a.estimate), math.log(b.high / b.estimate)))
    if low == 0 and math.isinf(high):
        return undetermined("the one factor is bounded from below, the other from above", count)
    bound: Bound = "at least" if math.isinf(high) else "at most" if low == 0 else "two-sided"
    errors = (tails(low)[0] if low > 0 else 0.0) + (tails(high)[1] if math.isfinite(high) else 0.0)
    return Interval(estimate, low, high, count, 1 - errors, bound, tails=tails)


def _where_equal(p_a: Callable[[float], float], p_b: Callable[[float], float], distance: float) -> float:
    """The p-value that both factors have where the squares of their distances add up to that of the product."""

    def at(angle: float) -> tuple[float, float]:
        return p_a(math.exp(distance * math.cos(angle))), p_b(math.exp(distance * math.sin(angle)))

    low, high = 0.0, math.pi / 2
    far = at(low)[0] > at(low)[1]  # whether the p-value of the factor that is further away is the larger one
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        of_a, of_b = at(middle)
        low, high = (middle, high) if (of_a > of_b) == far else (low, middle)
    return max(min(at(low)), min(at(high)), min(max(at(low)), max(at(high))))
