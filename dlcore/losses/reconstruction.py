"""Losses of inputs reconstructed; for real-valued ones `squared_error` serves."""

import jax

from dlcore.core.arguments import arguments
from dlcore.losses.checks import OUTPUTS, check_shares
from dlcore.losses.softmax import binary_surprisal


@arguments(logits=OUTPUTS, targets=OUTPUTS)
def bernoulli_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Cross-entropy of each pixel, mean over pixels: logits [B, ...], targets [B, ...] in [0, 1] -> [B], in nats.

    For pixels in between 0 and 1 the lowest value is not 0 but the pixels' own entropy.

    Raises:
      DataError: no example; targets of another shape; where they are known, targets outside [0, 1].

    Example:
      >>> dl.losses.bernoulli_cross_entropy(jnp.zeros((1, 4)), jnp.ones((1, 4)))
      Array([0.6931472], dtype=float32)
    """
    check_shares("bernoulli_cross_entropy", logits, targets)
    values = binary_surprisal(logits, targets)
    return values.reshape(values.shape[0], -1).mean(axis=1)
