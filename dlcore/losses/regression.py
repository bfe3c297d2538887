"""Losses of real-valued targets."""

import jax
import optax


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error, mean over target columns: [B, ...], [B, ...] -> [B]."""
    errors = optax.losses.squared_error(predictions, targets)
    return errors.reshape(errors.shape[0], -1).mean(axis=1)
