"""Claim (d), judged by numbers made up to come out either way, and measured on one problem."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import orders
from benchmarks.convergence.parts import Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence import Outcome

S, R, C, Q = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE
APART = 0.2 * np.exp(np.random.default_rng(0).normal(size=8))  # of the two orders of a pair


def drawn(spread=1.0, *, repeats=True, full=0.1, num_pairs=8):
    """A measurement of one problem."""
    single = np.stack([np.ones(num_pairs), 1 + spread * APART[:num_pairs]], axis=1).ravel()
    names = {
        "gap_single": single,
        "again": single if repeats else single + 1e-7,
        "gap_full": np.full(len(single), full),
    }
    return {"drawn": xr.Dataset({name: ("seed", values) for name, values in names.items()}, attrs={"title": "drawn"})}


def judged(measured):
    """The verdict."""
    (verdict,) = orders.judge(measured)
    return verdict


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (drawn(), S),
        (drawn(1e-5), C),
        (drawn(repeats=False), C),
        (drawn(1e-5, repeats=False), R),
        (drawn(0.0), Q),
        (drawn(np.nan), Q),
        (drawn(np.inf), Q),
        (drawn(num_pairs=1), Q),
        (drawn(num_pairs=0), Q),
        ({}, Q),
    ],
)
def test_it_is_judged_by_its_numbers(measured, expected):
    """Catches an outcome that cannot come out, and a judge that fails."""
    assert judged(measured).outcome is expected


def test_pairs_share_no_run():
    """Catches differences to one common run, of which seven are not independent."""
    assert judged(drawn()).evidence["orders differ"][0].interval.count == 8


def test_a_full_batch_that_depends_on_the_order_is_shown():
    """Catches a check that cannot fail."""
    measured = drawn()
    measured["drawn"]["gap_full"][3] += 1e-6
    assert [check.holds for check in judged(measured).checks] == [False]
    assert judged(measured).outcome is S


def test_orders_of_a_problem():
    """Catches runs from different starts, and runs that do not repeat in another study."""
    measured = orders.measured(PROBLEMS["interpolation"](), Scale(num_seeds=8, block=95))
    verdict = judged({"interpolation": measured})
    assert verdict.outcomes["a seed repeats"] is S
    assert all(check.holds for check in verdict.checks)
    assert len(np.unique(measured.gap_single)) == 8
