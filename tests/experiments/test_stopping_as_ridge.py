"""Closed forms of `stopping_as_ridge`, and its judge on measurements that never were."""

import numpy as np
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import stopping_as_ridge as ridge

SUPPORTED, REFUTED, INCONCLUSIVE = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.INCONCLUSIVE


def test_risks_are_the_mean_squared_errors_of_simulated_fits():
    """Catches a lost factor of bias or variance: 20 000 draws of the noise, in one design, at three times."""
    random, times = np.random.default_rng(0), np.array([0.3, 2.0, 50.0])
    inputs, weights, noise = random.normal(size=(40, 3)) * [2.0, 1.0, 0.3], np.array([1.0, -2.0, 0.5]), 1.5
    variances, axes = np.linalg.eigh(inputs.T @ inputs / 40)
    flow, penalized = ridge.risks(variances, (axes.T @ weights) ** 2, noise**2 / 40, times)
    targets = inputs @ weights + noise * random.normal(size=(20_000, 40))
    moments = targets @ inputs / 40 @ axes
    for i, t in enumerate(times):
        for risk, shrunk in ((flow, (1 - np.exp(-t * variances)) / variances), (penalized, 1 / (variances + 1 / t))):
            errors = ((moments * shrunk - axes.T @ weights) ** 2).sum(axis=1)
            np.testing.assert_allclose(risk[i], errors.mean(), rtol=0.03)


def test_the_bound_is_reached_by_pure_noise():
    """Catches another constant than the published one."""
    flow, penalized = ridge.risks(np.ones(1), np.zeros(1), 1.0, np.linspace(0.01, 10, 10_000))
    np.testing.assert_allclose((flow / penalized).max(), 1.6862, atol=5e-4)


def measured(flow=1.0, end=2.0, distance=0.01, seeds=8):
    """Risks that fall to 1 and rise again, and how far descent is from the flow."""
    path = np.concatenate([np.linspace(3, 1, 5), np.linspace(1, end, 5)])
    risks = np.broadcast_to(path, (3, 3, 10))
    far = distance * (1 + 0.1 * np.random.default_rng(0).normal(size=seeds))
    dims, names = ("design", "signal", "time"), {"design": ["a", "b", "c"]}
    risk = xr.Dataset({"flow": (dims, flow * risks), "ridge": (dims, risks)}, names)
    return {"risk": risk, "flow": xr.Dataset({"distance": ("seed", far)})}


def outcomes(**values):
    return [verdict.outcome for verdict in ridge.judge(measured(**values))]


def test_the_judge_reads_what_was_measured():
    """Catches a ratio that is turned over, and an unknown number that counts."""
    assert outcomes() == [SUPPORTED, SUPPORTED]
    assert outcomes(flow=2.0, distance=1.0) == [REFUTED, SUPPORTED]
    assert outcomes(end=1.0) == [SUPPORTED, REFUTED]
    assert outcomes(flow=np.nan, distance=np.nan) == [INCONCLUSIVE] * 2
    assert outcomes(seeds=1)[0] == INCONCLUSIVE


class TestContract(ExperimentContract):
    name = "stopping_as_ridge"
