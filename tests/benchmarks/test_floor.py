"""The noise floor against its theory, and its judge on drawn numbers."""

import jax
import numpy as np
import pytest
import xarray as xr

from benchmarks.convergence import floor
from benchmarks.convergence.parts import Scale
from dlcore.evidence.claims import Outcome


@pytest.fixture(scope="module")
def measured():
    """Single samples, four seeds, short runs."""
    return floor.measure(Scale(num_seeds=4, quick=True, block=90))


def drawn(exponents=None, *, factor=1.0, num_seeds=8):
    """Floors that scatter by 5 % around theory: with other exponents, or another level."""
    powers = np.array([(exponents or floor.EXPONENTS)[sampling] for sampling in floor.SAMPLINGS])
    theory = floor.RELATIVE_RATES ** np.array(list(floor.EXPONENTS.values()))[:, None, None] * np.ones((2, 2, 1))
    values = factor * floor.RELATIVE_RATES ** powers[:, None, None, None] * np.ones((2, 2, num_seeds, 1))
    values = values * np.exp(0.05 * np.random.default_rng(0).normal(size=values.shape))
    dims = ("sampling", "batch_size", "relative_rate")
    data = {"floor": (("sampling", "batch_size", "seed", "relative_rate"), values), "theory": (dims, theory)}
    data["learning_rate"] = (dims[1:], np.broadcast_to(floor.RELATIVE_RATES, theory.shape[1:]))
    coords = {"sampling": list(floor.SAMPLINGS), "batch_size": [1, 8], "relative_rate": floor.RELATIVE_RATES}
    return xr.Dataset(data, {**coords, "seed": np.arange(num_seeds)})


def test_floor_follows_theory(measured):
    """Catches noise that does not scale, a covariance or a curvature off by a factor, and batches drawn otherwise."""
    logs = np.log(measured.floor).mean("seed").isel(batch_size=0)
    ratio = np.exp(logs - np.log(measured.theory.isel(batch_size=0)))
    assert float(ratio.sel(sampling="with_replacement").sel(relative_rate=slice(1, 4)).mean()) == pytest.approx(
        1, abs=0.15
    )
    assert float(ratio.sel(sampling="reshuffle").sel(relative_rate=slice(0, 0.25)).mean()) == pytest.approx(1, abs=0.2)
    local = np.diff(logs.sel(sampling="reshuffle")) / np.log(2)
    assert (np.diff(local) < 0).all(), "the exponent falls from 2 as the rate grows"
    assert local[0] > 1.95
    assert local[-1] < 1.6


def test_runs_start_at_the_optimum_of_their_quadratic():
    """Catches targets, a Hessian or a covariance of another problem; the covariance's oracle is every example alone."""
    problem = floor.quadratic()
    task, train = problem.task, problem.task.data.train
    params, state = task.model.init(jax.random.key(0))

    differentiate = jax.jit(jax.grad(lambda params, batch: task.objective(params, state, batch)[0]))

    def gradient(batch):
        layer = differentiate(params, batch)["layers"][0]
        return np.append(layer["kernel"][:, 0], layer["bias"])

    assert np.abs(gradient(train)).max() < 1e-6
    each = np.array([gradient(jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], train)) for i in range(0, 440, 44)])
    design = np.column_stack([train.inputs, np.ones(len(train.inputs))])[::44]
    np.testing.assert_allclose(each, -2 * train.targets.reshape(-1, 1)[::44] * design, rtol=1e-4, atol=1e-6)
    eigenvalues = np.linalg.eigvalsh(problem.hessian)
    assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(floor.CURVATURE_RANGE)
    assert problem.largest_curvature == pytest.approx(2)


def test_batches_use_all_examples():
    """Catches a remainder that each epoch leaves out: its noise hides the law of reshuffling."""
    assert {floor.NUM_EXAMPLES % size for size in floor.BATCH_SIZES} == {0}
    epochs = {interval * size / floor.NUM_EXAMPLES for size, interval in floor.INTERVALS.items()}
    assert len(epochs) == 1, "all batch sizes are recorded at the same epochs"


def test_a_judge_of_drawn_floors():
    """Catches a verdict that does not follow from the numbers: the same judge, contradicting ones."""
    assert floor.judge(drawn()).outcome is Outcome.SUPPORTED
    wrong = floor.judge(drawn({"with_replacement": 2.0, "reshuffle": 1.0})).outcomes
    assert wrong["exponent, with replacement"] is Outcome.REFUTED
    assert wrong["exponent, reshuffled"] is Outcome.REFUTED
    high = floor.judge(drawn(factor=2.0)).outcomes
    assert high["level, with replacement"] is high["level, reshuffled"] is Outcome.REFUTED
    assert high["exponent, with replacement"] is high["exponent, reshuffled"] is Outcome.SUPPORTED
    edge = floor.judge(drawn(factor=floor.SAME_LEVEL)).outcomes
    assert edge["level, with replacement"] is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_one_floor_that_is_no_number(value):
    """Catches a judge that raises, or that drops a run that blew up."""
    data = drawn()
    data["floor"][:, :, 0] = value
    assert floor.judge(data).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("num_seeds", [0, 1])
def test_too_few_seeds(num_seeds):
    """Catches a judge that raises, and an interval of one run."""
    verdict = floor.judge(drawn(num_seeds=num_seeds))
    assert set(verdict.outcomes.values()) == {Outcome.INCONCLUSIVE}


def test_slopes_that_make_no_line():
    """Catches an exponent of a curve."""
    data = drawn()
    data["floor"] = data.floor * np.exp(np.log(data.relative_rate) ** 2)
    assert floor.judge(data).outcomes["exponent, reshuffled"] is Outcome.INCONCLUSIVE


def test_table_and_figure(measured, tmp_path):
    """Catches a column in the wrong place: what is not judged stands in parentheses."""
    exponents, levels = floor.tables(measured).values()
    assert exponents.iloc[0, 0] == "0.0625 to 0.125"
    for table, column, expected in (
        (exponents, "with replacement, single samples", "---+++-"),
        (exponents, "reshuffled, single samples", "++++---"),
        (levels, "with replacement, single samples", "---++++-"),
        (levels, "reshuffled, single samples", "+++-----"),
    ):
        assert "".join("-" if text.startswith("(") else "+" for text in table[column]) == expected
    picture = floor.draw(measured)
    picture.figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
