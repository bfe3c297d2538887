"""Metrics of sequences of labels."""

import jax
import jax.numpy as jnp
import optax


def masked_accuracy(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the steps that are there whose largest logit is the label's: [B, T, K], [B, T], [B, T] -> []."""
    return jnp.sum((jnp.argmax(logits, axis=-1) == labels) & mask) / jnp.maximum(jnp.sum(mask), 1)


def perplexity(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Exp of the mean cross-entropy over all steps that are there: 1 at best, K for a uniform guess."""
    entropies = optax.losses.softmax_cross_entropy_with_integer_labels(logits, jnp.where(mask, labels, 0))
    return jnp.exp(jnp.sum(entropies * mask) / jnp.maximum(jnp.sum(mask), 1))


def exact_match(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the rows that are right at every step that is there: [B, T, K], [B, T], [B, T] -> []."""
    return jnp.mean(jnp.all((jnp.argmax(logits, axis=-1) == labels) | ~mask, axis=1))
