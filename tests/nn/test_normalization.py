"""Batch normalization: what it averages, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import dlcore as dl
from dlcore.nn.normalization import BatchNorm

KEY = jax.random.key(0)


class Linen(linen.Module):
    average: bool | None = None

    @linen.compact
    def __call__(self, x, train=False):
        average = not train if self.average is None else self.average
        return linen.BatchNorm(use_running_average=average, name="norm")(x)


class FrozenNNX(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(4, rngs=rngs)

    def __call__(self, x):
        return self.norm(x, use_running_average=True)


ROW, PIXEL = jax.ShapeDtypeStruct((1, 4), jnp.float32), jax.ShapeDtypeStruct((1, 1, 1), jnp.float32)
IMAGE = jax.ShapeDtypeStruct((1, 2, 2), jnp.float32)
OPTIONS = {"kernel_size": 1, "pool": None, "normalization": "batch"}
ONE_VALUE = {
    "mlp": (lambda: dl.models.mlp([4, 3, 2], normalization="batch"), ROW, r"norms\.0"),
    "convolutional": (lambda: dl.models.convolutional((1, 1), [4], 2, **OPTIONS), PIXEL, r"blocks\.0\.normalization"),
    "from_nnx": (lambda: dl.from_nnx(lambda rngs: nnx.BatchNorm(4, rngs=rngs)), ROW, "itself"),
    "from_linen": (lambda: dl.from_linen(Linen(), ROW), ROW, "norm"),
}
MORE_VALUES = {
    "convolutional": (lambda: dl.models.convolutional((2, 2), [4], 2, **OPTIONS), IMAGE),
    "frozen_nnx": (lambda: dl.from_nnx(FrozenNNX), ROW),
    "frozen_linen": (lambda: dl.from_linen(Linen(average=True), ROW, switch={}), ROW),
    "two_rows": (lambda: dl.from_linen(Linen(), ROW), jax.ShapeDtypeStruct((2, 4), jnp.float32)),
}


def traced(model, x, train):
    """Shapes of what a model gives; nothing is computed."""
    return jax.eval_shape(lambda x: model.apply(*model.init(KEY), x, key=KEY, train=train), x)


@pytest.mark.parametrize("name", ONE_VALUE)
def test_one_value_per_feature_is_refused_in_training(name):
    """Catches a run that trains without moving: normalized, each value is 0."""
    build, x, layer = ONE_VALUE[name]
    model = build()
    traced(model, x, train=False)
    with pytest.raises(dl.DataError, match=rf"layer {layer} \(BatchNorm\): .* one value per feature.*batch_size of at"):
        traced(model, x, train=True)


@pytest.mark.parametrize("name", MORE_VALUES)
def test_more_values_or_none_of_the_batch_are_fine(name):
    """Catches one image refused for being one row, and layers that take nothing from the batch."""
    build, x = MORE_VALUES[name]
    output, _ = traced(build(), x, train=True)
    assert output.shape[0] == len(x)


@pytest.mark.parametrize(("unbiased", "divisor"), [(False, 3), (True, 2)])
def test_running_variance_by_hand(unbiased, divisor):
    """Catches n for n - 1, the correction applied to the old average, or in training's own normalization."""
    x = np.array([[1.0, 4.0], [2.0, 0.0], [6.0, 2.0]], np.float32)
    layer = BatchNorm(2, momentum=0.75, unbiased=unbiased, use_fast_variance=False, rngs=nnx.Rngs(0))
    layer.var[...] = jnp.array([2.0, 3.0])
    outputs = layer(x)
    squares = ((x - x.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(layer.var[...], 0.75 * np.array([2, 3]) + 0.25 * squares / divisor, rtol=1e-6)
    np.testing.assert_allclose(outputs, (x - x.mean(axis=0)) / np.sqrt(squares / 3 + 1e-5), rtol=1e-5, atol=1e-6)


def test_models_offer_the_unbiased_variance():
    """Catches the name that gives the other average."""
    x = np.array([[1.0], [3.0]], np.float32)
    averages = []
    for name in ("batch", "batch_unbiased"):
        model = dl.models.mlp([1, 1, 1], initializer=nnx.initializers.ones, normalization=name)
        averages.append(model.apply(*model.init(KEY), x, train=True)[1]["norms"][0]["var"])
    np.testing.assert_allclose(averages, [[0.9 + 0.1 * 1], [0.9 + 0.1 * 2]], rtol=1e-6)
