"""Descent of a small network with two learning rates, against NumPy and against theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlcore.probes.fate import fate
from dlcore.textbook.two_rates import linearized, losses_of_descent, tanh_network


def arrays(seed, units, examples):
    """What `tanh_network` draws, float64."""
    keys = jax.random.split(jax.random.key(seed), 4)
    shapes = ((examples, units), (examples,), (units, units), (units,))
    return [np.asarray(jax.random.normal(key, shape), float) for key, shape in zip(keys, shapes, strict=True)]


def by_hand(seed, units, examples, rates, steps):
    """Losses of NumPy's descent."""
    x, y, first, second = arrays(seed, units, examples)
    scale, losses = np.sqrt(2 / units), []
    for _ in range(steps):
        hidden = np.tanh(scale * x @ first)
        error = hidden @ second / units - y
        losses.append(np.mean(error**2))
        to_hidden = np.outer(error, second) * (1 - hidden**2) * 2 / examples / units
        first = first - rates[0] * scale * x.T @ to_hidden
        second = second - rates[1] * hidden.T @ error * 2 / examples / units
    return np.array(losses)


@pytest.mark.parametrize("rates", [(0.5, 0.3), (30.0, 0.0), (0.0, 40.0)])
def test_equals_descent_by_hand(rates):
    """Catches rates exchanged, a scale left out, and losses told after the step."""
    with jax.enable_x64(True):
        losses = np.asarray(losses_of_descent(tanh_network(3, 5, 7), *rates, 12))
    assert losses == pytest.approx(by_hand(3, 5, 7, rates, 12), rel=1e-9)


def test_the_same_network_in_both_precisions():
    """Catches networks that are another one where JAX calculates in double."""
    single = tanh_network(11, 4, 6)
    with jax.enable_x64(True):
        double = tanh_network(11, 4, 6)
        assert double.targets.dtype == np.float64
        for a, b in zip(single.weights, double.weights, strict=True):
            assert (np.asarray(a, float) == np.asarray(b)).all()


def curvature(seed, units, examples, rates):
    """Largest eigenvalue of the tangent's Hessian, each layer's part times its rate: stable up to 2."""
    x, _, first, second = arrays(seed, units, examples)
    scale = np.sqrt(2 / units)
    hidden = np.tanh(scale * x @ first)
    slopes = (1 - hidden**2) * second * scale / units
    kernel = rates[0] * (slopes @ slopes.T) * (x @ x.T) + rates[1] * (hidden @ hidden.T) / units**2
    return np.linalg.eigvalsh(2 / examples * kernel)[-1]


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 30.0)])
def test_the_tangent_diverges_where_theory_says(direction):
    """Catches a tangent at other weights, or one that bends: its border is rate x curvature = 2 exactly."""
    limit = 2 / curvature(5, 16, 16, direction)
    with jax.enable_x64(True):
        tangent = linearized(tanh_network(5, 16, 16))
        trained = [
            bool(fate(losses_of_descent(tangent, *(factor * limit * each for each in direction), 4000)).trained)
            for factor in (0.98, 1.02)
        ]
    assert trained == [True, False]


def test_the_tangent_touches_the_network():
    """Catches a tangent that is off where it should touch."""
    network = tanh_network(1, 8, 8)
    tangent = linearized(network)
    assert np.asarray(tangent.outputs(network.weights)) == pytest.approx(np.asarray(network.outputs(network.weights)))
    slopes = [
        jax.grad(lambda weights, outputs=problem.outputs: jnp.sum(outputs(weights) ** 2))(network.weights)
        for problem in (network, tangent)
    ]
    for a, b in zip(*slopes, strict=True):
        assert np.asarray(a) == pytest.approx(np.asarray(b), rel=1e-4, abs=1e-6)
