"""The judge of `clipping` on measurements that never were."""

import numpy as np
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import clipping

SUPPORTED, REFUTED, INCONCLUSIVE = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.INCONCLUSIVE


def measured(plain=np.inf, clipped=0.05, loose=0.05, lost=0.0, slower=3.0, errors=(1e3, 0.05), seeds=8):
    """Three bounds of the slope; errors of a recurrent network without and with clipping; the digits."""
    random = np.random.default_rng(0)
    distance = np.stack([np.full((2, 3), value) for value in (plain, clipped, loose)])
    distance[0, :, 0] = 0.05  # from inside the root
    noise = random.normal(size=(4, seeds))
    digits = {
        "norm": (("way", "seed"), lost + 0.001 * noise),
        "value": ("seed", lost + 0.001 * noise[0]),
        "slower": (("way", "seed"), slower * np.exp(0.01 * noise)),
        "tuning_loss": (("way", "learning_rate"), np.ones((4, len(clipping.RATES)))),
    }
    coords = {"way": list(clipping.METHODS), "learning_rate": clipping.RATES}
    losses = np.array(errors)[:, None] * np.ones((2, seeds))
    return {
        "quartic": xr.Dataset({"distance": (("bound", "step", "start"), distance)}),
        "sequences": xr.Dataset({"test_loss": (("clip", "seed"), losses)}),
        "digits": xr.Dataset(digits, coords),
    }


def outcomes(**values):
    return [verdict.outcome for verdict in clipping.judge(measured(**values))]


def test_the_judge_reads_what_was_measured():
    """Catches sides that are exchanged, and a method that is compared with itself."""
    assert outcomes() == [SUPPORTED, SUPPORTED, REFUTED]
    assert outcomes(loose=50.0)[0] == Outcome.CONDITIONAL
    assert outcomes(plain=0.05, errors=(0.05, 0.05))[0] == REFUTED
    assert outcomes(clipped=np.inf, loose=np.inf, errors=(1e3, np.inf))[0] == REFUTED
    assert outcomes(lost=-0.1)[1:] == [REFUTED, REFUTED]
    assert outcomes(slower=1.0)[2] == SUPPORTED


def test_what_is_unknown_decides_nothing():
    """Catches a NaN that counts as a run that failed."""
    nan = {"plain": np.nan, "clipped": np.nan, "loose": np.nan, "lost": np.nan, "slower": np.nan}
    assert outcomes(**nan, errors=(np.nan, np.nan)) == [INCONCLUSIVE] * 3
    assert outcomes(seeds=1)[1:] == [INCONCLUSIVE] * 2


def test_the_root_is_where_theory_has_it():
    """Catches another rate or slope: x - 0.4 x^3 takes sqrt(5) to its negative."""
    np.testing.assert_allclose(clipping.ROOT - 0.4 * clipping.ROOT**3, -clipping.ROOT, rtol=1e-12)


class TestContract(ExperimentContract):
    name = "clipping"
