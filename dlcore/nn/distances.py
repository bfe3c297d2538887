"""Squared Euclidean distances between all pairs of rows."""

import jax
import jax.numpy as jnp
from jax import lax


@jax.jit
def squared_distances(a: jax.Array, b: jax.Array) -> jax.Array:
    """Squared distances: [A, D], [B, D] -> [A, B], never negative, 0 between equal rows.

    The squares of differences are added up column by column: nothing is larger than the result, nor in the gradient.
    |a|^2 + |b|^2 - 2 a.b would be one matrix product, and noise wherever rows are far from the origin but near each
    other; no origin is near to all rows of two distant clusters.
    """
    dtype = jnp.result_type(a, b)

    @jax.checkpoint  # the gradient makes the differences again: kept, they would be an array [A, B, D]
    def add_column(total, columns):
        x, y = columns
        return total + (x[:, None] - y[None, :]) ** 2, None

    columns = a.T.astype(dtype), b.T.astype(dtype)
    return lax.scan(add_column, jnp.zeros((a.shape[0], b.shape[0]), dtype), columns)[0]
