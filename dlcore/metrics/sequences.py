"""Metrics of sequences of labels."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlcore.losses.checks import check_labels
from dlcore.nn.masked import checked_mask


def masked_accuracy(logits: jax.Array, labels: jax.Array, mask: Any) -> jax.Array:
    """Share of all real steps whose largest logit is the label: [N, T, num_classes], [N, T] -> [].

    Args:
      labels: integers; of any value where the mask is False.
      mask: [N, T], True where there is a step. Where it is traced and hides all steps, the result is 0.

    Raises:
      DataError: labels or mask that do not fit the logits, a row without a step.
    """
    mask = checked_mask(mask, labels.shape, "masked_accuracy")
    check_labels("masked_accuracy", logits, labels, where=mask)
    return jnp.sum(mask & (jnp.argmax(logits, axis=-1) == labels)) / jnp.maximum(mask.sum(), 1)


def perplexity(logits: jax.Array, labels: jax.Array, mask: Any = None) -> jax.Array:
    """Exp of the mean cross-entropy over all real steps: [N, T, num_classes], [N, T] -> [].

    num_classes for even predictions, 1 for perfect ones. Longer rows weigh more, other than in the mean over rows of
    `masked_cross_entropy`.

    Args, Raises: as `masked_accuracy`; without a mask all steps are real. Where all are hidden the result is 1.
    """
    mask = jnp.ones(labels.shape, bool) if mask is None else checked_mask(mask, labels.shape, "perplexity")
    check_labels("perplexity", logits, labels, where=mask)
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, jnp.where(mask, labels, 0))
    return jnp.exp(jnp.sum(jnp.where(mask, losses, 0)) / jnp.maximum(mask.sum(), 1))


def exact_match(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the rows that are right at every step that is there: [B, T, K], [B, T], [B, T] -> []."""
    return jnp.mean(jnp.all((jnp.argmax(logits, axis=-1) == labels) | ~mask, axis=1))
