"""Descent on a function that is written down, step by step, as the textbook draws it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dlcore.core.arguments import arguments, array, function, integer
from dlcore.core.optimizer import OPTIMIZER, checked

START = array("f", text="an array of floats, a point")


@arguments(height=function, start=START, optimizer=OPTIMIZER, num_steps=integer())
def descent_path(
    height: Callable[[jax.Array], jax.Array], start: Any, optimizer: optax.GradientTransformation, *, num_steps: int
) -> jax.Array:
    """The points that an optimizer passes on the way down a function, the start included, [num_steps + 1, ...].

    Pure; can be compiled and mapped. Of doubles it is in float64 below `jax.enable_x64(True)`.

    Args:
      height: `height(point) -> number`, to be minimized.
      start: a point, of any shape.
      optimizer: any optax transformation, e.g. `optax.sgd(0.1)`.
      num_steps: how many steps.

    Raises:
      ArgumentError: an optimizer that fails, or that has `optax.lookahead` in it.

    Example:
      >>> dl.textbook.descent_path(lambda x: 0.5 * x**2, 1.0, optax.sgd(0.5), num_steps=3).tolist()
      [1.0, 0.5, 0.25, 0.125]
    """
    optimizer, first = checked(optimizer), jnp.asarray(start)

    def step(carry, _):
        point, state = carry
        updates, state = optimizer.update(jax.grad(height)(point), state, point)
        point = optax.apply_updates(point, updates)
        return (point, state), point

    _, path = lax.scan(step, (first, optimizer.init(first)), None, num_steps)
    return jnp.concatenate([first[None], jnp.asarray(path)])
