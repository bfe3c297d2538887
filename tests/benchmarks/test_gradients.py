"""Claim (a), judged by numbers made up to come out either way, and measured on one problem."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import gradients
from benchmarks.convergence.parts import Scale
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence import Outcome

S, R, C, Q = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE
NOISE = np.array([-3, 2, 0, 1, -1, 3, -2, 0.5]) / 100


def drawn(projection=1.0, distance=2.0, mean_distance=0.0, *, num_seeds=8, start_varies=True):
    """A measurement of one problem."""
    noise = NOISE[:num_seeds]
    data = {
        "projection": projection + noise,
        "distance": distance * np.exp(noise),
        "mean_distance": np.full(len(noise), mean_distance),
    }
    attrs = {"title": "drawn", "start_varies": start_varies}
    return {"drawn": xr.Dataset({name: ("seed", values) for name, values in data.items()}, attrs=attrs)}


def outcome(measured):
    """Of the claim."""
    (verdict,) = gradients.judge(measured)
    return verdict.outcome


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (drawn(), S),
        (drawn(projection=1.5, distance=0.1), R),
        (drawn(projection=0.5), C),
        (drawn(distance=0.1), C),
        (drawn(projection=1.1), Q),
        (drawn(projection=np.nan), Q),
        (drawn(projection=np.inf, distance=np.inf), Q),
        (drawn(num_seeds=1), Q),
        (drawn(num_seeds=0), Q),
        (drawn(start_varies=False), S),
        (drawn(distance=np.nan, start_varies=False), Q),
        ({}, Q),
    ],
)
def test_it_is_judged_by_its_numbers(measured, expected):
    """Catches an outcome that cannot come out, and a judge that fails."""
    assert outcome(measured) is expected


def test_a_wrong_mean_is_shown_and_not_counted():
    """Catches a check that counts, or that cannot fail."""
    (verdict,) = gradients.judge(drawn(mean_distance=0.5))
    assert [check.holds for check in verdict.checks] == [False]
    assert verdict.outcome is S


def test_gradients_of_a_problem():
    """Catches a gradient that is not of one example, or not of the start."""
    problem = PROBLEMS["logistic_regression"]()
    measured = gradients.measured(problem, Scale(num_seeds=4, block=95))
    inputs, labels = problem.task.data.train
    design = np.column_stack([inputs, np.ones(len(inputs))])
    each = -design * (labels - 0.5)[:, None]  # the logistic loss at zero, where the penalty has no gradient
    full = each.mean(0)
    distance = np.median(np.linalg.norm(each - full, axis=1)) / np.linalg.norm(full)
    np.testing.assert_allclose(measured.distance, distance, rtol=1e-4)
    assert (measured.mean_distance < 1e-5).all()
    assert len(np.unique(measured.projection)) == 4
    assert outcome({"logistic_regression": measured}) is S
