"""Intervals against scipy's own, by simulation, and what censoring leaves of them."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

import dlcore as dl
from dlcore.evidence import intervals as stats

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("count", [2, 3, 8, 100])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_mean_interval_equals_scipy(count, level):
    """Catches a normal quantile, a biased deviation, one tail for two."""
    values = np.random.default_rng(count).normal(5, 2, count)
    interval = stats.mean_interval(values, level=level)
    low, high = scipy_stats.t.interval(level, count - 1, values.mean(), scipy_stats.sem(values))
    assert interval.estimate == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert (interval.count, interval.level, interval.bound) == (count, level, "exact")


def test_mean_interval_covers_at_its_level():
    """Catches intervals too narrow or too wide by a factor: coverage of 2000 small samples, 4 standard errors."""
    samples = np.random.default_rng(1).normal(3, 1, (2000, 5))
    intervals = [stats.mean_interval(sample, level=0.9) for sample in samples]
    coverage = np.mean([interval.low <= 3 <= interval.high for interval in intervals])
    assert abs(coverage - 0.9) < 4 * math.sqrt(0.9 * 0.1 / 2000)


def test_mean_interval_of_equal_values_is_a_point():
    """Catches NaN from a deviation of zero."""
    interval = stats.mean_interval([2.0, 2.0, 2.0])
    assert (interval.low, interval.estimate, interval.high) == (2, 2, 2)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0], r"values is float64\[1\]; expects two or more"),
        ([], r"values is float64\[0\]; expects two or more"),
        (3.0, "values is 3.0; expects two or more"),
        (np.ones((2, 2)), r"values is float64\[2, 2\]; expects two or more"),
        ([1.0, math.nan], "values holds nan at row 1; expects finite"),
        ([1.0, 2.0, -math.inf], "values holds -inf at row 2; expects finite"),
    ],
)
def test_mean_interval_of_bad_values(values, text):
    """Catches NaN intervals, which would be read as inconclusive."""
    with pytest.raises(dl.DataError, match=text):
        stats.mean_interval(values)


@pytest.mark.parametrize("level", [95, -0.1, math.nan])
def test_level_is_a_probability(level):
    """Catches a level in per cent: its quantile is NaN."""
    with pytest.raises(dl.ArgumentError, match="level is"):
        stats.mean_interval([1.0, 2.0, 3.0], level=level)


def test_paired_difference_pairs():
    """Catches two independent samples: the common part of a pair would widen the interval."""
    common = 100 * np.random.default_rng(2).normal(size=20)
    a, b = common + 1 + 0.1 * RNG.normal(size=20), common
    interval = stats.paired_difference(a, b)
    result = scipy_stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((result.low, result.high), rel=1e-6)
    assert interval.high - interval.low < 0.3


def test_paired_ratio_is_geometric():
    """Catches a mean of ratios, which is not the inverse when the sides are swapped."""
    a, b = np.array([2.0, 8.0, 4.0]), np.array([1.0, 1.0, 1.0])
    forth = stats.paired_ratio(a, b, limit_a=99, limit_b=99)
    back = stats.paired_ratio(b, a, limit_a=99, limit_b=99)
    assert forth.estimate == pytest.approx(4)
    assert (forth.low, forth.high) == pytest.approx((1 / back.high, 1 / back.low))
    logs = np.log(a / b)
    expected = scipy_stats.t.interval(0.95, 2, logs.mean(), scipy_stats.sem(logs))
    assert (math.log(forth.low), math.log(forth.high)) == pytest.approx(expected)
    assert forth.bound == "exact"


@pytest.mark.parametrize(
    ("a_censored", "b_censored", "bound"),
    [(False, False, "exact"), (True, False, "at least"), (False, True, "at most"), (True, True, "none")],
)
def test_paired_ratio_of_censored_costs(a_censored, b_censored, bound):
    """Catches censored runs dropped, or bounds the wrong way round: an unfinished cost can only be larger."""
    a, b = np.array([20.0, 24.0, 30.0]), np.array([10.0, 11.0, 12.0])
    if a_censored:
        a[1] = np.nan
    if b_censored:
        b[2] = np.nan
    interval = stats.paired_ratio(a, b, limit_a=50, limit_b=60)
    assert interval.bound == bound
    assert interval.count == 3
    filled = np.where(np.isnan(a), 50, a) / np.where(np.isnan(b), 60, b)
    assert interval.estimate == pytest.approx(scipy_stats.gmean(filled))


@pytest.mark.parametrize("values", [[1.0, 0.0, 2.0], [1.0, -3.0, 2.0], [1.0, math.inf, 2.0]])
def test_paired_ratio_needs_positive_costs(values):
    """Catches a warning of NumPy and an infinite logarithm."""
    with pytest.raises(dl.DataError, match=r"paired_ratio: a holds .* expects positive, finite observations"):
        stats.paired_ratio(np.array(values), np.ones(3), limit_a=9, limit_b=9)


@pytest.mark.parametrize("compare", [stats.paired_difference, stats.slope_interval])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 2.0], [1.0], "b is .*1.; expects two|y is .*1.; expects two"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "hold 3 and 2 observations; expects pairs"),
        ([1.0, math.nan], [1.0, 2.0], "holds nan at row 1; expects finite"),
    ],
)
def test_pairs_that_are_none(compare, a, b, message):
    """Catches observations that are broadcast, or an interval of NaN."""
    with pytest.raises(dl.DataError, match=message):
        compare(np.array(a), np.array(b))


def test_a_slope_needs_two_places():
    """Catches a division by a variance of zero."""
    with pytest.raises(dl.DataError, match="x is 1 at all points; expects two different values"):
        stats.slope_interval(np.ones(3), np.arange(3.0))


def test_a_ratio_beyond_all_floats_is_infinite():
    """Catches an OverflowError in the exponential of a long interval."""
    ratio = stats.paired_ratio(np.array([1e300, 1e-300]), np.array([1e-300, 1e300]), limit_a=1, limit_b=1)
    assert (ratio.low, ratio.high) == (0, math.inf)


def test_slope_interval_equals_linregress():
    """Catches degrees of freedom of a mean, and a correlation for a slope."""
    x = np.linspace(0, 3, 12)
    y = 2 * x + 1 + 0.3 * np.random.default_rng(3).normal(size=12)
    interval, fit = stats.slope_interval(x, y, level=0.9), scipy_stats.linregress(x, y)
    half = fit.stderr * scipy_stats.t.ppf(0.95, 10)
    assert (interval.low, interval.estimate, interval.high) == pytest.approx(
        (fit.slope - half, fit.slope, fit.slope + half)
    )
    exact = stats.slope_interval(x, 2 * x + 1)
    assert (exact.low, exact.high) == pytest.approx((2, 2), abs=1e-6)


def test_slope_through_two_points_is_undetermined():
    """Catches an interval of zero width from no degree of freedom."""
    interval = stats.slope_interval(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    assert interval.estimate == pytest.approx(2)
    assert (interval.low, interval.high) == (-math.inf, math.inf)


def test_an_interval_prints_what_is_known():
    """Catches a censored interval printed like an exact one."""
    exact = stats.Interval(1.5, 1.0, 2.0, 8)
    assert str(exact) == "1.5 [1, 2] (n=8)"
    assert str(stats.Interval(1.5, 1.0, 2.0, 8, bound="at least")) == "> 1 (n=8, censored)"
    assert str(stats.Interval(1.5, 1.0, 2.0, 8, bound="at most")) == "< 2 (n=8, censored)"
    assert str(stats.Interval(1.5, 1.0, 2.0, 8, bound="none")) == "undetermined (n=8)"
