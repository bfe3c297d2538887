"""Metrics of real-valued targets."""

import jax
import jax.numpy as jnp


def r2(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, 1 - residual / total sum of squares: [N, ...], [N, ...] -> []."""
    return 1 - jnp.sum((targets - predictions) ** 2) / jnp.sum((targets - targets.mean(axis=0)) ** 2)
