"""Losses of class labels."""

import jax
import jax.numpy as jnp
import optax

softmax_cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels


def logistic(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy: logits [B], labels [B] in {0, 1} -> [B], in nats.

    `optax.losses.sigmoid_binary_cross_entropy` allows labels in between and takes twice the exponentials.
    """
    return jax.nn.softplus(jnp.where(labels > 0, -logits, logits))
