"""Metrics of sequences of labels."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlcore.core.arguments import NONE, arguments
from dlcore.losses.checks import LABELS, check_labels
from dlcore.losses.sequences import MASK, STEP_LOGITS
from dlcore.metrics.undefined import nan_where_nan
from dlcore.nn.masked import checked_mask


@arguments(logits=STEP_LOGITS, labels=LABELS, mask=MASK)
def masked_accuracy(logits: jax.Array, labels: jax.Array, mask: Any) -> jax.Array:
    """Share of all real steps whose largest logit is the label: [N, T, num_classes], [N, T] -> [].

    Args:
      labels: integers; of any value where the mask is False.
      mask: [N, T], True where there is a step. Where it is traced and hides all steps, the result is 0.

    Raises:
      DataError: labels or mask that do not fit the logits, a row without a step.

    Example:
      >>> dl.metrics.masked_accuracy(jnp.zeros((1, 2, 4)), jnp.zeros((1, 2), int), jnp.ones((1, 2), bool))
      Array(1., dtype=float32)
    """
    mask = checked_mask(mask, labels.shape, "masked_accuracy")
    check_labels("masked_accuracy", logits, labels, where=mask)
    share = jnp.sum(mask & (jnp.argmax(logits, axis=-1) == labels)) / jnp.maximum(mask.sum(), 1)
    return nan_where_nan(logits, share, mask[..., None])


@arguments(logits=STEP_LOGITS, labels=LABELS, mask=MASK | NONE)
def perplexity(logits: jax.Array, labels: jax.Array, mask: Any = None) -> jax.Array:
    """Exp of the mean cross-entropy over all real steps: [N, T, num_classes], [N, T] -> [].

    num_classes for even predictions, 1 for perfect ones. Longer rows weigh more, other than in the mean over rows of
    `masked_cross_entropy`.

    Args, Raises: as `masked_accuracy`; without a mask all steps are real. Where all are hidden the result is 1.

    Example:
      >>> dl.metrics.perplexity(jnp.zeros((1, 2, 4)), jnp.zeros((1, 2), int)).round(3)
      Array(4., dtype=float32)
    """
    mask = jnp.ones(labels.shape, bool) if mask is None else checked_mask(mask, labels.shape, "perplexity")
    check_labels("perplexity", logits, labels, where=mask)
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(logits, jnp.where(mask, labels, 0))
    return jnp.exp(jnp.sum(jnp.where(mask, losses, 0)) / jnp.maximum(mask.sum(), 1))


@arguments(logits=STEP_LOGITS, labels=LABELS, mask=MASK)
def exact_match(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the rows that are right at every step that is there: [B, T, K], [B, T], [B, T] -> [].

    >>> dl.metrics.exact_match(jnp.zeros((1, 2, 4)), jnp.zeros((1, 2), int), jnp.ones((1, 2), bool))
    Array(1., dtype=float32)
    """
    mask = checked_mask(mask, labels.shape, "exact_match")
    check_labels("exact_match", logits, labels, where=mask)
    share = jnp.mean(jnp.all((jnp.argmax(logits, axis=-1) == labels) | ~mask, axis=1))
    return nan_where_nan(logits, share, mask[..., None])
