"""The judge of `learning_rate` on measurements that never were."""

import numpy as np
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import learning_rate

SUPPORTED, REFUTED, INCONCLUSIVE = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.INCONCLUSIVE
NETWORKS = ["linear", "network"]


def measured(below=0.1, above=7.0, best=0.1, scaled=1.0, low=500.0, high=3.0, seeds=16):
    """Distances on both sides of the limit, best rates, ratios of steps, steps at a low rate, losses at a high one."""
    random = np.random.default_rng(0)
    noisy = 1 + 0.01 * random.normal(size=(2, 3, seeds))
    cells, flat = ("network", "scale", "seed"), noisy[0, 0]
    found = {
        "steps": (("network", "scale", "rate"), np.ones((2, 3, len(learning_rate.RATES)))),
        "best": (cells, best * noisy),
        "scaled": (cells, scaled * noisy),
        "at_best": ("seed", 50 * flat[::-1]),
        "low": ("seed", low * flat),
        "high": ("seed", high * flat),
    }
    digits = xr.Dataset(found, {"network": NETWORKS, "scale": learning_rate.SCALES}, {"limit": 1000.0})
    return {"bowls": xr.Dataset({"growth": (("side", "bowl"), [[below] * 3, [above] * 3])}), "digits": digits}


def outcomes(**values):
    return [verdict.outcome for verdict in learning_rate.judge(measured(**values))]


def test_the_judge_reads_what_was_measured():
    """Catches sides that are exchanged, and runs that never arrive and count as fast."""
    assert outcomes() == [SUPPORTED, SUPPORTED, SUPPORTED, Outcome.CONDITIONAL]
    assert outcomes(low=np.inf)[3] == SUPPORTED
    assert outcomes(low=60.0, high=0.1)[3] == REFUTED
    assert outcomes(below=2.0, above=0.5)[0] == REFUTED
    assert outcomes(best=10.0, scaled=5.0)[1:3] == [REFUTED, REFUTED]
    assert outcomes(scaled=np.inf)[2] == REFUTED


def test_what_is_unknown_decides_nothing():
    """Catches a rate of no result that is filled in with a guess."""
    nan = dict.fromkeys(("below", "above", "best", "scaled", "low", "high"), np.nan)
    assert outcomes(**nan) == [INCONCLUSIVE] * 4
    assert outcomes(seeds=1)[1:] == [INCONCLUSIVE] * 3


class TestContract(ExperimentContract):
    name = "learning_rate"
