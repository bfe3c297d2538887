"""Double precision: parameters, running averages and outputs of built-in models."""

import jax
import numpy as np
import pytest
from flax import linen

import dlcore as dl

MODELS = {
    "mlp": (lambda: dl.models.mlp([4, 3, 2], normalization="batch"), (2, 4)),
    "convolutional": (lambda: dl.models.convolutional((4, 4), [2], 2, normalization="batch"), (2, 4, 4)),
    "recurrent": (lambda: dl.models.recurrent(4, 3, 2, cell="lstm"), (2, 5, 4)),
    "autoencoder": (lambda: dl.models.autoencoder([4, 2]), (2, 4)),
}


def dtypes(tree):
    """Of the arrays of a tree."""
    return {leaf.dtype.name for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize("name", MODELS)
def test_built_in_models_are_double_under_x64(name):
    """Catches parameters or running averages of single precision under x64, and a state that changes its dtype."""
    build, shape = MODELS[name]
    key, model = jax.random.key(0), build()
    init = jax.jit(model.init)
    single = init(key)
    assert dtypes(single) == {"float32"}
    x = np.random.default_rng(0).normal(size=shape)
    with jax.enable_x64(True):
        double = init(key)
        assert dtypes(double) == {"float64"}
        output, state = jax.jit(model.apply, static_argnames="train")(*double, x, key=key, train=True)
        assert dtypes((output, state)) == {"float64"}
    jax.tree.map(np.testing.assert_array_equal, single, double)


def test_a_state_keeps_its_dtype_over_a_step():
    """Catches running averages that become double in the first step: a compiled loop would refuse its own result."""
    x = np.random.default_rng(0).normal(size=(3, 4))
    with jax.enable_x64(True):
        model = dl.from_linen(linen.BatchNorm(), x)
        params, state = model.init(jax.random.key(0))
        _, after = model.apply(params, state, x, train=True)
        assert dtypes(after) == dtypes(state) == {"float32"}
        assert (after["batch_stats"]["mean"] != 0).all()
