"""A run that is taken up from its state gives the bits of the longer run."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl


def fit(seed=0, optimizer=None, **options):
    given = {"batch_size": 6, "num_epochs": 3} | options
    return dl.training(jax.random.key(seed), small.CLASSIFICATION, optimizer or optax.adam(0.05), **given)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 7, "last_batch": "keep"},
        {"num_epochs": None, "num_steps": 6, "record_every": 3, "sampling": "with_replacement"},
        {"keep_best": "test_loss", "stop": dl.early_stopping("test_loss", patience=5)},
    ],
    ids=["adam", "keep", "replacement", "watched"],
)
def test_two_parts_are_the_whole(tmp_path, options):
    """Catches moments, a step or a wait that start anew, other rows, and a step that is counted from zero."""
    double = {key: 2 * value for key, value in options.items() if key in ("num_steps",) and value}
    if "num_steps" not in options:
        double = {"num_epochs": 6}
    whole = dl.run(fit(**{**options, **double}))
    first = dl.run(fit(**options), final_state=True)
    dl.save(first, tmp_path / "first.zarr")
    state = dl.final_state(dl.load(tmp_path / "first.zarr"), fit(**options))
    second = dl.run(fit(**options), start=state)
    for name in ("train_loss", "batch_loss", "test_accuracy", "step", "epoch", "examples"):
        np.testing.assert_array_equal(np.concatenate([first[name], second[name]]), whole[name])


def test_the_state_of_a_cell():
    """Catches the state of another cell."""
    runs = dl.sweep(fit, seed=np.arange(3), final_state=True)
    for seed in (0, 2):
        state = dl.final_state(runs, fit(), seed=seed)
        assert state.step == 12
        loss, _ = small.CLASSIFICATION.objective(state.params, state.model_state, small.CLASSIFICATION.data.train)
        np.testing.assert_allclose(loss, runs.train_loss.sel(seed=seed, step=12), rtol=1e-5)


def test_going_on_after_a_remainder():
    """Catches rows at the wrong place in the epoch after a last record of fewer steps."""
    options = {"num_epochs": None, "num_steps": 6, "record_every": 4, "optimizer": optax.sgd(0.1)}
    first = dl.run(fit(**options), final_state=True)
    second = dl.run(fit(**options), start=dl.final_state(first, fit(**options)))
    assert second.step.values.tolist() == [10, 12]
    each = dl.run(fit(num_epochs=3, record_every=1, optimizer=optax.sgd(0.1)))
    np.testing.assert_allclose(second.train_loss, each.train_loss.sel(step=second.step), rtol=1e-5)


def test_states_that_do_not_fit():
    """Catches a state of another model or optimizer, and rows that would be cut off at the end of an epoch."""
    runs = dl.run(fit(), final_state=True)
    state = dl.final_state(runs, fit())
    with pytest.raises(
        dl.ArgumentError,
        match=r"start has int32\[\] as 'opt_state.0.count'; this training expects none. .*dl.final_state",
    ):
        dl.run(fit(optimizer=optax.sgd(0.1)), start=state)
    odd = dl.run(fit(num_epochs=None, num_steps=3), final_state=True)
    with pytest.raises(dl.ArgumentError, match="start is a state at step 3, this training records every 4 steps"):
        dl.run(fit(), start=dl.final_state(odd, fit()))
    with pytest.raises(dl.ArgumentError, match=r"hold no 'final_state.step'. Run with final_state=True"):
        dl.final_state(dl.run(fit()), fit())
    with pytest.raises(dl.ArgumentError, match="seed has no label 9"):
        dl.final_state(dl.sweep(fit, seed=np.arange(2), final_state=True), fit(), seed=9)


def test_keys_in_a_state():
    """Catches random keys that come back as integers."""

    def init():
        return {"key": jax.random.key(3), "x": jnp.zeros(())}

    def advance(state):
        key, now = jax.random.split(state["key"])
        return {"key": key, "x": jax.random.normal(now)}, {"x": state["x"]}

    training = dl.Training(init, advance, 2)
    whole = dl.run(dl.Training(init, advance, 4))
    first = dl.run(training, final_state=True)
    second = dl.run(training, start=dl.final_state(first, training))
    np.testing.assert_array_equal(np.concatenate([first.x, second.x]), whole.x)


def test_a_stopped_run_goes_on_without_its_rule():
    """Catches a state that is of no use once the run was stopped, another state than that at its end."""
    stop = dl.early_stopping("test_loss", patience=1, min_change=1.0)
    first = dl.run(fit(num_epochs=9, stop=stop, keep_best="test_loss"), final_state=True)
    more = dl.run(fit(), start=dl.final_state(first, fit()))
    whole = dl.run(fit(num_epochs=4))
    assert more.step.values.tolist() == whole.step.values[2:].tolist()
    np.testing.assert_array_equal(more.train_loss, whole.train_loss[2:])
    with pytest.raises(dl.ArgumentError, match=r"start has none as 'watch.best'; this training expects .*leave out"):
        dl.run(fit(keep_best="test_loss"), start=dl.final_state(first, fit()))


def test_a_run_that_was_stopped_is_over():
    """Catches one more record than the longer run has."""
    options = {"num_epochs": 9, "stop": dl.early_stopping("test_loss", patience=1, min_change=1.0)}
    first = dl.run(fit(**options), final_state=True)
    assert first.ended_at == 4
    with pytest.raises(
        dl.ArgumentError,
        match=r"stopped at step 4; .* for a training without stop",
    ):
        dl.run(fit(**options), start=dl.final_state(first, fit(**options)))
    with pytest.raises(dl.ArgumentError, match=r"start is a Dataset of results; .*dl.final_state"):
        dl.run(fit(), start=first)


def test_the_best_record_may_be_of_the_first_part():
    """Catches a step of the second part for parameters that are of the first."""
    options = {"keep_best": "test_loss"}
    first = dl.run(fit(**options), final_state=True)
    worse = fit(optimizer=optax.adam(5.0), **options)
    second = dl.run(worse, start=dl.final_state(first, worse), final_params=True)
    assert second.test_loss.min() > first.test_loss.min()
    assert second.best_at == first.best_at
    better = dl.run(fit(**options), start=dl.final_state(first, fit(**options)))
    assert better.best_at == better.step[int(better.test_loss.argmin("step"))]


def test_no_best_record_of_a_cell_that_failed(tmp_path):
    """Catches a number for a run that is not there."""

    def some(seed, width):
        if width == 5:
            raise ValueError("no such width")
        return fit(seed, keep_best="test_loss")

    with pytest.raises(dl.FailedCellsError) as failed:
        dl.sweep(some, seed=np.arange(2), width=[4, 5], store=tmp_path / "s")
    assert failed.value.results.best_at.isnull().values.tolist() == [[False, True], [False, True]]
