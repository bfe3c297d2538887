"""Metrics of real-valued targets: [N, ...], [N, ...] -> []."""

import jax
import jax.numpy as jnp

from dlcore.losses.checks import check_same_shape


def r2(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, 1 - residual / total sum of squares, summed over all columns.

    Constant targets leave nothing to explain: then it is 1 for a perfect prediction and 0 for any other.
    """
    residual = jnp.sum((targets - predictions) ** 2)
    total = jnp.sum((targets - targets.mean(axis=0, keepdims=True)) ** 2)
    return jnp.where(total > 0, 1 - residual / jnp.where(total > 0, total, 1), residual == 0)


def mean_absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of |prediction - target| over rows and columns."""
    check_same_shape("mean_absolute_error", predictions, targets)
    return jnp.mean(jnp.abs(predictions - targets))
