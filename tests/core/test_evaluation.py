"""What is recorded: whole splits in pieces, observers, averages, and runs without a value."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl
from dlcore.core import evaluation, memory


def fit(seed=0, learning_rate=0.3, num_epochs=2, **options):
    return dl.training(
        jax.random.key(seed),
        small.CLASSIFICATION,
        optax.sgd(learning_rate),
        batch_size=6,
        num_epochs=num_epochs,
        **options,
    )


@pytest.mark.parametrize("rows", [1, 5, 7, 24])
def test_a_split_in_pieces_gives_the_outputs_of_the_whole(monkeypatch, rows):
    """Catches rows lost or twice where the split is no multiple of the piece."""
    task, split = small.CLASSIFICATION, small.CLASSIFICATION.data.train
    params, state = task.model.init(jax.random.key(0))
    whole, _ = task.forward(params, state, split)
    monkeypatch.setattr(evaluation, "_rows_of_piece", lambda *_: rows)
    pieces = jax.jit(lambda: evaluation.outputs_of(task, params, state, split))()
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)


def test_outputs_of_several_numbers_a_row_go_through_in_pieces(monkeypatch):
    """Catches pieces put back at the wrong rows where a row yields more than one output: groups of examples."""
    data = small.labeled_points()
    groups = dl.data.Dataset((data.train.inputs.reshape(8, 3, 4), data.train.targets.reshape(8, 3)))
    task = dl.tasks.embedding(small.MODEL, groups, dl.losses.triplet)
    params, state = task.model.init(jax.random.key(0))
    (whole, _), _ = task.forward(params, state, groups.train)
    monkeypatch.setattr(evaluation, "_rows_of_piece", lambda *_: 3)
    pieces, _ = evaluation.outputs_of(task, params, state, groups.train)
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)


def test_outputs_that_are_not_row_by_row_are_not_put_together(monkeypatch):
    """Catches a table among the outputs, of which every piece yields a copy."""
    task = small.CLASSIFICATION
    whole = task._replace(forward=lambda params, state, batch, **_: ((batch.inputs, jnp.ones((4, 2))), state))
    monkeypatch.setattr(evaluation, "_rows_of_piece", lambda *_: 2)
    rows, table = evaluation.outputs_of(whole, {}, {}, task.data.train)
    assert table.shape == (4, 2)
    np.testing.assert_array_equal(rows, task.data.train.inputs)


def test_pieces_are_as_long_as_the_memory_allows(monkeypatch):
    """Catches pieces of one row for a small split, and a whole split that needs more than its share."""
    rows = small.CLASSIFICATION.data.train
    task = small.CLASSIFICATION._replace(forward=lambda params, state, batch: (batch.inputs @ jnp.ones((4, 2)), state))

    def size():
        needed = memory.bytes_needed(task, lambda piece: task.forward({}, {}, piece)[0], ({}, {}, rows))
        return evaluation._rows_of_piece(needed / 24, 24, 1)

    assert size() == 24
    monkeypatch.setattr(evaluation, "BYTES_AT_ONCE", 23 * 2 * 4)
    monkeypatch.setattr(evaluation, "BYTES_OF_PIECE", 10 * 2 * 4)
    assert size() == 8  # 3 equal pieces


def test_a_diverged_run_does_not_look_good():
    """Catches accuracy by the first class, and a mean over seeds that is the survivors' mean."""
    runs = dl.sweep(fit, seed=np.arange(3), learning_rate=np.array([0.3, 1e38]))
    last = runs.isel(step=-1)
    assert last.finite.values.tolist() == [[True, False]] * 3
    assert np.isnan(last.test_accuracy.sel(learning_rate=1e38)).all()
    assert last.test_loss.mean("seed").sel(learning_rate=1e38) == np.inf
    assert last.batch_loss.mean("seed").sel(learning_rate=1e38) == np.inf
    assert last.test_loss.mean("seed").argmin("learning_rate") == 0


def test_observers_see_the_step():
    """Catches a gradient of another batch, updates that were not made, and a gradient before the first step."""
    observe = {
        "update_norm": lambda seen: optax.tree.norm(seen.updates),
        "ratio": lambda seen: optax.tree.norm(seen.updates) / optax.tree.norm(seen.gradient),
        "weight_norm": lambda seen: dl.probes.layer_norms(seen.state.params),
        "gradient_norm": lambda seen: dl.probes.layer_norms(seen.gradient),
        "bias": lambda seen: seen.state.params["layers"][1]["bias"],
        "part": lambda seen: {"step": seen.state.step, "classes": jnp.int32(seen.task.data.train.targets.max())},
        "weights": lambda seen: seen.state.params["layers"],
        "named": lambda seen: dl.labeled(jnp.eye(3), "target", ("class", ["a", "b", "c"])),
    }
    results = dl.run(fit(observe=observe, record_every=1))
    np.testing.assert_allclose(results.ratio[1:], 0.3, rtol=1e-5)
    assert results.ratio[:1].isnull().all()
    assert results.gradient_norm.isel(step=0).isnull().all()
    assert np.isfinite(results.weight_norm).all(), "weights are there before the first step"
    assert results.weight_norm.layer.values.tolist() == ["layers.0", "layers.1"]
    assert (results.gradient_norm / results.weight_norm).dims == ("step", "layer")
    moved = np.diff(results["weights.1.bias"], axis=0)
    np.testing.assert_array_equal(results["weights.1.bias"], results.bias)
    assert (np.linalg.norm(moved, axis=1) <= results.update_norm[1:] + 1e-6).all()
    np.testing.assert_array_equal(results.part.sel(part_0="step"), results.step)
    np.testing.assert_array_equal(results.named.sel({"class": "b", "target": 1}), 1)


def test_observing_does_not_change_the_run():
    """Catches noise that moves on when somebody looks."""
    observed = dl.run(fit(observe={"norm": lambda seen: optax.tree.norm(seen.gradient)}))
    np.testing.assert_array_equal(observed.train_loss, dl.run(fit()).train_loss)


def test_averaged_parameters_are_evaluated_and_kept():
    """Catches losses of the parameters themselves, and final parameters other than those evaluated."""
    halved = dl.run(fit(evaluate_params=lambda state: jax.tree.map(lambda p: p / 2, state.params)), final_params=True)
    plain = dl.run(fit(), final_params=True)
    np.testing.assert_array_equal(halved.batch_loss, plain.batch_loss)
    assert not np.allclose(halved.train_loss, plain.train_loss)
    for name in plain.data_vars:
        if str(name).startswith("params."):
            np.testing.assert_array_equal(halved[name], plain[name] / 2)
    with pytest.raises(
        dl.ArgumentError, match=r"evaluate_params gave 'float32\[5\]'; expects a tree like the parameters"
    ):
        dl.run(fit(evaluate_params=lambda state: state.params["layers"][0]["bias"]))


@pytest.mark.parametrize("name", ["test_loss", "finite", "batch_loss", "ended", "step"])
def test_observers_replace_nothing(name):
    """Catches an observation that is silently taken for the loss, or lost."""
    with pytest.raises(dl.ArgumentError, match=f"'{name}' "):
        dl.run(fit(observe={name: lambda seen: 1.0}))


def test_an_observer_that_records_nothing():
    """Catches an error of `stack`, without the observer."""
    with pytest.raises(dl.ArgumentError, match="records 'nothing', which is None; expects"):
        dl.run(fit(observe={"nothing": lambda seen: None}))
