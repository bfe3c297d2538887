"""What is said of measurements of the map."""

import jax
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import trainability_map

SUPPORTED, REFUTED, INCONCLUSIVE = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.INCONCLUSIVE


def measured(rough=1.5, smooth=1.0, turns=1.0, ends=(1.0, 1.0, 1.0), seeds=10):
    """Made up: dimensions of networks and tangents, turns, and whether the ends of the map are as they should be."""
    random, zooms = np.random.default_rng(0), np.array(trainability_map.ZOOMS)

    def around(value):
        return (("seed", "zoom"), value + 0.01 * random.normal(size=(seeds, len(zooms))))

    flags = {name: ("seed", np.full(seeds, end)) for name, end in zip(("lowest", "first", "second"), ends, strict=True)}
    network = xr.Dataset({"dimension": around(rough), "turns": around(turns)} | flags, {"zoom": zooms})
    return {"network": network, "tangent": xr.Dataset({"dimension": around(smooth)}, {"zoom": zooms})}


def outcomes(**made_up):
    border, fractal = trainability_map.judge(measured(**made_up))
    return border.outcome, fractal.outcome


def test_every_outcome():
    """Catches sides exchanged, thresholds that are not the published ones, a control that decides nothing."""
    assert outcomes() == (SUPPORTED, SUPPORTED)
    assert outcomes(rough=1.05, smooth=1.2, turns=9.0, ends=(0.0, 0.0, 0.0)) == (REFUTED, REFUTED)
    assert outcomes(turns=9.0, rough=2.1) == (Outcome.CONDITIONAL, Outcome.CONDITIONAL)
    assert outcomes(rough=1.10)[1] == outcomes(smooth=1.15)[1] == Outcome.CONDITIONAL
    assert outcomes(rough=np.nan, smooth=np.nan, turns=np.nan, ends=(np.nan,) * 3) == (INCONCLUSIVE, INCONCLUSIVE)
    assert outcomes(seeds=1) == (INCONCLUSIVE, INCONCLUSIVE)


def test_parts():
    """Catches a flag of one layer counted for the other, turns of the wrong window."""
    made_up = measured(ends=(1.0, 0.0, 1.0))
    made_up["network"]["turns"].loc[{"zoom": 8}] += 5
    border, _ = trainability_map.judge(made_up)
    found = {name: [(each.evidence.condition, each.outcome) for each in part] for name, part in border.judged.items()}
    assert found == {
        "low rates train": [("both layers", SUPPORTED)],
        "high rates diverge": [("first layer", REFUTED), ("second layer", SUPPORTED)],
        "crossed once": [("zoom 8", REFUTED)],
    }


def test_windows_lie_where_they_say():
    """Catches rates of one layer taken for the other's: a first layer of tanh does not diverge by itself."""
    with jax.enable_x64(True):
        fates = [
            bool(trainability_map.fate_of(90, *rates, 100).trained) for rates in ((1e4, 0.1), (0.1, 1e4), (0.1, 0.1))
        ]
    assert fates == [True, False, True]
    tangent = trainability_map.fate_of(90, 1e4, 0.1, 100, True)
    assert not bool(tangent.trained)


@pytest.mark.parametrize("outcome", [Outcome.CONDITIONAL])
def test_answers_are_there(outcome):
    assert all(outcome in answers for answers in trainability_map.ANSWERS.values())


class TestContract(ExperimentContract):
    name = "trainability_map"
