"""Intervals against scipy's own, their p-values against their limits, and what censoring leaves of them."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as arrays
from rounds import rounds
from scipy import stats

import dlcore as dl
from dlcore.evidence import medians
from dlcore.evidence.intervals import Interval

evidence = dl.evidence
NAN = math.nan
COSTS = np.array([90.0, 100.0, 110.0, 95.0, 105.0, 98.0, 120.0, 101.0])
ONES = np.ones(8)


def ratio(a, b, level=0.95) -> Interval:
    """Costs of up to 200 over costs of up to 50."""
    return evidence.paired_ratio(np.asarray(a), np.asarray(b), limit_a=200, limit_b=50, level=level)


def censored(values, *rows):
    """Those runs never arrived."""
    values = np.array(values)
    values[list(rows)] = np.nan
    return values


@pytest.mark.parametrize("count", [2, 3, 8, 100])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_mean_equals_scipy(count, level):
    """Catches a normal quantile, a biased deviation, one tail for two."""
    values = np.random.default_rng(count).normal(5, 2, count)
    found = evidence.mean_interval(values, level=level)
    low, high = stats.t.interval(level, count - 1, values.mean(), stats.sem(values))
    assert found.estimate == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.count, found.level, found.bound) == (count, level, "two-sided")
    for x in (4.0, 5.0, 6.0):
        assert found.p_below(x) == pytest.approx(stats.ttest_1samp(values, x, alternative="greater").pvalue)
        assert found.p_above(x) == pytest.approx(stats.ttest_1samp(values, x, alternative="less").pvalue)


def test_geometric_mean_is_of_logarithms():
    """Catches a t interval of the values, which may hold negative ones."""
    values = np.array([1.0, 30.0, 4.0, 2.0])
    found, logs = evidence.geometric_mean_interval(values), evidence.mean_interval(np.log(values))
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (stats.gmean(values), math.exp(logs.low), math.exp(logs.high))
    )
    assert found.p_below(2.0) == pytest.approx(logs.p_below(math.log(2)))
    assert (found.p_below(0.0), found.p_above(-1.0)) == (0, 1)


def test_paired_difference_pairs():
    """Catches two independent samples: the common part of a pair would widen the interval."""
    common, noise = np.random.default_rng(2).normal(size=(2, 20))
    found = evidence.paired_difference(100 * common + 1 + 0.1 * noise, 100 * common)
    expected = stats.ttest_rel(100 * common + 1 + 0.1 * noise, 100 * common).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


LIMITED = {
    "mean": evidence.mean_interval(COSTS),
    "geometric": evidence.geometric_mean_interval(COSTS),
    "difference": evidence.paired_difference(COSTS, COSTS[::-1] ** 1.1),
    "ratio": ratio(COSTS, ONES),
    "ratio, a censored": ratio(censored(COSTS, 3), ONES),
    "ratio, b censored": ratio(COSTS, censored(ONES, 3)),
    "ratio, both censored": ratio(censored(COSTS, 3), censored(ONES, 1)),
    "share": evidence.share_interval(3, 8),
    "shares": evidence.share_difference(3, 8, 4, 9),
    "product": evidence.product(evidence.geometric_mean_interval(COSTS), ratio(COSTS**2, ONES)),
    "product, one censored": evidence.product(evidence.geometric_mean_interval(COSTS), ratio(censored(COSTS, 3), ONES)),
    "product of shares": evidence.product(evidence.share_interval(5, 8), evidence.mean_interval(COSTS)),
    "scaled": evidence.product(evidence.exact(3.0), evidence.mean_interval(COSTS)),
    "slopes": evidence.slopes_interval(np.arange(2.0), np.stack([ONES, COSTS], axis=1)),
}


@pytest.mark.parametrize("name", LIMITED)
def test_p_values_belong_to_the_limits(name):
    """Catches a verdict by p-values that contradicts the interval of the table."""
    found = LIMITED[name]
    below, above = found.p_below(found.low), found.p_above(found.high)
    assert below + above == pytest.approx(1 - found.level, abs=1e-6)
    assert found.low < found.estimate < found.high
    places = np.linspace(found.low - 1, found.high + 1, 50)
    p_below, p_above = ([test(x) for x in places] for test in (found.p_below, found.p_above))
    assert (np.diff(p_below) >= -1e-12).all()
    assert (np.diff(p_above) <= 1e-12).all()
    assert (found.p_below(-math.inf), found.p_below(math.inf)) == (0, 1)
    assert (found.p_above(-math.inf), found.p_above(math.inf)) == (1, 0)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence.mean_interval([]), "0 runs, an interval needs 2 or more"),
        (evidence.mean_interval([1.0]), "1 run, an interval needs 2 or more"),
        (evidence.mean_interval([1.0, NAN, 2.0, math.inf]), "2 of 4 runs are not finite"),
        (evidence.mean_interval([2.0] * 8), "all 8 runs are equal: copies of one run, or measured too coarsely"),
        (evidence.mean_interval(np.array([True, False])), "Booleans have no t interval: count them by share_interval"),
        (evidence.paired_difference(COSTS > 1, COSTS > 2), "differences of Booleans have no t interval: count both"),
        (evidence.geometric_mean_interval([1.0, 0.0]), "1 of 2 runs is not positive"),
        (evidence.paired_difference([1.0, 2.0], [1.0, -math.inf]), "1 of 2 pairs is not finite"),
        (evidence.paired_difference([3.0, 4.0], [1.0, 2.0]), "all 2 differences are equal"),
        (evidence.share_interval(0, 0), "no runs"),
        (evidence.share_difference(1, 1, 0, 0), "no runs under one of the conditions"),
        (evidence.exact(NAN), "it is not finite"),
        (ratio(COSTS * NAN, ONES * NAN), "8 of 8 runs never arrived under the first condition and 8 of 8"),
        (ratio([NAN, 1.0, 2.0], ONES[:3]), "1 of 3 runs never arrived under the first condition: too few of 3 pairs"),
        (ratio([0.0, 1.0], [1.0, 1.0]), "1 of 2 costs that are known is not positive"),
        (ratio(censored(2 * ONES, 0), ONES), "ratios are equal"),
        (
            evidence.paired_ratio([NAN, 1], [1, 1], limit_a=math.inf, limit_b=1),
            "1 of 2 runs never arrived, at a cost that",
        ),
        (evidence.slopes_interval([1.0, 1.0], np.ones((3, 2))), "all points lie at the same place"),
        (evidence.slopes_interval([1.0], np.ones((3, 1))), "1 point, an interval needs 2 or more"),
        (evidence.slopes_interval([1.0, 2.0], [[1.0, NAN], [1.0, 2.0]]), "1 of 2 runs is not finite"),
        (evidence.product(evidence.undetermined("why", 3), evidence.exact(1.0)), "why"),
        (evidence.product(evidence.exact(-1.0), evidence.mean_interval(COSTS)), "a factor is not positive"),
    ],
)
def test_what_cannot_be_determined_says_why(found, reason):
    """Catches an exception in a judge, a NaN that is read as a number, and an interval without width."""
    assert found.bound == "none"
    assert found.reason.startswith(reason)
    assert str(found) == f"undetermined: {found.reason}"
    assert (found.p_below(0.0), found.p_above(0.0)) == (1, 1)


def test_programming_errors_raise():
    """Catches observations that are broadcast."""
    with pytest.raises(dl.DataError, match="paired_difference: a and b hold 3 and 2 observations; expects pairs"):
        evidence.paired_difference([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(dl.DataError, match="paired_ratio: a and b hold"):
        ratio([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(dl.DataError, match=r"slopes_interval: x is .*3.*expects as many places as columns"):
        evidence.slopes_interval(np.arange(3.0), np.ones((2, 2)))
    with pytest.raises(dl.DataError, match="share_interval: 3 successes in 2 trials"):
        evidence.share_interval(3, 2)
    with pytest.raises(dl.ArgumentError, match="level is 95"):
        evidence.mean_interval([1.0, 2.0], level=95)


def test_ratio_is_geometric():
    """Catches a mean of ratios, which is not the inverse when the sides are swapped."""
    forth, back = ratio([2.0, 8.0, 4.0], [1.0, 1.0, 1.0]), ratio([1.0, 1.0, 1.0], [2.0, 8.0, 4.0])
    assert forth.estimate == pytest.approx(4)
    assert (forth.low, forth.high) == pytest.approx((1 / back.high, 1 / back.low))


def test_order_statistics_of_eight():
    """Catches ranks off by one: 3.5 % of samples have a median outside of the second and the seventh, 0.4 % of all."""
    assert medians.sign_chances(8)[[1, 2]] == pytest.approx([1 / 256, 9 / 256])
    assert medians.lower_limit(np.arange(8.0), 9 / 256) == pytest.approx((1.0, 9 / 256))
    assert 0 < medians.lower_limit(np.arange(8.0), 0.025).limit < 1
    found = medians.lower_limit(np.array([-math.inf, *range(1, 8)]), 0.025)
    assert found == pytest.approx((1.0, 9 / 256))
    assert medians.lower_limit(np.array([-math.inf, -math.inf, *range(2, 8)]), 0.025) == (-math.inf, 0)


def test_interpolation_equals_published_weights():
    """Catches a linear interpolation of errors: Hettmansperger & Sheather 1986, n = 10, between ranks 2 and 3.

    Their weight of the inner one is (n - d) I / (d + (n - 2 d) I), with I from the levels 0.9785 and 0.8906.
    """
    share = (0.978516 - 0.95) / (0.978516 - 0.890625)
    weight = 8 * share / (2 + 6 * share)
    assert medians.lower_limit(np.arange(10.0), 0.025).limit == pytest.approx(1 + weight, abs=1e-4)


@pytest.mark.parametrize(
    ("a", "b", "bound", "level"),
    [
        (censored(COSTS, 0), ONES, "two-sided", 1 - 0.025 - 9 / 256),
        (COSTS, censored(ONES, 5), "two-sided", 1 - 0.025 - 9 / 256),
        (censored(COSTS, 0), censored(ONES, 5), "two-sided", 1 - 18 / 256),
        (censored(COSTS, 0), censored(ONES, 0), "two-sided", 1 - 18 / 256),
        (censored(COSTS, 0, 1, 2, 3), ONES, "at least", 0.975),
        (censored(COSTS, *range(8)), COSTS / 200, "at least", 0.975),
        (COSTS, censored(ONES, 0, 1, 2, 3), "at most", 0.975),
    ],
)
def test_what_censoring_leaves_of_a_ratio(a, b, bound, level):
    """Catches one censored run that leaves nothing, and a level that order statistics do not have."""
    found = ratio(a, b)
    assert (found.bound, found.count) == (bound, 8)
    assert found.level == pytest.approx(level)
    if bound != "at most":
        assert found.low > 2
        assert found.p_below(2) <= 9 / 256
    if bound != "at least":
        assert found.high < 200


def test_a_censored_run_counts_as_what_it_had_reached():
    """Catches censored runs dropped, or infinite on both ends: what reached 200 may be below a median of 300."""
    slow = COSTS + 200
    found = ratio(censored(slow, 6), ONES)  # the slowest
    assert found.low < ratio(np.delete(slow, 6), ONES[:7]).low
    order = np.sort([*np.delete(slow, 6), 200])
    assert order[0] == 200
    assert order[0] < found.low < order[1]
    assert found.high == pytest.approx(310)  # the seventh of eight: the eighth is not known


def test_clopper_pearson_equals_scipy():
    """Catches a normal approximation, and a share of 1 without error."""
    for successes in range(9):
        found = evidence.share_interval(successes, 8)
        expected = stats.binomtest(successes, 8).proportion_ci(0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
        assert found.p_below(0.4) == pytest.approx(stats.binomtest(successes, 8, 0.4, alternative="greater").pvalue)
        assert found.p_above(0.4) == pytest.approx(stats.binomtest(successes, 8, 0.4, alternative="less").pvalue)
    assert str(evidence.share_interval(8, 8)) == "1 [0.631, 1] (n=8)"


def test_difference_of_shares():
    """Catches a difference that is decided by the wrong side, and limits wider than the separate ones."""
    found = evidence.share_difference(8, 8, 0, 8)
    # All eight and none: probable at most ((1 + d) / 2) ** 16 if the difference is d.
    assert found.low == pytest.approx(2 * 0.025 ** (1 / 16) - 1, abs=1e-4)
    back = evidence.share_difference(0, 8, 8, 8)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    half = [evidence.share_interval(k, 8, level=0.975) for k in (5, 2)]
    found = evidence.share_difference(5, 8, 2, 8)
    assert half[0].low - half[1].high <= found.low < found.high <= half[0].high - half[1].low


def test_products():
    """Catches standard errors that are added, and a factor that widens an interval."""
    narrow, wide = evidence.geometric_mean_interval(COSTS), evidence.geometric_mean_interval(COSTS**4)
    found = evidence.product(narrow, wide)
    assert found.estimate == pytest.approx(narrow.estimate * wide.estimate)
    errors = [float(stats.sem(np.log(values))) for values in (COSTS, COSTS**4)]
    freedom = (errors[0] ** 2 + errors[1] ** 2) ** 2 / ((errors[0] ** 4 + errors[1] ** 4) / 7)
    half = math.hypot(*errors) * stats.t.ppf(0.975, freedom)
    assert math.log(found.high / found.low) == pytest.approx(2 * half)
    scaled = evidence.product(wide, evidence.exact(3.0))
    assert (scaled.low, scaled.high) == pytest.approx((3 * wide.low, 3 * wide.high))
    assert scaled.p_below(3 * wide.low) == pytest.approx(0.025)
    assert evidence.product(evidence.exact(2.0), evidence.exact(3.0)).bound == "exact"


def test_products_of_bounds():
    """Catches a bound that becomes an interval."""
    least, most = ratio(censored(COSTS, 0, 1, 2, 3), ONES), ratio(COSTS, censored(ONES, 0, 1, 2, 3))
    known = evidence.geometric_mean_interval(COSTS)
    assert evidence.product(least, known).bound == "at least"
    assert evidence.product(most, known).bound == "at most"
    assert evidence.product(least, most).bound == "none"
    assert least.low * known.low < evidence.product(least, known).low < least.low * known.estimate
    assert evidence.product(least, evidence.exact(2.0)).bound == "at least"
    found, one = evidence.product(ratio(censored(COSTS, 0), ONES), known), ratio(censored(COSTS, 0), ONES)
    assert found.bound == "two-sided"
    distances = np.log([one.estimate / one.low, known.estimate / known.low])
    assert math.log(found.estimate / found.low) == pytest.approx(math.hypot(*distances), rel=1e-3)
    assert found.level == pytest.approx(one.level)


def test_slopes_are_one_a_run():
    """Catches points of one run counted as independent."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 3, 12)
    rows = (2 + 0.1 * rng.normal(size=(8, 1))) * x + rng.normal(size=(8, 1)) + 0.01 * rng.normal(size=(8, 12))
    found = evidence.slopes_interval(x, rows)
    expected = evidence.mean_interval([stats.linregress(x, row).slope for row in rows])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.count == 8


