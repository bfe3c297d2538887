"""Gradients by central differences, and how far two gradients are apart: what a gradient is checked by."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments, array, function, tree
from dlcore.core.errors import DataError, described

FLOATS = array("f", ndim=1, text="floats [n], e.g. jax.flatten_util.ravel_pytree(params)[0]")


@arguments(loss=function, point=FLOATS, step=array("f", ndim=0, text="a floating-point number, not 0"))
def central_differences(loss: Callable[[jax.Array], jax.Array], point: jax.Array, step: float | jax.Array) -> jax.Array:
    """(loss(point + h e_i) - loss(point - h e_i)) / 2h of each coordinate i, [n]: 2n evaluations, all at once.

    Its error is h^2 / 6 times the third derivative, and the rounding of the loss over h. In float64 h of about 1e-5 is
    best; in float32 nothing is left that could be compared.

    Args:
      loss: of floats [n], a number.
      point: [n].
      step: h; may be traced.

    Example:
      >>> dl.textbook.central_differences(lambda x: x @ x, jnp.array([1.0, -2.0]), 0.5)
      Array([ 2., -4.], dtype=float32)
    """

    def along(axis):
        return (loss(point + axis) - loss(point - axis)) / (2 * step)

    return jax.vmap(along)(step * jnp.eye(len(point), dtype=point.dtype))


@arguments(found=tree, expected=tree)
def gradient_distance(found: Any, expected: Any) -> jax.Array:
    """Length of the difference over that of the expected gradient, of the array in which it is largest; [].

    Args:
      found, expected: trees of arrays, of the same structure and shapes.

    Raises:
      DataError: trees that differ.

    Example:
      >>> dl.textbook.gradient_distance({"kernel": jnp.array([3.0, 4.5])}, {"kernel": jnp.array([3.0, 4.0])})
      Array(0.1, dtype=float32)
    """
    same = jax.tree.structure(found) == jax.tree.structure(expected)
    if not same or jax.tree.map(jnp.shape, found) != jax.tree.map(jnp.shape, expected):
        raise DataError(
            f"gradient_distance: found is {described(found)}, expected {described(expected)}; expects trees of the "
            "same structure, arrays of the same shapes."
        )
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return jnp.stack([jnp.linalg.norm(jnp.ravel(a - b)) / jnp.linalg.norm(jnp.ravel(b)) for a, b in pairs]).max()
