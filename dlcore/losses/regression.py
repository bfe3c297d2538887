"""Losses of real-valued targets, each the mean over target columns: [B, ...], [B, ...] -> [B]."""

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments, number
from dlcore.losses.checks import PRECISE, check_same_shape, difference
from dlcore.losses.softmax import times


@arguments(predictions=PRECISE, targets=PRECISE)
def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error.

    Raises:
      DataError: predictions and targets of different shapes, or without a row.

    Example:
      >>> dl.losses.squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]))
      Array([0., 4.], dtype=float32)
    """
    check_same_shape("squared_error", predictions, targets)
    return _row_means(difference(predictions, targets) ** 2)


@arguments(predictions=PRECISE, targets=PRECISE)
def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Absolute error; its minimizer is the median.

    Raises:
      DataError: predictions and targets of different shapes, or without a row.

    Example:
      >>> dl.losses.absolute_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]))
      Array([0., 2.], dtype=float32)
    """
    check_same_shape("absolute_error", predictions, targets)
    return _row_means(jnp.abs(difference(predictions, targets)))


@arguments(predictions=PRECISE, targets=PRECISE, delta=number(0, open_low=True))
def huber(predictions: jax.Array, targets: jax.Array, *, delta: float | jax.Array = 1.0) -> jax.Array:
    """Half the squared error up to delta, beyond it linear with slope delta.

    Args:
      delta: above 0, in units of the targets.

    Raises:
      DataError: predictions and targets of different shapes, or without a row.
    Reference: Huber, Robust estimation of a location parameter, 1964.

    Example:
      >>> dl.losses.huber(jnp.array([0.5, 3.0]), jnp.zeros(2))
      Array([0.125, 2.5  ], dtype=float32)
    """
    check_same_shape("huber", predictions, targets)
    errors = jnp.abs(difference(predictions, targets))
    inner = jnp.minimum(errors, delta)
    return _row_means(0.5 * inner**2 + delta * (errors - inner))


@arguments(predictions=PRECISE, targets=PRECISE, quantile=number(0, 1))
def pinball(predictions: jax.Array, targets: jax.Array, *, quantile: float | jax.Array = 0.5) -> jax.Array:
    """Quantile * error where the target is above the prediction, else (1 - quantile) * |error|; fits that quantile.

    Args:
      quantile: in [0, 1]; 0.5 gives half the absolute error.

    Raises:
      DataError: predictions and targets of different shapes, or without a row.
    Reference: Koenker and Bassett, Regression quantiles, 1978.

    Example:
      >>> dl.losses.pinball(jnp.array([1.0, 3.0]), jnp.array([2.0, 2.0]), quantile=0.75)
      Array([0.75, 0.25], dtype=float32)
    """
    check_same_shape("pinball", predictions, targets)
    errors = difference(targets, predictions)
    return _row_means(jnp.maximum(times(quantile, errors), times(quantile - 1, errors)))


def _row_means(errors: jax.Array) -> jax.Array:
    return errors.reshape(errors.shape[0], -1).mean(axis=1)
