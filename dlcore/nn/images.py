"""Inputs that are images: [B, height, width] or [B, height, width, channels]."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from dlcore.core.arguments import Constraint, integer, sequence
from dlcore.core.errors import DataError
from dlcore.nn.inputs import as_numbers

IMAGE_SHAPE = Constraint(
    "(height, width) or (height, width, channels), positive integers", sequence(integer(1, 2**16), 2, 3).accept
)


def with_channels(image_shape: Sequence[int]) -> tuple[int, int, int]:
    """(height, width, channels) of (height, width), which have one channel, or of (height, width, channels)."""
    height, width, channels = [*image_shape, 1][:3]
    return height, width, channels


def as_images(name: str, x: Any, image_shape: Sequence[int]) -> jax.Array:
    """Inputs [B, height, width, channels]; gray ones may lack the last axis.

    Raises:
      DataError: another shape, or integers.
    """
    x = as_numbers(name, x)
    images = x[..., None] if x.ndim == 3 and image_shape[2] == 1 else x
    if images.shape[1:] != tuple(image_shape) or not jnp.issubdtype(x.dtype, jnp.floating):
        expected = f"[B, {', '.join(map(str, image_shape))}]"
        gray = f" or [B, {image_shape[0]}, {image_shape[1]}]" * (image_shape[2] == 1)
        raise DataError(
            f"{name}: inputs are {x.dtype}{list(x.shape)}; the first layer expects floats {expected}{gray}. Reshape "
            "with x.reshape(-1, height, width, channels), scale integers with x.astype('float32') / 255, or change "
            "image_shape."
        )
    return images
