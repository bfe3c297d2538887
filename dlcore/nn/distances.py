"""Squared Euclidean distances between all pairs of rows."""

import jax
import jax.numpy as jnp


def squared_distances(a: jax.Array, b: jax.Array) -> jax.Array:
    """Squared distances: [A, D], [B, D] -> [A, B], never negative.

    One matrix product instead of an array [A, B, D]. It cancels where the rows are near each other but far from the
    origin, so the origin is first moved to the mean of `b`; distances, and so derivatives, do not depend on it.
    """
    origin = jax.lax.stop_gradient(jnp.mean(b, axis=0, keepdims=True))
    a, b = a - origin, b - origin
    squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None, :]
    return jnp.maximum(squares - 2 * a @ b.T, 0)
