"""Losses of sequences of labels."""

import jax
import jax.numpy as jnp
import optax


def masked_cross_entropy(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Cross-entropy, mean over the steps that are there: logits [B, T, K], labels [B, T], mask [B, T] -> [B], in nats.

    A row without a step gives 0, with gradient 0.
    """
    entropies = optax.losses.softmax_cross_entropy_with_integer_labels(logits, jnp.where(mask, labels, 0))
    return jnp.sum(entropies * mask, axis=1) / jnp.maximum(jnp.sum(mask, axis=1), 1)
