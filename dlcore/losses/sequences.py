"""Losses of sequences of different lengths."""

from typing import Any

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments, array
from dlcore.losses.checks import LABELS, check_labels, check_mask, shift_invariant
from dlcore.losses.softmax import surprisal_of
from dlcore.nn.masked import checked_mask

STEP_LOGITS = shift_invariant("logits [B, T, num_classes]", 3)
MASK = array("biu", ndim=2, text="Booleans [B, T], True where there is a step")


@arguments(logits=STEP_LOGITS, labels=LABELS, mask=MASK)
def masked_cross_entropy(logits: jax.Array, labels: jax.Array, mask: Any) -> jax.Array:
    """Softmax cross-entropy, mean over the real steps of each row: [B, T, num_classes], [B, T] -> [B], in nats.

    Args:
      labels: integers; of any value where the mask is False.
      mask: [B, T], True where there is a step. A row without a step is refused; where the mask is traced and cannot
        be looked at, its loss and gradient are 0.

    Raises:
      DataError: labels or mask that do not fit the logits.

    Example:
      >>> dl.losses.masked_cross_entropy(jnp.zeros((1, 2, 4)), np.array([[3, 0]]), np.array([[True, False]]))
      Array([1.3862944], dtype=float32)
    """
    check_mask("masked_cross_entropy", mask)
    mask = checked_mask(mask, labels.shape, "masked_cross_entropy")
    check_labels("masked_cross_entropy", logits, labels, where=mask)
    # Masked before the loss as well as after it: 0 times the derivative at an infinite logit is NaN.
    logits = jnp.where(mask[..., None], logits, 0)
    losses = surprisal_of(logits, jnp.where(mask, labels, 0))
    return jnp.sum(jnp.where(mask, losses, 0), axis=1) / jnp.maximum(mask.sum(axis=1), 1)
