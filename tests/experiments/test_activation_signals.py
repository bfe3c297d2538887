"""What the experiment on signals of activation functions makes of measurements, and the signals themselves."""

import math

import jax
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import activation_signals as experiment

NAMES = experiment.NAMES


def made(seeds=16, **changes):
    random = np.random.default_rng(0)
    values = {
        "bend": {name: 1e-7 if name == "identity" else 0.2 for name in NAMES},
        "slope": {name: 0.3 if name in ("sigmoid", "tanh", "softsign") else 0.9 for name in NAMES},
        "mean": {name: 0.01 if name in ("tanh", "softsign", "elu") else 0.6 for name in NAMES},
    }
    values |= {key: dict.fromkeys(NAMES, value) for key, value in changes.items()}
    found = {}
    for key, sides in experiment.SIDES.items():
        names = [name for side in sides.values() for name in side]
        noise = 1 + 0.01 * random.normal(size=(seeds, len(names)))
        value = np.array([values[key][name] for name in names]) * noise
        found[key] = xr.Dataset({"value": (("seed", "function"), value)}, {"function": names})
    return found


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (made(), [Outcome.SUPPORTED] * 3),
        (made(bend=1e-7, slope=0.9, mean=0.6), [Outcome.CONDITIONAL] * 3),
        (made(bend=np.nan, slope=np.nan, mean=np.nan), [Outcome.INCONCLUSIVE] * 3),
        (made(seeds=1), [Outcome.INCONCLUSIVE] * 3),
    ],
)
def test_verdicts(measured, expected):
    """Catches a function on the other side, a region the wrong way round."""
    assert [verdict.outcome for verdict in experiment.judge(measured)] == expected


@pytest.mark.job
def test_signals_are_those_of_theory():
    """Catches another deviation, slopes of one piece only, a mean of sizes: of normal z they have closed forms."""
    found = {
        name: experiment.signals_of(NAMES.index(name), jax.numpy.int32(0)) for name in ("identity", "relu", "maxout")
    }
    assert float(found["identity"][0]) < 1e-5
    assert float(found["identity"][1]) == pytest.approx(1.0, rel=1e-5)
    assert float(found["relu"][2]) == pytest.approx(1 / math.sqrt(math.pi), abs=0.02)
    assert float(found["maxout"][1]) == pytest.approx(1.0, rel=1e-5)
    assert float(found["maxout"][2]) == pytest.approx(1 / math.sqrt(math.pi), abs=0.02)


class TestContract(ExperimentContract):
    name = "activation_signals"
