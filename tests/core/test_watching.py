"""Early stopping and the best parameters: the right record ends a run, the others' bits stay as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl

RATES = np.array([0.05, 0.3, 3.0, 1e30])  # slow, quick, unstable, divergent


def fit(learning_rate, **options):
    return dl.training(
        jax.random.key(1), small.CLASSIFICATION, optax.sgd(learning_rate), batch_size=6, num_epochs=12, **options
    )


def sequence(values, **options):
    """A training whose record "loss" takes these values, watched as `dl.training` does it."""
    from dlcore.core.watching import first_watch, next_watch

    values = jnp.asarray(values)
    stop = dl.early_stopping("loss", **options)

    def init():
        return jnp.int32(0), first_watch(None, stop, None, None)

    def advance(state):
        number, watch = state
        record = {"loss": values[number]}
        watch = next_watch(watch, record, None, stop, (None, None, number))
        return (number + 1, watch), {**record, "ended": watch.ended}

    return dl.Training(init, advance, len(values))


@pytest.mark.parametrize(
    ("values", "options", "kept"),
    [
        ([3.0, 2.0, 2.0, 2.5, 1.0], {"patience": 2}, 4),  # an equal value is no improvement
        ([3.0, 2.0, 2.5, 1.0, 1.5], {"patience": 2}, 5),  # the wait starts anew
        ([1.0, 2.0, 3.0], {"patience": 2, "mode": "max"}, 3),
        ([3.0, 2.9, 2.85, 2.0], {"patience": 2, "min_change": 0.5}, 3),
        ([3.0, np.nan, np.nan, 1.0], {"patience": 2}, 3),  # NaN is no improvement
        ([np.nan, np.nan, 1.0], {"patience": 2}, 2),
        ([np.inf, np.inf, 1.0], {"patience": 1}, 2),
    ],
)
def test_patience(values, options, kept):
    """Catches a wait that is off by one, counts improvements, or takes NaN for the best value there is."""
    results = dl.run(sequence(values, **options))
    np.testing.assert_array_equal(results.loss, np.float32(values[:kept]))
    assert (results.ended_at.item() == kept) or kept == len(values)


def test_a_cell_that_ends_leaves_the_others_as_they_are():
    """Catches a lane that is frozen with its neighbors, records after the end, and other bits for having a rule."""
    free = dl.sweep(fit, learning_rate=RATES)
    stop = dl.early_stopping("test_loss", patience=2)
    stopped = dl.sweep(lambda learning_rate: fit(learning_rate, stop=stop), learning_rate=RATES)
    ends = stopped.ended_at.values
    assert np.isfinite(ends).any()
    assert np.isnan(ends[0]), "the slow one does not end"
    for i, end in enumerate(np.where(np.isnan(ends), np.inf, ends)):
        before = free.step.values <= end
        for name in ("batch_loss", "train_loss", "test_accuracy"):
            np.testing.assert_array_equal(stopped[name][i, before], free[name][i, before])
            assert stopped[name][i, ~before[: stopped.sizes["step"]]].isnull().all()


def test_a_block_ends_when_all_its_cells_have(monkeypatch):
    """Catches a study that computes to the last record what nobody sees."""
    from dlcore.engine import program

    segments = []
    original = program.Program.segments

    def counted(self, *arguments):
        for segment in original(self, *arguments):
            segments.append(segment.count)
            yield segment

    monkeypatch.setattr(program.Program, "segments", counted)
    monkeypatch.setattr(program, "SECONDS_PER_CALL", 0.0)  # a record a call
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    results = dl.sweep(lambda scale: sequence(scale * jnp.asarray(values), patience=2), scale=np.array([1.0, 2.0]))
    assert results.sizes["step"] == 3
    assert sum(segments) == 3
    assert "finished" not in results.coords


def test_the_best_parameters_are_kept():
    """Catches the last parameters, or those of a step later than the record they were measured with."""
    results = dl.run(fit(1.0, keep_best="test_loss", sampling="with_replacement"), final_params=True)
    best = int(results.test_loss.argmin("step"))
    assert 0 < best < results.sizes["step"] - 1, "the best record is neither the first nor the last"
    assert results.best_at == results.step[best]
    params, state = dl.final_params(results, small.MODEL)
    loss, _ = small.CLASSIFICATION.objective(params, state, small.CLASSIFICATION.data.test)
    np.testing.assert_allclose(loss, results.test_loss[best], rtol=1e-5)


def test_the_best_of_more_is_better():
    """Catches a minimum of accuracies."""
    results = dl.run(fit(3.0, keep_best="test_accuracy"))
    best = int(results.test_accuracy.argmax("step"))
    assert results.best_at == results.step[best]


def test_step_0_is_nobodys_turn_to_improve():
    """Catches a run that ends before it begins: the gradient at step 0 is NaN."""
    observe = {"norm": lambda seen: optax.tree.norm(seen.gradient)}
    results = dl.run(fit(0.1, observe=observe, stop=dl.early_stopping("norm", patience=1, mode="min")))
    assert results.sizes["step"] > 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keep_best": "grade"}, "keep_best is 'grade'; .*Say which is better: keep_best=.'grade', 'min' or 'max'"),
        ({"keep_best": ("grade", "most")}, "keep_best is .'grade', 'most'."),
        (
            {"keep_best": "valid_loss"},
            "keep_best watches 'valid_loss', the records are .*did you mean '[a-z]+_loss'",
        ),
        ({"keep_best": "accuracy"}, "keep_best watches 'accuracy', the records are .*did you mean 'test_accuracy'"),
        ({"keep_best": "auc"}, "keep_best watches 'auc', the records are .*known: .*test_loss"),
        ({"stop": 3}, "stop is 3; expects an EarlyStopping, e.g. dl.early_stopping"),
        ({"stop": dl.early_stopping("valid_loss", patience=1)}, "stop watches 'valid_loss', the records are"),
    ],
)
def test_what_cannot_be_watched(options, text):
    """Catches a name that is never recorded, found by nobody."""
    with pytest.raises(dl.ArgumentError, match=text):
        dl.run(fit(0.1, **options))
    with pytest.raises(dl.ArgumentError, match="the name 'grade' does not say whether less or more is better"):
        dl.early_stopping("grade", patience=2)
