"""Metrics of images."""

import jax
import numpy as np

from dlcore.core.arguments import arguments, number
from dlcore.losses.checks import check_same_shape
from dlcore.metrics.numbers import OUTPUTS, alike, namespace, quiet
from dlcore.metrics.undefined import refuse_infinite, refuse_known


@arguments(predictions=OUTPUTS, targets=OUTPUTS, max_value=number(0, open_low=True))
@quiet
def psnr(predictions: jax.Array, targets: jax.Array, *, max_value: float | jax.Array = 1.0) -> jax.Array:
    """Peak signal-to-noise ratio in dB, mean over images: [N, ...], [N, ...] -> []; inf if one is perfect.

    Args:
      max_value: the largest value a pixel can have; known targets beyond it are refused.

    Raises:
      DataError: shapes that differ, targets that are infinite or larger than `max_value`.

    Example:
      >>> dl.metrics.psnr(jnp.zeros((1, 4)), jnp.full((1, 4), 0.1)).round(3)
      Array(20., dtype=float32)
    """
    check_same_shape("psnr", predictions, targets)
    refuse_infinite("psnr", "targets hold", targets)
    predictions, targets = alike(predictions, targets)
    xp = namespace(predictions, targets, max_value)
    if not isinstance(max_value, jax.Array):
        tolerated = max_value * (1 + 1e-6)  # of 1 / 255 * 255 in float32
        fix = f"pixels of at most {max_value}, max_value. Pass max_value=255 for 8-bit pixels."
        refuse_known("psnr", "targets hold", targets, lambda pixels: pixels > np.float64(tolerated), fix)
    errors = xp.abs(predictions - targets).reshape(len(targets), -1)
    largest = errors.max(axis=1)
    # In units of the largest error, whose square neither overflows nor vanishes.
    unit = xp.where((largest > 0) & (largest < xp.inf), largest, 1)
    squares = xp.mean((errors / unit[:, None]) ** 2, axis=1)
    decibels = 20 * (xp.log10(max_value * 1.0) - xp.log10(unit)) - 10 * xp.log10(squares)
    return xp.where(xp.any(decibels == -xp.inf), -xp.inf, decibels.mean())[()]
