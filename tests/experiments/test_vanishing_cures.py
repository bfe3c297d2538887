"""What the experiment on cures makes of measurements."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import vanishing_cures as experiment

NAMES = list(experiment.NETWORKS)
SICK = NAMES[:3]


def made(seeds=14, sick=(1e-6, 2.3), cured=(1.0, 0.2)):
    sides = np.array([sick if name in SICK else cured for name in NAMES])
    noise = np.exp(0.1 * np.random.default_rng(0).normal(size=(len(NAMES), seeds)))
    one = np.ones((len(NAMES), seeds))
    losses = np.stack([2.3 * one, sides[:, 1:] * one, np.inf * one], axis=1)
    variables = {"ratio": (("network", "seed"), sides[:, :1] * noise)}
    variables["loss"] = ("network", "learning_rate", "seed"), losses
    return {"networks": xr.Dataset(variables, {"network": NAMES})}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (made(), [Outcome.SUPPORTED, Outcome.CONDITIONAL, Outcome.CONDITIONAL]),
        (made(sick=(1.0, 0.2)), [Outcome.REFUTED, Outcome.SUPPORTED, Outcome.SUPPORTED]),
        (made(cured=(1e-6, 2.3)), [Outcome.SUPPORTED, Outcome.REFUTED, Outcome.REFUTED]),
        (made(sick=(1.0, 2.3)), [Outcome.CONDITIONAL, Outcome.SUPPORTED, Outcome.CONDITIONAL]),
        (made(sick=(np.nan,) * 2, cured=(np.nan,) * 2), [Outcome.INCONCLUSIVE] * 3),
        (made(seeds=1), [Outcome.INCONCLUSIVE] * 3),
    ],
)
def test_verdicts(measured, expected):
    """Catches a rate that has to suit all networks, a diverged run that counts, networks that are mixed up."""
    assert [verdict.outcome for verdict in experiment.judge(measured)] == expected


@pytest.mark.heavy
class TestContract(ExperimentContract):
    name = "vanishing_cures"
