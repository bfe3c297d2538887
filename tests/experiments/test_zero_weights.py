"""What the experiment on zero and equal weights makes of measurements."""

import jax
import numpy as np
import pytest
import xarray as xr
from experiment_contract import ExperimentContract

from dlcore.evidence import Outcome
from experiments.optimization import zero_weights as experiment

S, R, C, I = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE  # noqa: E741
SIZE = 6


def made(loss=0.0, accuracy=0.0, rank=1.0, equal=0.0, constant=0.1, biases=0.001, distance=1e-6, seeds=SIZE):
    """Measurements in which all activations are alike."""
    random = np.random.default_rng(0)
    fixed = {"loss": loss, "accuracy": accuracy, "rank": rank, "equal": equal, "constant": constant}
    data = xr.Dataset({part: ("activation", np.full(len(experiment.NAMES), value)) for part, value in fixed.items()})
    for part, value in {"noise": 1.0, "random": 0.001, "biases": biases}.items():
        drawn = value * (1 + 0.05 * random.normal(size=(len(experiment.TYPICAL), seeds)))
        data[part] = ("typical", "seed"), drawn
    linear = xr.Dataset({"wine": ("seed", distance * (1 + 0.1 * random.normal(size=seeds)))})
    return {"wine": data, "linear": linear}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (made(), [S, S, S, S]),
        (made(loss=0.9, accuracy=0.5), [S, R, S, S]),
        (made(accuracy=0.5), [S, C, S, S]),
        (made(equal=0.5, biases=1e-4, distance=0.1), [R, S, C, R]),
        ({name: data.map(lambda values: np.nan * values) for name, data in made().items()}, [I] * 4),
        (made(seeds=1), [I, S, I, I]),
    ],
)
def test_verdicts(data, expected):
    """Catches starts or activations exchanged, NaN taken for zero, one run for many."""
    assert [verdict.outcome for verdict in experiment.judge(data)] == expected


@pytest.mark.parametrize(("start", "center", "spread", "bias"), [(0, 0, 0, 0), (1, 0.1, 0, 0), (4, 0, 1, 1)])
def test_the_network_starts_as_it_is_said_to(start, center, spread, bias):
    """Catches biases that are not zero, a spread without a center, activations in another order."""
    model = experiment.network([50, 40, 3], start, experiment.NAMES.index("tanh"))
    params, state = model.init(jax.random.key(0))
    params = jax.tree.map(np.asarray, params)
    first = params["layers"][0]
    assert float(first["kernel"].mean()) == pytest.approx(center, abs=0.01)
    assert float(first["kernel"].std()) == pytest.approx(spread * 50**-0.5, rel=0.1, abs=1e-6)
    assert float(first["bias"].std()) == pytest.approx(bias, rel=0.4)
    inputs = np.ones((1, 50), np.float32)
    hidden = np.tanh(inputs @ first["kernel"] + first["bias"])
    expected = hidden @ params["layers"][1]["kernel"] + params["layers"][1]["bias"]
    np.testing.assert_allclose(model.apply(params, state, inputs)[0], expected, rtol=1e-4, atol=1e-6)


def test_the_rank_is_checked():
    """Catches ranks that nobody looks at, and NaN taken for a rank."""
    assert experiment.judge(made())[1].checks[0].holds
    assert not experiment.judge(made(rank=2.0))[1].checks[0].holds
    assert not experiment.judge(made(rank=np.nan))[1].checks[0].holds


class TestContract(ExperimentContract):
    name = "zero_weights"