def test_points_that_make_no_line():
    """Catches the slope of a curve, and a line that is refused for its scatter."""
    rng = np.random.default_rng(1)
    x = np.array([0.0, 1.0, 2.0, 3.0])
    bent = np.array([0.0, 1.0, 3.0, 6.0]) + 0.01 * rng.normal(size=(8, 4))
    found = evidence.slopes_interval(x, bent)
    assert found.bound == "none"
    assert found.reason.startswith("the points make no line: local slopes from ")
    assert evidence.slopes_interval(x, bent, tolerance=1.0).bound == "two-sided"
    assert evidence.slopes_interval(x, 2 * x + 3 * rng.normal(size=(8, 4))).bound == "two-sided"
    assert evidence.exact_slope(x, bent[0]).bound == "none"
    assert str(evidence.exact_slope(x, 2 * x + 1)) == "exact: 2"
    assert evidence.slopes_interval(x, bent[:1]).bound == "none"


def test_an_exact_value_decides_by_itself():
    """Catches a number at an edge that counts as beyond it."""
    found = evidence.exact(2.0)
    assert (found.p_below(1.0), found.p_below(2.0), found.p_above(2.0), found.p_above(3.0)) == (0, 1, 1, 0)


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        ("two-sided", "1.5 [1, 2] (n=8)"),
        ("at least", "> 1 (n=8, censored)"),
        ("at most", "< 2 (n=8, censored)"),
        ("exact", "exact: 1.5"),
        ("none", "undetermined: why"),
    ],
)
def test_an_interval_prints_what_is_known(bound, text):
    """Catches a censored interval printed like an exact one."""
    assert str(Interval(1.5, 1.0, 2.0, 8, bound=bound, reason="why")) == text


