"""Metrics of real-valued targets: [N, ...], [N, ...] -> []."""

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments
from dlcore.losses.checks import OUTPUTS, check_same_shape
from dlcore.metrics.undefined import nan_where_nan


@arguments(predictions=OUTPUTS, targets=OUTPUTS)
def r2(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, 1 - residual / total sum of squares, summed over all columns.

    Constant targets leave nothing to explain: then it is 1 for a perfect prediction and 0 for any other.

    >>> dl.metrics.r2(jnp.array([0.0, 2.0]), jnp.array([0.0, 2.0]))
    Array(1., dtype=float32)
    """
    check_same_shape("r2", predictions, targets)
    residual = jnp.sum((targets - predictions) ** 2)
    total = jnp.sum((targets - targets.mean(axis=0, keepdims=True)) ** 2)
    value = jnp.where(total > 0, 1 - residual / jnp.where(total > 0, total, 1), residual == 0)
    return nan_where_nan((predictions, targets), value)


@arguments(predictions=OUTPUTS, targets=OUTPUTS)
def mean_absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of |prediction - target| over rows and columns.

    >>> dl.metrics.mean_absolute_error(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.0]))
    Array(0.5, dtype=float32)
    """
    check_same_shape("mean_absolute_error", predictions, targets)
    return jnp.mean(jnp.abs(predictions - targets))
