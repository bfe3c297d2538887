"""What the experiment on gradients by layer makes of measurements."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import layer_gradients as experiment


def made(ratio, depth=3, seeds=16):
    noise = np.exp(0.05 * np.random.default_rng(0).normal(size=(seeds, depth)))
    return {f"{depth} hidden layers": xr.Dataset({"norm": (("seed", "layer"), ratio ** np.arange(depth) * noise)})}


@pytest.mark.parametrize(
    ("ratio", "seeds", "expected"),
    [
        (4.9, 16, Outcome.SUPPORTED),
        (8.0, 16, Outcome.CONDITIONAL),
        (1.2, 16, Outcome.REFUTED),
        (np.nan, 16, Outcome.INCONCLUSIVE),
        (4.9, 1, Outcome.INCONCLUSIVE),
    ],
)
def test_verdicts(ratio, seeds, expected):
    """Catches a ratio upside down, and one that is not compared with what was published."""
    (verdict,) = experiment.judge(made(ratio, seeds=seeds))
    assert verdict.outcome is expected


def test_the_mean_ratio_of_layers():
    """Catches an arithmetic mean, and layers that count twice."""
    np.testing.assert_allclose(experiment.mean_ratio(np.array([[1.0, 2.0, 16.0], [3.0, 3.0, 3.0]])), [4.0, 1.0])


def test_published_ratios():
    """Catches numbers that were mistyped: neighbors in Nielsen's networks differ by 4.07 to 5.74."""
    assert (round(min(experiment.RATIOS), 2), round(max(experiment.RATIOS), 2)) == (4.07, 5.74)


class TestContract(ExperimentContract):
    name = "layer_gradients"
