"""Linear rate of full-batch descent, and the part that holds all three comparisons with theory."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import theory
from benchmarks.convergence.parts import QUICK
from dlcore.evidence.claims import Outcome


def rates(factors, expected=(0.99, 0.9)):
    """A measurement of the linear rate."""
    data = {"measured": ("relative_rate", list(factors)), "theory": ("relative_rate", list(expected))}
    return xr.Dataset(data, {"relative_rate": [0.5, 0.9]})


@pytest.fixture(scope="module")
def measured():
    """Least squares on diabetes, four rates."""
    return theory.linear_rate(QUICK)


def test_linear_rate_equals_theory(measured):
    """Catches a Hessian, a learning rate or a loss off by a factor; beyond the stability limit it diverges as fast."""
    np.testing.assert_allclose(np.log(measured.measured), np.log(measured.theory), rtol=1e-4)
    assert (measured.measured < 1).values.tolist() == [True, True, True, False]
    assert theory.judge_rate(measured).outcome is Outcome.SUPPORTED


@pytest.mark.parametrize(
    ("factors", "outcome"),
    [
        ((0.99, 0.9), Outcome.SUPPORTED),
        ((0.98, 0.8), Outcome.REFUTED),
        ((0.99, 0.8), Outcome.CONDITIONAL),
        ((0.9901, 0.9), Outcome.CONDITIONAL),  # 1 % of the rate, 0.01 % of the factor
        ((0.99, np.nan), Outcome.INCONCLUSIVE),
        ((np.inf, 0.0), Outcome.INCONCLUSIVE),
    ],
)
def test_rate_is_judged_by_its_numbers(factors, outcome):
    """Catches a factor compared in place of its logarithm, and what overflowed taken for a rate."""
    assert theory.judge_rate(rates(factors)).outcome is outcome


def test_rate_of_nothing():
    """Catches a judge that needs data."""
    assert theory.judge_rate(rates((0.99, 0.9)).isel(relative_rate=slice(0))).outcome is Outcome.INCONCLUSIVE


def test_table_of_rates(measured):
    """Catches columns that are swapped."""
    table = theory.rate_table(measured)
    assert list(table.iloc[-1]) == ["1.02", "1.081600", "1.081600"]
