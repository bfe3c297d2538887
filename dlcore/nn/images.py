"""Inputs that are images: [B, height, width] or [B, height, width, channels]."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.errors import ArgumentError, DataError, shown


def checked_image_shape(name: str, image_shape: Any) -> tuple[int, int, int]:
    """(height, width, channels) of (height, width) or (height, width, channels).

    Args:
      name: of the model, for the message.

    Raises:
      ArgumentError: anything else.
    """
    listed = list(image_shape) if isinstance(image_shape, list | tuple) else []
    if len(listed) not in (2, 3) or not _positive_integers(listed):
        raise ArgumentError(
            f"{name}: image_shape is {shown(image_shape)}; expects (height, width) or (height, width, channels), "
            "positive integers."
        )
    height, width, channels = map(int, [*listed, 1][:3])
    return height, width, channels


def checked_sizes(name: str, sizes: Any, *, least: int) -> tuple[int, ...]:
    """A sequence of `least` or more positive integers as a tuple, else `ArgumentError`. name: for the message."""
    listed = list(sizes) if isinstance(sizes, list | tuple) or getattr(sizes, "ndim", 0) == 1 else None
    if listed is None or len(listed) < least or not _positive_integers(listed):
        raise ArgumentError(f"{name} is {shown(sizes)}; expects a sequence of {least} or more positive integers.")
    return tuple(int(size) for size in listed)


def as_images(name: str, x: Any, image_shape: Sequence[int]) -> jax.Array:
    """Inputs [B, height, width, channels]; gray ones may lack the last axis.

    Raises:
      DataError: another shape, or integers.
    """
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


def _positive_integers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in values)
