"""Metrics of sequences of labels."""

from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import NONE, arguments
from dlcore.losses.checks import LABELS, check_labels
from dlcore.losses.sequences import MASK
from dlcore.losses.softmax import are_classes
from dlcore.metrics.numbers import namespace, numbers, quiet, share
from dlcore.metrics.undefined import nan_where_nan
from dlcore.nn.masked import checked_mask

STEP_LOGITS = numbers("logits [B, T, num_classes]", 3)


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
    mask, known = _checked("masked_accuracy", logits, labels, mask)
    right = mask & (logits.argmax(axis=-1) == labels)
    steps = namespace(right).maximum(mask.sum(dtype=int), 1)
    return nan_where_nan(logits, right.sum(dtype=int) / steps, mask[..., None], known)


@arguments(logits=STEP_LOGITS, labels=LABELS, mask=MASK | NONE)
@quiet
def perplexity(logits: jax.Array, labels: jax.Array, mask: Any = None) -> jax.Array:
    """Exp of the mean cross-entropy over all real steps: [N, T, num_classes], [N, T] -> [].

    num_classes for even predictions, 1 for perfect ones; inf beyond the range of floats. Longer rows weigh more, other
    than in the mean over rows of `masked_cross_entropy`.

    Args, Raises: as `masked_accuracy`; without a mask all steps are real. Where all are hidden the result is 1.

    Example:
      >>> dl.metrics.perplexity(jnp.zeros((1, 2, 4)), jnp.zeros((1, 2), int)).round(3)
      Array(4., dtype=float32)
    """
    mask = np.ones(labels.shape, bool) if mask is None else mask
    mask, known = _checked("perplexity", logits, labels, mask)
    xp = namespace(logits, labels, mask)
    rows = xp.where(mask, labels, 0).astype(int)[..., None]
    largest = logits.max(axis=-1, keepdims=True)
    below = xp.where(logits == largest, 0, logits - largest)  # of infinite logits too, which share alike
    losses = xp.log(xp.exp(below).sum(axis=-1)) - xp.take_along_axis(below, rows, axis=-1)[..., 0]
    mean = xp.where(mask, losses, 0).sum() / xp.maximum(mask.sum(dtype=int), 1)
    return nan_where_nan(logits, xp.exp(mean), mask[..., None], known)


@arguments(logits=STEP_LOGITS, labels=LABELS, mask=MASK)
def exact_match(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Share of the rows that are right at every step that is there: [B, T, K], [B, T], [B, T] -> [].

    Raises:
      DataError: labels or mask that do not fit the logits, a row without a step; where they are known, labels outside
        [0, K).

    Example:
      >>> dl.metrics.exact_match(jnp.zeros((1, 2, 4)), jnp.zeros((1, 2), int), jnp.ones((1, 2), bool))
      Array(1., dtype=float32)
    """
    mask, known = _checked("exact_match", logits, labels, mask)
    right = ((logits.argmax(axis=-1) == labels) | ~mask).all(axis=1)
    return nan_where_nan(logits, share(right), mask[..., None], known)


def _checked(name: str, logits: jax.Array, labels: jax.Array, mask: Any) -> tuple[Any, Any]:
    """The mask as Booleans [B, T], NumPy's if all are; whether each label is one, where it counts."""
    checked = checked_mask(mask, labels.shape, name)
    mask = np.asarray(mask, bool) if namespace(logits, labels, mask) is np else checked
    check_labels(name, logits, labels, where=mask)
    return mask, are_classes(labels, logits.shape[-1]) | ~mask
