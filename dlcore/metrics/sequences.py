"""Metrics of sequences of class labels."""

import jax
import jax.numpy as jnp


def token_accuracy(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the real steps whose largest logit is the label: [N, T, K], int [N, T], bool [N, T] -> []."""
    hits = (jnp.argmax(logits, axis=-1) == labels) & mask
    return hits.sum() / jnp.maximum(mask.sum(), 1)


def exact_match(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the rows that are right at every real step: [N, T, K], int [N, T], bool [N, T] -> []."""
    return jnp.mean(jnp.all((jnp.argmax(logits, axis=-1) == labels) | ~mask, axis=1))
