"""Claim (e) on made gaps: what supports it, what refutes it, and what says nothing."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import drawn, endurance
from dlcore.evidence import Outcome


def made(constant: float = 0.0, decaying: float = -1.0, rate: float = 0.2, num_seeds: int = 6) -> xr.Dataset:
    """Gaps of single samples that go as these powers of time, and of full batch as exp(-rate * epochs)."""
    random = np.random.default_rng(0)
    epochs = np.arange(0.0, 201.0, 2.0)
    powers = np.array([*(constant for _ in endurance.CONSTANT), decaying])[None, :, None, None]
    single = 0.01 * (1 + epochs) ** powers * np.exp(0.1 * random.normal(size=(2, powers.size, num_seeds, len(epochs))))
    return xr.Dataset(
        {
            "full": ("epoch", np.exp(-rate * epochs)),
            "single": (("sampling", "schedule", "seed", "epoch"), single),
        },
        coords={
            "epoch": epochs,
            "sampling": list(endurance.SAMPLINGS),
            "schedule": [*endurance.CONSTANT, endurance.DECAYING],
            "seed": np.arange(num_seeds),
        },
        attrs={"title": "made"},
    )


def verdict(*data: xr.Dataset):
    (found,) = endurance.judge({str(i): each for i, each in enumerate(data)})
    return found


def test_supported():
    """Catches an exponent of the wrong sign: every descent but full batch ends at a floor."""
    assert verdict(made(decaying=0.0)).outcome is Outcome.SUPPORTED


def test_conditional():
    """Catches a decaying rate that nobody judges: it has no floor."""
    found = verdict(made(decaying=-1.0))
    assert found.outcomes["floor at a 1/t rate, with replacement"] is Outcome.REFUTED
    assert found.outcomes["floor at a constant rate"] is Outcome.SUPPORTED
    assert found.outcome is Outcome.CONDITIONAL


def test_refuted():
    """Catches a claim that nothing can contradict: full batch slows down, and single samples have no floor."""
    data = made(constant=-1.0)
    early = np.exp(-0.5 * data.epoch)
    data["full"] = early.where(early > 1e-8, 1e-8 * np.exp(-0.01 * (data.epoch - 37)))
    data["single"] = data.single * 1e-11
    outcomes = verdict(data).outcomes
    assert outcomes["full batch reaches the best"] is Outcome.REFUTED
    assert outcomes["full batch falls steadily"] is Outcome.INCONCLUSIVE  # it never falls so far
    del outcomes["full batch falls steadily"]
    assert set(outcomes.values()) == {Outcome.REFUTED}


def test_slows_down():
    """Catches a slope over the whole run: late this one is half of what it was."""
    data = made()
    logs = np.where(data.epoch < 40, -0.46 * data.epoch, -18.4 - 0.23 * (data.epoch - 40))
    data["full"] = np.exp(data.full.copy(data=logs))
    assert verdict(data).outcomes["full batch falls steadily"] is Outcome.REFUTED


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_blown_up(value):
    """Catches a judge that raises, or that leaves out the runs that blew up."""
    data = made()
    data.full[-3:] = value
    data.single[..., 0, -3:] = value
    assert set(verdict(data).outcomes.values()) == {Outcome.INCONCLUSIVE}
    assert len(endurance.tables({"made": data})) == 1


def test_few():
    """Catches a judge that raises without seeds, with one, with few records, and with none."""
    for data in (made().isel(seed=slice(0, 0)), made().isel(seed=slice(0, 1)), made().isel(epoch=slice(0, 3))):
        assert verdict(data).outcomes["floor at a constant rate"] is Outcome.INCONCLUSIVE
    assert verdict(made().isel(epoch=slice(0, 0))).outcome is Outcome.INCONCLUSIVE
    assert verdict().outcome is Outcome.INCONCLUSIVE


def test_drawn():
    """Catches a figure that does not fit what is measured."""
    (picture,) = endurance.draw({"made": made()})
    assert picture.name == "endurance"
    assert list(endurance.draw({})) == []


@pytest.mark.parametrize("kind", ["least squares", "logistic"])
def test_gap(kind):
    """Catches a gap that is not the difference of losses, or that has lost its digits near the optimum."""
    random, spectrum = np.random.default_rng(0), np.geomspace(1.0, 0.1, 4)
    settings = {"targets": (), "epochs": {"full": 1, 1: 1}, "record_every": 1}
    if kind == "logistic":
        problem = drawn.drawn_logistic(random, 50, spectrum, strength=0.1, **settings)
    else:
        problem = drawn.least_squares(random, 50, spectrum, 0.5, **settings)
    task = problem.task

    def gap(params):
        outputs = task.model.apply(params, {}, task.data.train.inputs)[0]
        return task.report(params, outputs, task.data.train)

    loss, metrics = gap(jnp.zeros(4))
    np.testing.assert_allclose(metrics["gap"], 1.0, rtol=1e-4)
    loss, metrics = gap(0.7 * problem.minimizer)
    expected = (float(loss) - problem.optimum) / (problem.initial - problem.optimum)
    np.testing.assert_allclose(metrics["gap"], expected, rtol=1e-3)
    near = [float(gap(problem.minimizer + step * jnp.ones(4))[1]["gap"]) for step in (1e-3, 1e-4)]
    np.testing.assert_allclose(near[0] / near[1], 100, rtol=0.02)
