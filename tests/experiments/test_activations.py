"""What the comparison of activation functions makes of measurements."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import activations as experiment

NAMES = list(experiment.FUNCTIONS)
STEPS = dict.fromkeys(NAMES, 100.0)
AS_SEEN = {**STEPS, "softmax": np.nan, "sigmoid": 400.0, "sigmoid x 4": 300.0, "tanh": 60.0}


def made(steps, *, seeds=16, interior=True):
    random = np.random.default_rng(0)
    taken = {name: ("seed", steps[name] * np.exp(0.05 * random.normal(size=seeds))) for name in NAMES}
    data = xr.Dataset(taken | {"interior": ("variant", [interior] * len(NAMES))}, {"variant": NAMES}, {"limit": 1000.0})
    return {"1 hidden layer": data}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (made(AS_SEEN), [Outcome.CONDITIONAL, Outcome.SUPPORTED, Outcome.SUPPORTED, Outcome.REFUTED]),
        (made(AS_SEEN | {"tanh": 300.0}), [Outcome.SUPPORTED, Outcome.SUPPORTED, Outcome.SUPPORTED, Outcome.REFUTED]),
        (made(STEPS), [Outcome.REFUTED] * 4),
        (made(AS_SEEN, interior=False), [Outcome.INCONCLUSIVE] * 4),
        (made(dict.fromkeys(NAMES, np.nan)), [Outcome.INCONCLUSIVE] * 4),
        (made(AS_SEEN, seeds=1), [Outcome.INCONCLUSIVE] * 4),
        (
            made(AS_SEEN | {"sigmoid": np.nan}),
            [Outcome.CONDITIONAL, Outcome.SUPPORTED, Outcome.SUPPORTED, Outcome.REFUTED],
        ),
    ],
)
def test_verdicts(measured, expected):
    """Catches ratios upside down, a rate at the edge that decides, runs that never arrive and are left out."""
    assert [verdict.outcome for verdict in experiment.judge(measured)] == expected


class TestContract(ExperimentContract):
    name = "activations"
