"""Augmentation: pure functions of a key and a batch of images, [B, height, width] or [B, height, width, channels].

They keep shape and dtype, and run inside the training step through `dl.data.prepared(model, in_training(flip), ...)`.
Other arguments are fixed with `functools.partial`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core.arguments import arguments, array, integer, key
from dlcore.data.parameters import DEVIATION, IMAGES, check_size, held

PIXELS = integer(0, 10_000)
FLOATS = held(array("f", text="floats [B, ...]; put it after dl.data.unit_range"))

Augmentation = Callable[[jax.Array, jax.Array], jax.Array]


@arguments(key=key, images=IMAGES)
def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Each image mirrored left to right with probability 1/2.

    >>> dl.data.flip(jax.random.key(0), jnp.arange(12).reshape(2, 2, 3)).shape
    (2, 2, 3)
    """
    mirrored = jax.random.bernoulli(key, shape=(len(images),) + (1,) * (images.ndim - 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


@arguments(key=key, images=IMAGES, padding=PIXELS)
def crop(key: jax.Array, images: jax.Array, *, padding: int = 4) -> jax.Array:
    """Each image framed by `padding` mirrored pixels and cropped to its size at a random place.

    Raises:
      ArgumentError: more than 2**28 values in all, with the frame.

    Example:
      >>> dl.data.crop(jax.random.key(0), jnp.ones((2, 8, 8, 3)), padding=2).shape
      (2, 8, 8, 3)
    """
    return _moved("crop", key, images, padding, "reflect")


@arguments(key=key, images=IMAGES, distance=PIXELS)
def shift(key: jax.Array, images: jax.Array, *, distance: int = 2) -> jax.Array:
    """Each image moved by up to `distance` whole pixels in both directions; zeros move in.

    Raises:
      ArgumentError: more than 2**28 values in all, with the frame.

    Example:
      >>> dl.data.shift(jax.random.key(0), jnp.ones((2, 8, 8)), distance=1).shape
      (2, 8, 8)
    """
    return _moved("shift", key, images, distance, "constant")


@arguments(key=key, images=FLOATS, deviation=DEVIATION)
def noise(key: jax.Array, images: jax.Array, *, deviation: float | jax.Array = 0.1) -> jax.Array:
    """Normal noise added to each value of float images, or of any other float inputs [B, ...].

    Args:
      deviation: standard deviation, in units of the inputs; may be traced.

    Example:
      >>> dl.data.noise(jax.random.key(0), jnp.zeros((2, 5)), deviation=0.0)
      Array([[0., 0., 0., 0., 0.],
             [0., 0., 0., 0., 0.]], dtype=float32)
    """
    drawn = deviation * jax.random.normal(key, images.shape, images.dtype)
    return images + drawn.astype(images.dtype)  # a traced deviation may be wider


def _moved(name: str, key: jax.Array, images: jax.Array, distance: int, mode: str) -> jax.Array:
    batch, height, width, *rest = images.shape
    check_size(name, batch, height + 2 * distance, width + 2 * distance, *rest)
    if not images.size:
        return images
    frame = [(0, 0), (distance, distance), (distance, distance)] + [(0, 0)] * (images.ndim - 3)
    framed = jnp.pad(images, frame, mode=mode)
    starts = jax.random.randint(key, (len(images), 2), 0, 2 * distance + 1)

    def window(image, start):
        return lax.dynamic_slice(image, (*start, *[0] * (image.ndim - 2)), images.shape[1:])

    return jax.vmap(window)(framed, starts)
