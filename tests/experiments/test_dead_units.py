"""What the experiment on dead units makes of measurements, and how it counts them."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

import dlcore as dl
from dlcore.evidence import Outcome
from experiments.optimization import dead_units as experiment


def made(seeds=16, share=None):
    dead = [0.7 if name in ("relu at a large rate", "elu at a large rate") else 0.0 for name in experiment.CONDITIONS]
    values = np.repeat(np.array(dead if share is None else [share] * len(dead))[:, None], seeds, axis=1)
    return {"units": xr.Dataset({"dead": (("condition", "seed"), values)}, {"condition": experiment.CONDITIONS})}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (made(), [Outcome.CONDITIONAL, Outcome.CONDITIONAL]),
        (made(share=0.0), [Outcome.REFUTED, Outcome.SUPPORTED]),
        (made(share=0.9), [Outcome.SUPPORTED, Outcome.REFUTED]),
        (made(share=np.nan), [Outcome.INCONCLUSIVE] * 2),
        (made(seeds=1), [Outcome.INCONCLUSIVE] * 2),
    ],
)
def test_verdicts(measured, expected):
    """Catches a region the wrong way round, diverged networks that count, and a verdict from a single one."""
    assert [verdict.outcome for verdict in experiment.judge(measured)] == expected


def test_dead_units_are_counted():
    """Catches units that are dead for some images only, the output layer, and maxout by its pieces."""
    kernel, images = jnp.ones((1, 4)), jnp.array([[1.0], [2.0]])
    head = {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}
    first = {"kernel": kernel, "bias": jnp.array([-1.5, -5.0, 0.0, 0.0])}  # alive for the second image, dead
    params = {"layers": {0: first, 1: head}}
    relu, maxout = (dl.activations.Chosen(i, ["relu", "maxout"]) for i in range(2))
    assert float(experiment.dead_share(params, images, relu)) == 0.5
    assert float(experiment.dead_share(params, images, maxout)) == 0.0


class TestContract(ExperimentContract):
    name = "dead_units"
