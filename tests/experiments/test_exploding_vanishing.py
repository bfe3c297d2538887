"""What the experiment on gradients over time makes of measurements."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import exploding_vanishing as experiment


def made(small=(-0.2, -0.5), large=(0.3, -0.3), off_radius=1e-4, off_size=0.05, seeds=16):
    noise = 1 + 0.01 * np.random.default_rng(0).normal(size=(2, seeds))
    off = np.ones((seeds, 3)) * noise[0][:, None]
    sizes = experiment.SIZES
    return {
        "time": xr.Dataset(
            {
                "log_norm": (("drive", "seed", "size", "lag"), np.zeros((2, seeds, 3, experiment.STEPS))),
                f"step_{sizes[0]}": (("drive", "seed"), np.array(small)[:, None] * noise),
                f"step_{sizes[2]}": (("drive", "seed"), np.array(large)[:, None] * noise),
                "off_radius": (("seed", "size"), off_radius * off),
                "off_size": (("seed", "size"), off_size * off),
            }
        )
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [Outcome.CONDITIONAL, Outcome.SUPPORTED]),
        ({"large": (0.3, 0.3)}, [Outcome.SUPPORTED, Outcome.SUPPORTED]),
        ({"small": (0.1, 0.1), "large": (-0.2, -0.2)}, [Outcome.REFUTED, Outcome.SUPPORTED]),
        ({"off_radius": 0.05, "off_size": 1e-3}, [Outcome.CONDITIONAL, Outcome.REFUTED]),
        ({"off_radius": np.nan, "small": (np.nan,) * 2, "large": (np.nan,) * 2}, [Outcome.INCONCLUSIVE] * 2),
        ({"seeds": 1}, [Outcome.INCONCLUSIVE] * 2),
    ],
)
def test_verdicts(changes, expected):
    """Catches a region the wrong way round, a prediction that is taken for the other."""
    assert [verdict.outcome for verdict in experiment.judge(made(**changes))] == expected


def test_slopes_of_lines():
    """Catches early lags that count, and a slope in other units."""
    lags = np.arange(experiment.STEPS)
    lines = xr.DataArray([0.25 * lags + np.where(lags < experiment.FROM_LAG, 100, 3)], dims=("seed", "lag"))
    np.testing.assert_allclose(experiment.slopes(lines), [0.25])
    assert np.isnan(experiment.slopes(lines.where(lines.lag != 399) if "lag" in lines.coords else lines * np.nan)).all()


class TestContract(ExperimentContract):
    name = "exploding_vanishing"
