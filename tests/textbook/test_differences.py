"""Central differences against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl


def test_they_err_as_the_square_of_the_step():
    """Catches one-sided differences, a step not halved, a coordinate's difference by that of another."""
    with jax.enable_x64(True):
        point = jnp.array([0.3, -1.0, 2.0])

        def loss(x):
            return jnp.sum(x**3) + x[0] * x[1]

        gradient = jax.grad(loss)(point)
        found = {h: dl.textbook.central_differences(loss, point, h) - gradient for h in (0.1, 0.01)}
        for step, error in found.items():
            np.testing.assert_allclose(error, step**2 * np.ones(3), rtol=1e-7)  # of x^3 it is h^2


def test_the_step_may_be_traced_and_the_precision_is_that_of_the_point():
    """Catches a Python number made of the step, and float32 inside float64."""
    with jax.enable_x64(True):
        found = jax.jit(lambda h: dl.textbook.central_differences(lambda x: x @ x, jnp.ones(2), h))(1e-4)
        assert found.dtype == jnp.float64
        single = dl.textbook.central_differences(lambda x: x @ x, jnp.ones(2, jnp.float32), jnp.float32(0.25))
        assert single.dtype == jnp.float32


def test_distance_of_the_worst_array():
    """Catches a distance over all arrays together, in which a small one does not show, and one that is not relative."""
    expected = {"large": jnp.full(4, 1e6), "small": jnp.array([[3.0, 4.0]])}
    found = {"large": jnp.full(4, 1e6), "small": jnp.array([[3.0, 5.0]])}
    assert dl.textbook.gradient_distance(found, expected) == pytest.approx(0.2)
    assert dl.textbook.gradient_distance(expected, expected) == 0


def test_trees_that_differ():
    """Catches shapes that broadcast."""
    with pytest.raises(dl.DataError, match="same structure, arrays of the same shapes"):
        dl.textbook.gradient_distance({"kernel": jnp.ones((2, 1))}, {"kernel": jnp.ones((2, 2))})
    with pytest.raises(dl.DataError, match="same structure"):
        dl.textbook.gradient_distance({"kernel": jnp.ones(2)}, {"bias": jnp.ones(2)})
