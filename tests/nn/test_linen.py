"""Switches of Linen modules to training: found, given, or refused."""

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import linen

import dlcore as dl

X = jnp.ones((100, 4))


class Switched(linen.Module):
    @linen.compact
    def __call__(self, x, is_training=False):
        return linen.Dropout(0.9, deterministic=not is_training)(x)


class Noisy(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        return x + jax.random.normal(self.make_rng("noise"), x.shape) if train else x


class Unknown(linen.Module):
    @linen.compact
    def __call__(self, x, learning=False):
        return linen.Dropout(0.9, deterministic=not learning)(x)


class Frozen(linen.Module):
    @linen.compact
    def __call__(self, x, frozen, double=False):
        return linen.Dropout(0.9)(x * 2 if double else x, deterministic=frozen)


class Off(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dropout(0.9, deterministic=True, name="drop")(x)


class Unreached(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dropout(0.9)(x, deterministic=True) if train else x


def changes(module, **options):
    """Whether the outputs are the inputs in evaluation, and others in training."""
    model = dl.from_linen(module, X, **options)
    variables = model.init(jax.random.key(0))
    trained, _ = model.apply(*variables, X, key=jax.random.key(1), train=True)
    return bool((model.apply(*variables, X)[0] == X).all() and (trained != X).any())


def test_switches_and_streams_of_other_names():
    """Catches dropout that never happens, a random stream that is missing, and a switch that is ignored."""
    assert changes(Switched())
    assert changes(Noisy())
    with pytest.raises(dl.ArgumentError, match=r"takes learning=False, which would never change.*switch='learning'"):
        dl.from_linen(Unknown(), X)


def test_a_switch_may_be_given():
    """Catches a given switch that is ignored or turned the wrong way, and other arguments taken for switches."""
    assert changes(Unknown(), switch="learning")
    assert changes(Frozen(), switch={"frozen": False})
    with pytest.raises(dl.ArgumentError, match=r"switch is 'learnin'; .* did you mean 'learning'"):
        dl.from_linen(Unknown(), X, switch="learnin")


@pytest.mark.parametrize("module", [Off(), Unreached(), Unknown()])
def test_a_dropout_that_is_off_in_training_is_refused(module):
    """Catches a network that trains without the dropout that stands in it."""
    with pytest.raises(dl.ArgumentError, match=r"in training the Dropout \w+ is deterministic, so that it never drops"):
        dl.from_linen(module, X, switch={})


class Untold(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm()(x)


def test_what_fails_in_a_model_of_the_user_says_how_it_was_called():
    """Catches an error that leaves the caller to guess, and one of another type than the user's code raised."""
    data = dl.data.from_arrays(jnp.ones((4, 3)), [0, 1, 0, 1])

    def fails(model):
        with pytest.raises(Exception, match=r"\w") as found:
            dl.tasks.classification(model, data)
        return type(found.value), "".join(found.value.__notes__)

    kind, note = fails(dl.Model(lambda key: ({}, {}), lambda params, state, x, train=False: (x, state)))
    assert kind is TypeError
    assert note.startswith(
        "dlcore called the model as apply(params, state, x, key=None, train=False), x being float32[N, 3]."
    )
    assert "init(key)" in fails(dl.Model(lambda: ({}, {}), lambda *_, **__: None))[1]
    assert "use_running_average=not train" in fails(dl.from_linen(Untold(), data.train.inputs))[1]

    def apply(params, state, x, *, key=None, train=False):
        return x @ jnp.ones((7, 2)) if train else jnp.ones((len(x), 2)), state

    task = dl.tasks.classification(dl.Model(lambda key: ({"a": jnp.ones(1)}, {}), apply), data)
    with pytest.raises(TypeError) as found:
        dl.run(dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=2, num_steps=1))
    assert "key=key, train=True), x being float32[N, 3]" in "".join(found.value.__notes__)


class Averaging(linen.Module):
    training: bool = False  # a field, which nobody switches

    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=not self.training)(x)


def test_averages_that_never_change_are_refused():
    """Catches a batch normalization that normalizes by nothing, in all of a training."""
    with pytest.raises(dl.ArgumentError, match=r"BatchNorm BatchNorm_0 uses its running averages.*switch=\{\}"):
        dl.from_linen(Averaging(), jnp.ones((4, 3)))
    assert dl.from_linen(Averaging(), jnp.ones((4, 3)), switch={})
    assert dl.from_linen(Averaging(training=True), jnp.ones((4, 3)))