FLOATS = strategies.floats(width=64) | strategies.sampled_from([0.0, 1.0, 1.0, 2.0, NAN])


@strategies.composite
def pairs(draw):
    """Two vectors of equal length, of any numbers."""
    count = draw(strategies.integers(0, 9))
    return tuple(draw(arrays.arrays(np.float64, count, elements=FLOATS)) for _ in range(2))


@strategies.composite
def curves(draw):
    """Places [k] and rows [n, k], of any numbers."""
    count, runs = draw(strategies.integers(0, 4)), draw(strategies.integers(0, 4))
    x = draw(arrays.arrays(np.float64, count, elements=FLOATS))
    return x, draw(arrays.arrays(np.float64, (runs, count), elements=FLOATS))


LIMITS = strategies.floats(0, exclude_min=True, allow_nan=False)


@hypothesis.settings(max_examples=rounds(300))
@hypothesis.given(pairs(), curves(), LIMITS, LIMITS, FLOATS)
def test_any_numbers(pair, curve, limit_a, limit_b, x):
    """Catches a judge that raises or warns after an hour of measuring, and an interval without width."""
    a, b = pair
    found = [
        evidence.mean_interval(a),
        evidence.geometric_mean_interval(a),
        evidence.paired_difference(a, b),
        evidence.paired_ratio(a, b, limit_a=limit_a, limit_b=limit_b),
        evidence.slopes_interval(*curve),
        evidence.exact(x),
        *(evidence.exact_slope(curve[0], row) for row in curve[1]),
    ]
    found += [evidence.product(found[1], found[3]), evidence.product(found[0], found[5])]
    for interval in found:
        assert interval.bound in ("none", "exact") or interval.low < interval.high
        assert math.isfinite(interval.estimate) or interval.bound == "none"
        assert interval.reason or interval.bound != "none"
        tails = () if math.isnan(x) else (interval.p_below(x), interval.p_above(x))
        assert all(0 <= chance <= 1 for chance in tails)


