"""What the experiment on deep ReLU networks makes of measurements."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import relu_variance as experiment

HALF = np.log(0.5)


def made(lecun=HALF, he=0.0, spread=1.0, seeds=128):
    random = np.random.default_rng(0)
    deviation = np.sqrt(spread * 5 / experiment.UNITS)
    found = {}
    for name, slope in (("LeCun", lecun), ("He", he)):
        steps = slope + deviation * random.normal(size=(seeds, experiment.DEPTH))
        logs = np.concatenate([np.zeros((seeds, 1)), np.cumsum(steps, axis=1)], axis=1)
        found[name] = xr.Dataset({"log_square": (("seed", "layer"), logs)})
    return found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seeds": 512}, [Outcome.SUPPORTED, Outcome.SUPPORTED]),
        ({"lecun": 0.0, "he": HALF, "spread": 4.0}, [Outcome.REFUTED, Outcome.REFUTED]),
        ({"lecun": -0.2}, [Outcome.CONDITIONAL, Outcome.SUPPORTED]),
        ({"lecun": np.nan, "he": np.nan}, [Outcome.INCONCLUSIVE] * 2),
        ({"seeds": 1}, [Outcome.INCONCLUSIVE] * 2),
    ],
)
def test_verdicts(changes, expected):
    """Catches weights that are taken for the others, and a spread in units of something else."""
    measured = made(**{"seeds": 512, **changes})
    assert [verdict.outcome for verdict in experiment.judge(measured)] == expected


def test_squared_deviations_have_the_variance_as_their_mean():
    """Catches a division by n, and by another theory."""
    logs = np.array([0.0, 1.0, 5.0])
    expected = logs.var(ddof=1) / (5 * experiment.DEPTH / experiment.UNITS)
    assert experiment.squared_deviations(logs).mean() == pytest.approx(expected)


@pytest.mark.heavy
class TestContract(ExperimentContract):
    name = "relu_variance"
