"""What the experiment on back-propagation makes of measurements."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import backpropagation

STEPS = backpropagation.STEPS
SIZE = 8


def made(*, distance=1e-15, order=2, backward=2.0, seeds=SIZE):
    """Measurements of smooth networks whose differences err as h^order; those with kinks err as h."""
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=(5, seeds, 1)))
    orders = np.array([order] * 3 + [1, 1])[:, None, None]
    curves = xr.Dataset(coords={"activation": [*backpropagation.SMOOTH, *backpropagation.KINKED]})
    for name, rounding in {"float64": 2e-15, "float32": 1e-6}.items():
        values = noise * rounding / STEPS + 0.3 * STEPS ** (orders * (1 + 0.01 * np.log(noise)))
        curves[name] = ("activation", "seed", "step"), values
    curves["off"] = ("activation", "seed"), 0.2 * noise[..., 0]
    cost = xr.Dataset({"operations": ("network", [1 + backward])}, {"network": ["deep"]})
    cost["seconds"] = ("network", "block"), 3 + 0.1 * np.arange(9)[None]
    return {
        "signals": xr.Dataset({"distance": (("case", "seed"), np.full((2, seeds), distance))}, {"case": ["3", "10"]}),
        "curves": curves,
        "differences": backpropagation.summed_up(curves),
        "cost": cost,
    }


def outcomes(measured):
    with np.errstate(all="ignore"):
        return [verdict.outcome for verdict in backpropagation.judge(measured)]


S, R, C, I = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (made(), [S, C, S, S]),
        (made(distance=1e-3), [R, C, S, S]),
        (made(order=1), [S, R, C, S]),
        (made(backward=1.0), [S, C, S, C]),
        ({name: data.map(lambda values: np.nan * values) for name, data in made().items()}, [I, I, I, I]),
        (made(seeds=1), [S, I, I, S]),
    ],
)
def test_verdicts(data, expected):
    """Catches a judge that takes NaN for agreement, one network for many, or the wrong side of a threshold."""
    assert outcomes(data) == expected


def test_the_best_step_is_where_both_errors_are_in_balance():
    """Catches the place where the two laws meet in place of the one where their sum is least."""
    verdict = backpropagation.judge(made())[2]
    interval = verdict.evidence["best step"][0].interval
    assert interval.estimate == pytest.approx((2e-15 / (2 * 0.3)) ** (1 / 3), rel=0.01)


class TestContract(ExperimentContract):
    name = "backpropagation"
