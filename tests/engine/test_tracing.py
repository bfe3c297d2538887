"""What goes wrong while a study is traced is said in words: the user's line, and values outside their domain."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl

TASK = small.CLASSIFICATION


def train(optimizer, task=TASK):
    return dl.training(jax.random.key(0), task, optimizer, batch_size=6, num_epochs=1)


def schedule(rate):
    rate = optax.warmup_cosine_decay_schedule(0.0, rate, 5, 50)  # the line of a schedule
    return train(optax.adam(rate))


def branch(rate):
    return train(optax.sgd(0.1 if rate > 1 else rate))  # the line of a branch


def whole(rate):
    return train(optax.sgd(0.1 * int(rate)))  # the line of a cast


def array(rate):
    return train(optax.sgd(np.sqrt(rate)))  # the line of NumPy


def inside(rate):
    def loss(logits, labels):
        scale = 2.0 if rate > 1 else 1.0  # the line of a loss
        return scale * dl.losses.softmax_cross_entropy(logits, labels)

    return train(optax.sgd(0.1), dl.tasks.supervised(small.MODEL, small.labeled_points(), loss))


@pytest.mark.parametrize(
    ("fit", "line"),
    [(schedule, "a schedule"), (branch, "a branch"), (whole, "a cast"), (array, "NumPy"), (inside, "a loss")],
)
def test_errors_of_tracers_name_the_line(fit, line):
    """Catches a page of JAX about tracers, without the line that needs a concrete value, or the fix."""
    with pytest.raises(dl.ArgumentError, match=rf"of test_tracing.py: `.*# the line of {line}`") as caught:
        dl.sweep(fit, rate=np.array([0.1, 0.2]))
    assert "(traced here: rate)" in str(caught.value)
    assert "Give the axis as a list" in str(caught.value)
    assert ("dl.optimizers.warm_up" in str(caught.value)) == (fit is schedule)


def dropout(value):
    model = dl.models.mlp([4, 5, 3], dropout=value)
    return train(optax.sgd(0.1), dl.tasks.classification(model, small.labeled_points()))


def smoothing(value):
    def loss(logits, labels):
        return dl.losses.weighted_cross_entropy(logits, labels, label_smoothing=value)

    return train(optax.sgd(0.1), dl.tasks.supervised(small.MODEL, small.labeled_points(), loss))


def clipping(value):
    return train(dl.optimizers.by_name("sgd", 0.1, clip="value", clip_at=value))


def rate(value):
    return train(dl.optimizers.by_name("sgd", value))


@pytest.mark.parametrize(
    ("fit", "bad", "text"),
    [
        (dropout, 1.5, "dropout is 1.5; expects .*below 1"),
        (smoothing, 3.0, "label_smoothing is 3.0; expects .*at most 1"),
        (clipping, -1.0, "clip_at is -1.0; expects .*above 0"),
        (rate, -0.5, "learning_rate is -0.5; expects .*0 or more"),
    ],
)
def test_traced_values_have_domains(fit, bad, text):
    """Catches ascent by a clipping at -1: the axis may have any name, and its value may be computed from it."""
    with pytest.raises(dl.ArgumentError, match=rf"at anything={bad:g}, .*{text}"):
        dl.sweep(lambda anything: fit(anything), anything=np.array([0.5, bad]))
    with pytest.raises(dl.ArgumentError, match=rf"at doubled={2 * bad:g}, .*{text}"):
        dl.sweep(lambda doubled: fit(doubled / 2), doubled=np.array([1.0, 2 * bad]))
    with pytest.raises(dl.ArgumentError, match=text):
        fit(bad).init() if fit is not smoothing else dl.sweep(fit, value=[bad])


def test_a_study_inside_a_study():
    """Catches an error deep inside the threads."""

    def fit(seed):
        dl.run(small.fit(0))
        return small.fit(seed)

    with pytest.raises(dl.ArgumentError, match=r"dl.run or dl.sweep is called while JAX traces a function"):
        dl.sweep(fit, seed=np.arange(2))
    with pytest.raises(dl.ArgumentError, match=r"call training.init"):
        jax.jit(lambda: jnp.asarray(dl.run(small.fit(0)).train_loss.values))()


def test_without_compilation():
    """Catches a study that breaks where somebody debugs with `jax.disable_jit`."""

    def halving(start):
        return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2}), 2)

    with jax.disable_jit():
        runs = dl.sweep(halving, start=np.ones(2))
    np.testing.assert_array_equal(runs.x, dl.sweep(halving, start=np.ones(2)).x)
