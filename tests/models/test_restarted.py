"""Models that start elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl

MODEL = dl.models.mlp([3, 4, 2])


def test_arrays_are_changed_by_name_and_each_has_a_key_of_its_own():
    """Catches names of whole paths, one key for all arrays, a forward pass of another model."""

    def change(key, name, values):
        assert name in ("kernel", "bias")
        return values if name == "kernel" else jax.random.normal(key, values.shape)

    model = dl.models.restarted(MODEL, change)
    before, _ = MODEL.init(jax.random.key(0))
    params, state = model.init(jax.random.key(0))
    np.testing.assert_array_equal(params["layers"][0]["kernel"], before["layers"][0]["kernel"])
    biases = [params["layers"][i]["bias"] for i in range(2)]
    assert not np.isin(biases[1], biases[0]).any()
    assert model.apply(params, state, jnp.ones((5, 3)))[0].shape == (5, 2)


def test_the_factor_may_be_traced():
    """Catches Python values inside: experiments map over starts."""

    def norms(factor):
        model = dl.models.restarted(MODEL, lambda key, name, values: factor * values)
        return jnp.abs(model.init(jax.random.key(0))[0]["layers"][0]["kernel"]).max()

    small, large = jax.vmap(norms)(jnp.array([1.0, 3.0]))
    assert large == pytest.approx(3 * small)


def test_another_shape_is_refused():
    """Catches arrays that broadcast later."""
    model = dl.models.restarted(MODEL, lambda key, name, values: jnp.zeros(1))
    with pytest.raises(dl.ArgumentError, match=r"change gives float32\[1\] for .*; expects the same shape"):
        model.init(jax.random.key(0))
