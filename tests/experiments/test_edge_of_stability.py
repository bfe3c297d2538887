"""The judge of `edge_of_stability` on measurements that never were."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import edge_of_stability as edge


def measured(first=0.5, late=1.02, growth=0.1, seeds=5):
    """First and late sharpness over 2 / rate, and the loss at the end over the one at which it got there."""
    noisy = 1 + 0.01 * np.random.default_rng(0).normal(size=(2, 4, seeds))
    cells = ("activation", "learning_rate", "seed")
    found = {
        "first": (cells, first * noisy),
        "late": (cells, late * noisy[..., ::-1]),
        "growth": (cells, growth * noisy),
    }
    return {"edge": xr.Dataset(found, {"activation": list(edge.ACTIVATIONS), "learning_rate": edge.RATES})}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [Outcome.SUPPORTED, Outcome.REFUTED]),
        ({"late": 0.3}, [Outcome.REFUTED, Outcome.REFUTED]),
        ({"first": 1.2}, [Outcome.CONDITIONAL, Outcome.REFUTED]),
        ({"growth": 3.0}, [Outcome.SUPPORTED, Outcome.SUPPORTED]),
        ({"seeds": 1}, [Outcome.INCONCLUSIVE] * 2),
        (dict.fromkeys(("first", "late", "growth"), np.nan), [Outcome.INCONCLUSIVE] * 2),
    ],
)
def test_the_judge_reads_what_was_measured(values, expected):
    """Catches a ratio that is turned over, and a run without a number that counts."""
    assert [verdict.outcome for verdict in edge.judge(measured(**values))] == expected


class TestContract(ExperimentContract):
    name = "edge_of_stability"
