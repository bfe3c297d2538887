"""What the experiment on gains makes of measurements, and how it finds them."""

import jax
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import initialization_gains as experiment

NAMES = list(experiment.GAINS)


def made(signals, gradients, seeds=16):
    noise = 1 + 0.002 * np.random.default_rng(0).normal(size=(2, seeds, len(NAMES)))
    values = np.stack([np.broadcast_to(side, (seeds, len(NAMES))) for side in (signals, gradients)]) * noise
    ratio = xr.DataArray(values, {"kept": ["signals", "gradients"], "seed": np.arange(seeds), "activation": NAMES})
    return {"gains": xr.Dataset({"ratio": ratio, "alike": ratio[1].drop_vars("kept") / ratio[0].drop_vars("kept")})}


@pytest.mark.parametrize(
    ("signals", "gradients", "seeds", "expected"),
    [
        (1.0, 1.0, 16, [Outcome.SUPPORTED, Outcome.SUPPORTED]),
        (1.5, 1.5, 16, [Outcome.REFUTED, Outcome.SUPPORTED]),
        (1.0, 1.5, 16, [Outcome.CONDITIONAL, Outcome.REFUTED]),
        (np.nan, 1.0, 16, [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]),
        (1.0, 1.0, 1, [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]),
    ],
)
def test_verdicts(signals, gradients, seeds, expected):
    """Catches one pass that is judged twice, and a ratio of the two that is not theirs."""
    if np.isnan(signals):
        gradients = np.nan
    assert [verdict.outcome for verdict in experiment.judge(made(signals, gradients, seeds))] == expected


def test_gains_of_linear_units_are_those_of_the_product(monkeypatch):
    """Catches a bisection that ends elsewhere, a pass the wrong way round: of linear units both have a closed form."""
    monkeypatch.setattr(experiment, "UNITS", 16)
    monkeypatch.setattr(experiment, "LAYERS", 3)
    monkeypatch.setattr(experiment, "HALVINGS", 20)
    monkeypatch.setattr(experiment, "GAINS", {"identity": 1.0})
    key = jax.random.key(3)
    keys = jax.random.split(key, 3)
    kernels = np.asarray(jax.random.normal(keys[0], (3, 16, 16))) / 4
    signal, error = (np.asarray(jax.random.normal(key, (16,))) for key in keys[1:])
    product = kernels[0] @ kernels[1] @ kernels[2]
    norm = np.linalg.norm
    expected = [
        (norm(signal) / norm(signal @ product)) ** (1 / 3),
        (norm(error) / norm(product @ error)) ** (1 / 3),
    ]
    np.testing.assert_allclose(experiment.kept_gains(key)[:, 0], expected, rtol=1e-4)


@pytest.mark.heavy
class TestContract(ExperimentContract):
    name = "initialization_gains"
