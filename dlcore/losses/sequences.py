"""Losses of sequences of class labels."""

import jax
import jax.numpy as jnp

from dlcore.losses.classification import softmax_cross_entropy


def masked_cross_entropy(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Cross-entropy, the mean over the real steps of each row; a row without any has loss and gradient 0.

    Args:
      logits: [B, T, K]. labels: int [B, T] in [0, K). mask: bool [B, T]; what the others are has no influence.

    Returns:
      [B], in nats.
    """
    # Masked before the loss too: where the result alone is masked, a NaN hidden by it makes the gradient NaN.
    logits = jnp.where(mask[..., None], logits, 0)
    each = softmax_cross_entropy(logits, jnp.where(mask, labels, 0))
    return jnp.where(mask, each, 0).sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)
