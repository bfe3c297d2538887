"""What the experiment on recurrent back-propagation makes of measurements."""

import jax
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import recurrent_backpropagation as experiment

S, R, C, I = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE  # noqa: E741


def made(errors=(0.02, 0.02, 0.02, 0.02, 1.0, 0.2), distance=1e-15, seeds=8):
    """Measurements whose last errors are those, by case."""
    noise = 1 + 0.05 * np.random.default_rng(0).normal(size=(len(errors), seeds, 1))
    curves = np.array(errors)[:, None, None] * noise * [3.0, 1.0]
    pairs = zip(experiment.LABELS, curves, strict=True)
    adding = xr.Dataset({label: (("seed", "step"), each) for label, each in pairs}, {"step": [0, 10]})
    adding["guess"] = 0.167
    distances = xr.Dataset({"distance": (("activation", "seed", "part"), np.full((1, seeds, 2), distance))})
    return {
        "unrolled": distances.assign_coords(activation=["tanh"]),
        "adding": adding,
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (made(), [S, S, C]),
        (made((0.02, 0.02, 0.02, 0.02, 1.0, 1.0)), [S, S, S]),
        (made((1, 1, 1, 1, 0.1, 0.1), distance=0.1), [R, R, R]),
        ({name: data.map(lambda values: np.nan * values) for name, data in made().items()}, [I, I, I]),
        (made(seeds=1), [S, I, I]),
    ],
)
def test_verdicts(data, expected):
    """Catches errors of the first step, cases exchanged, one run for many."""
    assert [verdict.outcome for verdict in experiment.judge(data)] == expected


def test_the_guess_is_checked():
    """Catches a problem that is not the one that theory speaks of."""
    assert experiment.judge(made())[2].checks[0].holds
    data = made()
    data["adding"]["guess"] = 0.25
    assert not experiment.judge(data)[2].checks[0].holds


def test_what_the_network_sees():
    """Catches a lag that is off by one, and a recurrent matrix that is not scaled."""
    sequences = np.zeros((1, experiment.LENGTH, 2), np.float32)
    sequences[0, experiment.MARKED - 1] = 1.0  # the last number
    states = {}
    for lag in (0, 1):
        model = experiment.network(lag, 0.0, None)
        params, state = model.init(jax.random.key(0))
        assert not params["layers"]["layers"][0]["recurrent_kernel"].any()
        states[lag] = float(model.apply(params, state, sequences)[0][0, 0])
    assert states[0] != 0
    assert states[1] == 0  # without a memory the step before the answer is forgotten


@pytest.mark.heavy
class TestContract(ExperimentContract):
    name = "recurrent_backpropagation"
