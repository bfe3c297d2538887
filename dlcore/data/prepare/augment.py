"""Augmentation: pure functions of a key and a batch of images, [B, height, width] or [B, height, width, channels].

They keep shape and dtype, and run inside the training step through `dl.data.prepared(model, in_training(flip), ...)`.
Other arguments are fixed with `functools.partial`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core.errors import ArgumentError

Augmentation = Callable[[jax.Array, jax.Array], jax.Array]


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Each image mirrored left to right with probability 1/2."""
    _check_images(images)
    mirrored = jax.random.bernoulli(key, shape=(len(images),) + (1,) * (images.ndim - 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def crop(key: jax.Array, images: jax.Array, *, padding: int = 4) -> jax.Array:
    """Each image framed by `padding` mirrored pixels and cropped to its size at a random place."""
    return _moved(key, images, padding, "reflect")


def shift(key: jax.Array, images: jax.Array, *, distance: int = 2) -> jax.Array:
    """Each image moved by up to `distance` whole pixels in both directions; zeros move in."""
    return _moved(key, images, distance, "constant")


def noise(key: jax.Array, images: jax.Array, *, deviation: float | jax.Array = 0.1) -> jax.Array:
    """Normal noise added to each value of float images, or of any other float inputs [B, ...]."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ArgumentError(f"noise: inputs are {images.dtype}; expects floats. Put it after dl.data.unit_range.")
    return images + deviation * jax.random.normal(key, images.shape, images.dtype)


def _moved(key: jax.Array, images: jax.Array, distance: int, mode: str) -> jax.Array:
    _check_images(images)
    frame = [(0, 0), (distance, distance), (distance, distance)] + [(0, 0)] * (images.ndim - 3)
    framed = jnp.pad(images, frame, mode=mode)
    starts = jax.random.randint(key, (len(images), 2), 0, 2 * distance + 1)

    def window(image, start):
        return lax.dynamic_slice(image, (*start, *[0] * (image.ndim - 2)), images.shape[1:])

    return jax.vmap(window)(framed, starts)


def _check_images(images: jax.Array) -> None:
    if images.ndim not in (3, 4):
        raise ArgumentError(
            f"images are {list(images.shape)}; expects [B, height, width] or [B, height, width, channels]. "
            "Augment before dl.data.flatten."
        )
