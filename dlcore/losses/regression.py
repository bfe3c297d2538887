"""Losses of real-valued targets."""

import jax
import optax


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error, mean over target columns: [B, ...], [B, ...] -> [B]."""
    errors = optax.losses.squared_error(predictions, targets)
    return errors.reshape(len(errors), -1).mean(axis=1)
