"""Metrics of class labels."""

import jax
import jax.numpy as jnp


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples whose largest logit is the label: [N, num_classes], [N] -> []."""
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)


def binary_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples on the right side of logit 0: [N], [N] in {0, 1} -> []."""
    return jnp.mean((logits > 0) == (labels > 0))
