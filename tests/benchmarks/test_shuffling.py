"""Claim (f), judged by numbers made up to come out either way."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import shuffling
from dlcore.evidence import Outcome

S, R, C, Q = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE
RNG = np.random.default_rng(0)


def problem(stored=10.0, once=1.0, *, convex=True, interior=True, num_seeds=8, full=(0.5, 0.5)):
    """A measurement of one problem."""
    gap = np.array([stored, once, 1.0])[:, None] * np.exp(0.1 * RNG.normal(size=(3, num_seeds)))
    data = {
        "gap": (("sampling", "seed"), gap),
        "learning_rate": ("sampling", [0.1] * 3),
        "interior": ("sampling", [interior] * 3),
        "full_gap": ("order", list(full)),
    }
    coords = {"sampling": list(shuffling.SAMPLINGS)}
    return xr.Dataset(data, coords, {"title": f"drawn {convex}", "convex": convex})


def both(first, **second):
    """A convex problem and a network."""
    return {"a": first, "b": problem(convex=False, **second)}


def judged(measured):
    """The verdict."""
    (verdict,) = shuffling.judge(measured)
    return verdict


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (both(problem()), S),
        (both(problem(1.5, 9.0), stored=1.5, once=9.0), R),
        (both(problem(1.5)), C),
        (both(problem(), once=9.0), C),
        (both(problem(shuffling.NEEDS)), Q),
        (both(problem(np.nan)), Q),
        (both(problem(np.inf)), Q),
        (both(problem(interior=False)), Q),
        (both(problem(num_seeds=1)), Q),
        ({"a": problem()}, Q),
        ({}, Q),
    ],
)
def test_it_is_judged_by_its_numbers(measured, expected):
    """Catches an outcome that cannot come out, and a judge that fails."""
    assert judged(measured).outcome is expected


def test_which_part_fails():
    """Catches problems of one kind judged under the other."""
    outcomes = judged(both(problem(1.5), once=9.0)).outcomes
    assert outcomes == {
        "stored order harms convex problems": R,
        "stored order harms a network": S,
        "shuffling once is enough": C,
    }


def test_a_full_batch_that_needs_shuffling_is_shown():
    """Catches a check that cannot fail."""
    assert [check.holds for check in judged(both(problem(full=(0.5, 0.6)))).checks] == [False, True]
