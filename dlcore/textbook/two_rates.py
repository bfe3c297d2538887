"""Full-batch descent of a small network whose two layers have a learning rate each.

Reference: Sohl-Dickstein, The boundary of neural network trainability is fractal, 2024, arXiv:2402.06184; data, weights
and scaling are his.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Problem(NamedTuple):
    """A regression: outputs of the weights [n], the targets [n], and the weights to begin with."""

    outputs: Callable[[list[jax.Array]], jax.Array]
    targets: jax.Array
    weights: list[jax.Array]


def tanh_network(seed: Any, units: int, examples: int) -> Problem:
    """One hidden layer of tanh, as wide as the inputs, on normal inputs and targets that have nothing to do with them.

    All is drawn in single precision, so that a network is the same whether JAX calculates in single or in double.
    """
    shapes = ((examples, units), (examples,), (units, units), (units,))
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    drawn = (jax.random.normal(key, shape, jnp.float32) for key, shape in zip(keys, shapes, strict=True))
    inputs, targets, *weights = (values.astype(float) for values in drawn)

    def outputs(weights):
        return jnp.tanh(np.sqrt(2 / units) * inputs @ weights[0]) @ weights[1] / units

    return Problem(outputs, targets, weights)


def linearized(problem: Problem) -> Problem:
    """The tangent of the network at its first weights: its loss is a quadratic, whose curvature never changes."""
    value, slope = jax.linearize(problem.outputs, problem.weights)

    def outputs(weights):
        return value + slope(jax.tree.map(jnp.subtract, weights, problem.weights))

    return problem._replace(outputs=outputs)


def losses_of_descent(problem: Problem, first_rate: Any, second_rate: Any, steps: int) -> jax.Array:
    """Mean squared errors before each of so many steps, [steps]."""

    def loss(weights):
        return jnp.mean((problem.outputs(weights) - problem.targets) ** 2)

    def step(weights, _):
        before, (first, second) = jax.value_and_grad(loss)(weights)
        return [weights[0] - first_rate * first, weights[1] - second_rate * second], before

    return lax.scan(step, problem.weights, length=steps)[1]
