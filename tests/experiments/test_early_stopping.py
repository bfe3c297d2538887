"""The judge of `early_stopping` on measurements that never were, and the choice of an epoch."""

import numpy as np
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import early_stopping

SUPPORTED, REFUTED, INCONCLUSIVE = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.INCONCLUSIVE
STEPS = 31


def measured(falls=(0.1, 0.1), luck=0.05, seeds=8):
    """Accuracy that falls after epoch 8; a test set that is lucky at one epoch, the validation set at none."""
    random = np.random.default_rng(0)
    after = np.clip((np.arange(STEPS) - 8) / (STEPS - 9), 0, 1)
    depth = np.array(falls)[:, None, None] * (1 + 0.1 * random.normal(size=(2, seeds, 1)))
    new = 0.9 - depth * after
    new = new - 0.5 * (np.arange(STEPS) == 0)
    test = new + luck * (np.arange(STEPS) == 20) * (1 + 0.1 * random.normal(size=(2, seeds, 1)))
    cells = ("noise", "seed", "step")
    found = {
        "train_accuracy": (cells, new),
        "validation_loss": (cells, -new - 10 * (np.arange(STEPS) == 8)),
        "validation_accuracy": (cells, new),
        "test_accuracy": (cells, np.broadcast_to(test + 0.2 * (np.arange(STEPS) == 20) * (luck > 0), new.shape)),
        "new_accuracy": (cells, new),
    }
    return {"digits": xr.Dataset(found)}


def outcomes(**values):
    return [verdict.outcome for verdict in early_stopping.judge(measured(**values))]


def test_the_judge_reads_what_was_measured():
    """Catches differences of the wrong sign, and an epoch that is chosen by another record."""
    assert outcomes() == [SUPPORTED, SUPPORTED]
    assert outcomes(falls=(0.1, -0.1))[0] == Outcome.CONDITIONAL
    assert outcomes(falls=(-0.1, -0.1))[0] == REFUTED


def test_what_is_unknown_decides_nothing():
    """Catches a run without a record that counts."""
    assert outcomes(falls=(np.nan, np.nan)) == [INCONCLUSIVE] * 2
    assert outcomes(seeds=1) == [INCONCLUSIVE] * 2


def test_an_epoch_is_chosen_by_the_other_record():
    """Catches the last of equal records, and a record that is missing in part."""
    values = xr.DataArray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dims=("seed", "step"))
    by = xr.DataArray([[0.1, 0.3, 0.3], [0.5, np.nan, 0.1]], dims=("seed", "step"))
    np.testing.assert_array_equal(early_stopping.chosen(values, by), [2.0, np.nan])


class TestContract(ExperimentContract):
    name = "early_stopping"