@hypothesis.given(*[strategies.integers(0, 30)] * 4)
def test_any_counts(successes_a, failures_a, successes_b, failures_b):
    """Catches limits that cross, and a share beyond its limits."""
    trials_a, trials_b = successes_a + failures_a, successes_b + failures_b
    for found in (
        evidence.share_interval(successes_a, trials_a),
        evidence.share_difference(successes_a, trials_a, successes_b, trials_b),
    ):
        assert found.bound == "none" or found.low <= found.estimate <= found.high
        assert found.bound == "none" or found.low < found.high


def test_a_share_below_counts_what_diverged_and_nothing_that_was_not_measured():
    """Catches a NaN that counts as a run above the limit, and an infinite loss that does not."""
    assert evidence.share_below([1.0, 2.0, np.inf, 3.0], 2.5) == evidence.share_interval(2, 4)
    assert evidence.share_below([2.5, 2.5], 2.5) == evidence.share_interval(0, 2)
    assert evidence.share_below([1.0, np.nan, 2.0], 2.5).reason == "1 of 3 runs have no value"


def test_splits_of_one_data_set_are_no_independent_runs():
    """Catches an interval that vanishes as the same examples are split again and again."""
    values = np.random.default_rng(0).normal(1.0, 0.1, size=64)
    found, naive = evidence.resampled_interval(values, 0.3), evidence.mean_interval(values)
    half = stats.t.ppf(0.975, 63) * values.std(ddof=1) * np.sqrt(1 / 64 + 3 / 7)
    np.testing.assert_allclose([found.low, found.high], [values.mean() - half, values.mean() + half])
    np.testing.assert_allclose(found.p_below(found.low), 0.025)
    assert found.high - found.low > 5 * (naive.high - naive.low)
    assert evidence.resampled_interval([1.0], 0.3).bound == "none"
