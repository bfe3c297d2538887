"""The judge of depth, on measurements that were made up."""

import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

import dlcore as dl
from dlcore.evidence import Outcome
from experiments.optimization import depth

RANDOM = np.random.default_rng(0)


def _measured(*, deep=0.0, least=0.4, wrong=0.0, ratio=2.0, seeds=16):
    layers, units = list(depth.LAYERS), depth.UNITS
    ratios = ratio * RANDOM.uniform(0.9, 1.1, (2, seeds))
    return {
        "built": xr.Dataset(
            {
                "deep": ("layers", [deep] * 3),
                "least": (("layers", "units"), np.full((3, len(units)), least)),
                "even": 0.5,
            },
            {"layers": layers, "units": units},
        ),
        "learned": xr.Dataset({"wrong": (("layers", "seed"), np.full((2, seeds), wrong))}, {"layers": [3, 8]}),
        "compared": xr.Dataset({"ratio": (("problem", "seed"), ratios)}, {"problem": ["a", "b"]}),
    }


def _outcomes(**changes):
    return [verdict.outcome for verdict in depth.judge(_measured(**changes))]


def test_the_judge():
    """Catches sides that are exchanged: what is wrong less often, which error is divided by which."""
    assert _outcomes() == [Outcome.SUPPORTED] * 3
    assert _outcomes(deep=0.4, least=0.1, wrong=0.3, ratio=0.5) == [Outcome.REFUTED] * 3
    assert _outcomes(least=0.1)[0] == Outcome.CONDITIONAL
    assert _outcomes(seeds=1)[1:] == [Outcome.INCONCLUSIVE] * 2
    assert _outcomes(deep=np.nan, least=np.nan, wrong=np.nan, ratio=np.nan) == [Outcome.INCONCLUSIVE] * 3


def test_what_is_possible():
    """Theory: no error with k layers of 2; (n - m - 2) / 2n with m units in a layer; about one half with even knots."""
    built = depth.built()
    assert (built.deep == 0).all()
    for k in depth.LAYERS:
        expected = [max(0, (2**k - m - 1) // 2) / 2**k for m in depth.UNITS]
        np.testing.assert_allclose(built.least.sel(layers=k), expected, atol=1e-12)
    assert float(built.even) == pytest.approx(0.52, abs=0.01)


def test_as_many_parameters():
    """Catches widths that are changed on one side only."""
    for nets in (depth.NETS, depth.DIGIT_NETS):
        assert len({dl.models.num_params(dl.models.mlp(widths)) for widths in nets.values()}) == 1


class TestContract(ExperimentContract):
    name = "depth"
