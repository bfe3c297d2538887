"""Recurrent networks unrolled in time."""

import jax
import numpy as np
import pytest

import dlcore as dl
from dlcore.textbook import Elman

RANDOM = np.random.default_rng(0)
WEIGHTS = Elman(*(0.7 * RANDOM.normal(size=shape).astype("f") for shape in [(3, 5), (5, 5), (5,)]))
INPUTS, ERRORS = RANDOM.normal(size=(2, 6, 3)).astype("f"), RANDOM.normal(size=(2, 6, 5)).astype("f")


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_shared_weights_get_the_sum_over_the_copies(activation):
    """Catches copies that share a step's inputs, a copy too few, a mean over steps."""
    unrolled = dl.textbook.unrolled_gradients(WEIGHTS, INPUTS, ERRORS, activation=activation)
    assert unrolled.weights.recurrent_kernel.shape == (6, 5, 5)
    shared = dl.textbook.through_time(WEIGHTS, INPUTS, ERRORS, activation=activation).gradients
    summed = jax.tree.map(lambda leaf: leaf.sum(axis=0), unrolled.weights)
    assert dl.textbook.gradient_distance(summed, shared) < 1e-5


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_signals_are_products_of_jacobians(activation):
    """Catches a transposed Jacobian, the slope of the step before, a product in the wrong order."""
    last = np.zeros_like(ERRORS)
    last[:, -1] = ERRORS[:, -1]
    states = dl.textbook.unrolled_gradients(WEIGHTS, INPUTS, last, activation=activation).states
    jacobians = dl.textbook.state_jacobians(WEIGHTS, INPUTS, activation=activation)
    signals = dl.textbook.carried_back(last[:, -1], jacobians)
    np.testing.assert_allclose(signals, states, rtol=1e-4, atol=1e-6)


def test_errors_of_another_shape():
    """Catches errors that broadcast."""
    with pytest.raises(dl.DataError, match="expects the same shape"):
        dl.textbook.unrolled_gradients(WEIGHTS, INPUTS, ERRORS[:, :, :1])
