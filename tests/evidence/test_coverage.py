"""Intervals hold the truth as often as they say: `tests/interval_coverage.py` within bands."""

import interval_coverage
import pytest

# Of the means of skewed runs: Student's t misses on the side of the long tail. A limitation, written down in the
# docstring of `mean_interval`; it must not get worse.
SKEWED_COVERAGE, SKEWED_ERROR = 0.86, 0.12
# Geometric means of exponential costs themselves: the coverage is there, the errors lie on one side.
COSTS_ERROR = 0.06
CONSERVATIVE = ("share", "censored")


ONE_TENTH = "product, a factor censored"  # from a tenth of the replications: the slack is three times as wide


def check(row: interval_coverage.Row, slack: float) -> None:
    """Coverage from 93 to 97 % with one-sided errors from 1.5 to 3.5 %; conservative kinds only from below."""
    slack *= 3 if row.kind == ONE_TENTH else 1
    conservative = any(word in row.kind for word in CONSERVATIVE)
    differs = row.kind in ("paired_difference", "slopes_interval")  # of skewed runs these are hardly skewed
    if row.law == "skewed" and not differs:
        assert row.coverage > SKEWED_COVERAGE - slack, row
        assert max(row.below, row.above) < SKEWED_ERROR + slack, row
        return
    assert row.coverage > 0.93 - slack, row
    if row.law == "skewed costs" and row.kind in ("geometric_mean_interval", "product"):
        assert max(row.below, row.above) < COSTS_ERROR + slack, row
        return
    assert max(row.below, row.above) < 0.035 + slack, row
    if not conservative:
        assert row.coverage < 0.97 + slack, row
        assert min(row.below, row.above) > 0.015 - slack, row


@pytest.mark.job
def test_of_normal_runs():
    """Catches one tail for two, degrees of freedom off by more than one, a censored run dropped."""
    rows = list(interval_coverage.table(2_000, laws=("normal",), counts=(8,), censored=(0.1,)))
    assert len(rows) == 11
    for row in rows:
        check(row, slack=0.014)  # 4 standard errors


@pytest.mark.job
def test_of_skewed_costs():
    """Catches ratios of costs, as claims are judged by them, that are right for log-normal costs only."""
    rows = list(interval_coverage.table(2_000, laws=("skewed costs",), counts=(8,), censored=(0.1,)))
    assert {row.kind for row in rows} >= {"paired_ratio", "geometric_mean_interval", "slopes_interval", "product"}
    for row in rows:
        check(row, slack=0.014)


@pytest.mark.heavy
@pytest.mark.parametrize("count", [8, 16])
@pytest.mark.parametrize("law", interval_coverage.LAWS)
def test_of_all(law, count):
    """Catches intervals that are right for normal runs only."""
    for row in interval_coverage.table(20_000, laws=(law,), counts=(count,)):
        check(row, slack=0.004)
