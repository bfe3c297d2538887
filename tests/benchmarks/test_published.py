"""The noisy quadratic against DeepOBS' numbers, and its judge on drawn ones."""

import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import published
from benchmarks.convergence.parts import Scale
from benchmarks.convergence.problems import PROBLEMS
from benchmarks.convergence.published import AFTER_1_EPOCH, AFTER_100_EPOCHS, BEST, DIVERGING, SLOW
from dlcore.evidence.claims import Outcome

STABILITY_LIMIT = 0.03764  # as DeepOBS' problem has it
CURVATURE = 53.129


@pytest.fixture(scope="module")
def measured():
    """DeepOBS' runs over 16 partitions into batches."""
    return published.measure(Scale(num_seeds=4, block=90))


def drawn(num_seeds=32, *, offset=0.0, slope=1.0, start=1.0, growth=1.0):
    """Losses of partitions around the published ones: shifted, or with another start or growth."""
    random = np.random.default_rng(0)
    deviation = random.normal(0, 0.2, num_seeds)
    loss = np.full((3, num_seeds, published.NUM_EPOCHS + 1), 100.0)
    loss[:, :, 0] = published.INITIAL_LOSS * start
    loss[1, :, 1] = AFTER_1_EPOCH + deviation
    loss[1, :, -1] = AFTER_100_EPOCHS[BEST] + offset + slope * deviation + random.normal(0, 0.007, num_seeds)
    loss[0, :, -1] = AFTER_100_EPOCHS[SLOW] + offset + random.normal(0, 0.03, num_seeds)
    epochs = np.arange(published.NUM_EPOCHS + 1)
    late = 1.2414 + random.normal(0, 0.001, num_seeds)
    loss[2] *= late[:, None] ** (7 * epochs)
    loss[2, :, 0] = published.INITIAL_LOSS * start
    factor = (1 - DIVERGING * CURVATURE) ** 7
    moved = np.broadcast_to((growth * factor) ** epochs, loss.shape).copy()
    coords = {"learning_rate": list(published.LEARNING_RATES), "seed": np.arange(num_seeds), "step": 7 * epochs}
    dims = tuple(coords)
    return xr.Dataset({"test_loss": (dims, loss), "steepest": (dims, moved)}, coords, {"largest_curvature": CURVATURE})


def losses(measured, rate, epoch):
    """Test losses, [n]."""
    return measured.test_loss.sel(learning_rate=rate, method="nearest").isel(step=epoch)


@pytest.mark.job
def test_it_is_the_published_problem(measured):
    """Catches another Hessian, other data or another start."""
    problem = PROBLEMS["noisy_quadratic"]()
    assert problem.hessian_eigenvalues is not None
    assert problem.hessian_eigenvalues[-1] == pytest.approx(CURVATURE, abs=1e-4)
    assert 2 / problem.hessian_eigenvalues[-1] == pytest.approx(STABILITY_LIMIT, abs=1e-5)
    np.testing.assert_allclose(measured.test_loss.isel(step=0), published.INITIAL_LOSS, rtol=1e-6)


@pytest.mark.parametrize(
    ("rate", "epoch", "value", "recomputed", "deviation"),
    [(BEST, 1, 105.445, None, None), (BEST, 100, 87.5182, 87.41, 0.20), (SLOW, 100, 95.8527, 95.880, 0.027)],
)
def test_the_published_losses(measured, rate, epoch, value, recomputed, deviation):
    """Catches a wrong gradient, step, batch or epoch. Recomputed: in NumPy, over 200 partitions."""
    loss = losses(measured, rate, epoch)
    assert abs(float(loss.mean()) - value) < 3 * float(loss.std())
    if recomputed is not None:
        assert abs(float(loss.mean()) - recomputed) < 3 * deviation / np.sqrt(len(loss)) + 0.01
        assert float(loss.std()) == pytest.approx(deviation, rel=0.5)


def test_the_first_epoch_predicts_the_last(measured):
    """Catches batches that change from epoch to epoch: then the first tells 0.1, not 0.01, of the last."""
    found = published.prediction_interval(
        losses(measured, BEST, 100).values, given=losses(measured, BEST, 1).values, at=AFTER_1_EPOCH
    )
    assert found.estimate == pytest.approx(87.5143, abs=0.01)
    assert found.low < AFTER_100_EPOCHS[BEST] < found.high
    assert found.high - found.low < 0.06


def test_divergence_above_the_stability_limit(measured):
    """Catches a step scaled by a constant."""
    assert not np.isfinite(losses(measured, DIVERGING, 100)).any()
    growth = published.late_growth(measured)
    assert ((growth > 1.21) & (growth < (1 - DIVERGING * CURVATURE) ** 2 + 1e-3)).all()
    assert published.judge(measured).outcomes["growth"] is Outcome.SUPPORTED


def test_prediction_interval_holds_one_more_value():
    """Catches the interval of the mean, and a regression that ignores where it predicts."""
    random = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        given = random.normal(size=13)
        values = 2 + 3 * given + 0.1 * random.normal(size=13)
        found = published.prediction_interval(values[:12], given=given[:12], at=given[12])
        inside.append(found.low < values[12] < found.high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert found.p_below(found.low) == pytest.approx(0.025)
    assert found.p_above(found.high) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("change", "name", "outcome"),
    [
        ({}, "same", Outcome.SUPPORTED),
        ({}, "predicted", Outcome.SUPPORTED),
        ({"offset": 1.0}, "same", Outcome.REFUTED),
        ({"offset": 1.0}, "predicted", Outcome.CONDITIONAL),  # the growth is as published
        ({"start": 1.01}, "start", Outcome.REFUTED),
        ({"growth": 1.01}, "growth", Outcome.REFUTED),
    ],
)
def test_a_judge_of_drawn_losses(change, name, outcome):
    """Catches a verdict that does not follow from the numbers: the same judge, contradicting ones."""
    assert published.judge(drawn(**change)).outcomes[name] is outcome
    assert published.judge(drawn()).outcome is Outcome.SUPPORTED


@pytest.mark.parametrize("num_seeds", [0, 1, 2])
def test_too_few_partitions(num_seeds):
    """Catches a judge that raises, and a prediction from one run."""
    outcomes = published.judge(drawn(num_seeds)).outcomes
    assert outcomes["predicted"] is Outcome.INCONCLUSIVE
    if not num_seeds:
        assert set(outcomes.values()) == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_losses_that_are_no_numbers(value):
    """Catches a judge that raises, or that leaves out what blew up."""
    data = drawn()
    data["test_loss"][:, 0] = value
    data["steepest"][:, 0] = value
    assert set(published.judge(data).outcomes.values()) == {Outcome.INCONCLUSIVE}


def test_partitions_that_do_not_differ():
    """Catches a prediction without a width."""
    for found in (published.prediction_interval(np.ones(5)), published.quantile_interval(np.ones(5))):
        assert found.bound == "none"


def test_table(measured):
    """Catches a published number next to another quantity."""
    table = published.table(measured).set_index("quantity")
    assert (table.difference.str.rstrip("%").astype(float).abs() < 1).all()
    assert len(table) == 5
