"""What the experiment on gates makes of measurements, and of networks whose gradient is known."""

import jax
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import gates as experiment


def made(steps=(-0.5, -0.2, 0.0), plain=-0.5, feedback=1.0, alone=1e-15, seeds=16):
    """Networks whose gradients change by so much a step."""
    random = np.random.default_rng(0)
    lags = np.arange(experiment.STEPS)

    def lines(slopes):
        noise = 1e-3 * random.normal(size=(*np.shape(slopes), seeds, 1))
        return (np.asarray(slopes)[..., None, None] + noise) * lags

    def drawn(value):
        return value * np.exp(0.1 * random.normal(size=(3, seeds)))

    norms, tanh = lines(steps), lines(plain)
    variables = {
        "kept": (("bias", "seed"), experiment.slopes(norms)),
        "less": (("bias", "seed"), experiment.slopes(norms) - experiment.slopes(tanh)),
        "feedback": (("bias", "seed"), drawn(feedback)),
        "no feedback": (("bias", "seed"), drawn(alone)),
    }
    return {"time": xr.Dataset(variables, {"bias": list(experiment.BIASES)})}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (made(), [Outcome.CONDITIONAL, Outcome.CONDITIONAL]),
        (made(steps=(0.0,) * 3, feedback=1e-15), [Outcome.SUPPORTED, Outcome.SUPPORTED]),
        (made(steps=(-0.6,) * 3, alone=1.0), [Outcome.REFUTED, Outcome.REFUTED]),
        (made(steps=(np.nan,) * 3, feedback=np.nan, alone=np.nan), [Outcome.INCONCLUSIVE] * 2),
        (made(seeds=1), [Outcome.INCONCLUSIVE] * 2),
    ],
)
def test_verdicts(measured, expected):
    """Catches sides that are exchanged, and seeds that are not counted."""
    assert [verdict.outcome for verdict in experiment.judge(measured)] == expected


def test_closed_gates_and_open_ones():
    """Catches a gate that is not the forget gate, and lags that are counted from the wrong end."""
    with jax.enable_x64(True):
        cells = [experiment.gated(np.int64(1), bias, 0.0) for bias in (-3.0, 30.0)]
        (shut, far), (wide, _) = [tuple(map(np.asarray, cell)) for cell in cells]
    assert far < experiment.EXACT
    np.testing.assert_allclose(experiment.slopes(shut), -3, atol=0.5)  # the log of the gate, and what inputs add
    np.testing.assert_allclose(np.diff(wide), 0, atol=1e-9)


class TestContract(ExperimentContract):
    name = "gates"
