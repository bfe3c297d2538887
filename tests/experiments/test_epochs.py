"""The judge of `epochs` on measurements that never were."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import epochs

SUPPORTED, REFUTED, INCONCLUSIVE = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.INCONCLUSIVE


def measured(count=1.0, after_epochs=4.0, after_steps=1.0, seeds=8):
    """Both sides of d e = i b, and losses of large batches over those of small ones."""
    noisy = 1 + 0.01 * np.random.default_rng(0).normal(size=(3, seeds))
    found = {
        "epochs": (("rates", "seed"), after_epochs * noisy),
        "steps": (("learning_rate", "seed"), after_steps * noisy),
    }
    return {
        "count": xr.Dataset({"ratio": ("batches", np.full(len(epochs.COUNTED), count))}),
        "digits": xr.Dataset(found),
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [SUPPORTED, REFUTED, SUPPORTED]),
        ({"count": 0.96, "after_epochs": 1.0, "after_steps": 0.3}, [REFUTED, SUPPORTED, REFUTED]),
        ({"seeds": 1}, [SUPPORTED, INCONCLUSIVE, INCONCLUSIVE]),
        (dict.fromkeys(("count", "after_epochs", "after_steps"), np.nan), [INCONCLUSIVE] * 3),
    ],
)
def test_the_judge_reads_what_was_measured(values, expected):
    """Catches a ratio that is turned over, and a run without a number that counts."""
    assert [verdict.outcome for verdict in epochs.judge(measured(**values))] == expected


class TestContract(ExperimentContract):
    name = "epochs"
