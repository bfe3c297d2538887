"""Losses of real-valued targets, each the mean over target columns: [B, ...], [B, ...] -> [B]."""

import jax
import jax.numpy as jnp
import optax

from dlcore.core.errors import check_number
from dlcore.losses.checks import check_same_shape


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error."""
    check_same_shape("squared_error", predictions, targets)
    return _row_means(optax.losses.squared_error(predictions, targets))


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Absolute error; its minimizer is the median."""
    check_same_shape("absolute_error", predictions, targets)
    return _row_means(jnp.abs(predictions - targets))


def huber(predictions: jax.Array, targets: jax.Array, *, delta: float | jax.Array = 1.0) -> jax.Array:
    """Half the squared error up to delta, beyond it linear with slope delta.

    Args:
      delta: above 0, in units of the targets.

    Reference: Huber, Robust estimation of a location parameter, 1964.
    """
    check_same_shape("huber", predictions, targets)
    check_number("delta", delta, 0, open_low=True)
    return _row_means(optax.losses.huber_loss(predictions, targets, delta=delta))


def pinball(predictions: jax.Array, targets: jax.Array, *, quantile: float | jax.Array = 0.5) -> jax.Array:
    """Quantile * error where the target is above the prediction, else (1 - quantile) * |error|; fits that quantile.

    Args:
      quantile: in [0, 1]; 0.5 gives half the absolute error.

    Reference: Koenker and Bassett, Regression quantiles, 1978.
    """
    check_same_shape("pinball", predictions, targets)
    check_number("quantile", quantile, 0, 1)
    errors = targets - predictions
    return _row_means(jnp.maximum(quantile * errors, (quantile - 1) * errors))


def _row_means(errors: jax.Array) -> jax.Array:
    return errors.reshape(errors.shape[0], -1).mean(axis=1)
