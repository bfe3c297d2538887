"""The judge of deep linear networks, on measurements that were made up."""

import numpy as np
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import deep_linear

RANDOM = np.random.default_rng(0)


def _measured(*, far=1e-3, late=1.0, apart=1.0, ridge=1e-3, seeds=16):
    def noisy(value, *shape):
        return value * RANDOM.uniform(0.999, 1.001, shape)

    times = noisy(1.0, 2, seeds, 3)
    times[..., -1] *= apart
    dims = ("start", "seed", "direction")
    learned = {"time": (dims, times), "late": (dims, noisy(late, 2, seeds, 3)), "far": ("seed", noisy(ridge, seeds))}
    return {
        "bottlenecks": xr.Dataset({"far": (("rank", "seed"), noisy(far, 2, seeds))}, {"rank": [4, 24]}),
        "directions": xr.Dataset(learned, {"start": ["aligned", "random"]}),
    }


def _outcomes(**changes):
    return [verdict.outcome for verdict in deep_linear.judge(_measured(**changes))]


def test_the_judge():
    """Catches sides that are exchanged, and a direction that is taken for another."""
    assert _outcomes() == [Outcome.SUPPORTED] * 3
    assert _outcomes(far=0.1, late=1.1, apart=4.0, ridge=0.3) == [Outcome.REFUTED] * 3
    assert _outcomes(late=0.9)[1] == Outcome.REFUTED
    assert _outcomes(apart=4.0)[2] == Outcome.CONDITIONAL
    assert _outcomes(far=np.nan, late=np.nan, apart=np.nan, ridge=np.nan) == [Outcome.INCONCLUSIVE] * 3
    assert _outcomes(seeds=1)[0] == Outcome.INCONCLUSIVE


def test_the_times_are_those_of_saxe():
    """The closed form that the predicted times come from, by small steps of da/dt = 2 a (s - a); a(0) = a0."""
    first = 1e-3
    for strength in deep_linear.STRENGTHS:
        a, time, step = first, 0.0, 1e-4
        while a < strength / 2:
            a, time = a + step * 2 * a * (strength - a), time + step
        assert abs(time / (np.log(strength / first - 1) / (2 * strength)) - 1) < 0.002


class TestContract(ExperimentContract):
    name = "deep_linear"
