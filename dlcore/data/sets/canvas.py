"""Digits scattered on a canvas, with their boxes: detection in small."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from dlcore.core.arguments import NONE, arguments, integer, key
from dlcore.core.dataset import Split
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.data.parameters import NUM_EXAMPLES, PAIR, check_size
from dlcore.data.sets.digits_file import digits_table


@arguments(key=key, num_examples=NUM_EXAMPLES, digits=PAIR | NONE, canvas_size=integer(1, 8192),
           max_digits=integer(1, 100))  # fmt: skip
def scattered_digits(
    key: jax.Array, num_examples: int, *, digits: Split | None = None, canvas_size: int = 32, max_digits: int = 3
) -> Split:
    """1 to `max_digits` digits on a dark square, anywhere, not overlapping.

    Args:
      digits: pictures to place, inputs float [K, height, width] in [0, 1] and labels [K]; by default scikit-learn's
        1 797 digits of 8x8 pixels. Pass another part of them for a test split.
      canvas_size: side in pixels.

    Returns:
      inputs float [N, canvas_size, canvas_size] in [0, 1]; targets float [N, max_digits, 6]: whether there is such a
      digit, its label, and the box top, left, bottom, right in pixels, the last two exclusive. Rows of digits that are
      not there are 0.

    Raises:
      ArgumentError: a canvas too small for so many digits; more pixels than fit in memory.
      DataError: digits that are no pictures with labels.

    Example:
      >>> canvases, rows = dl.data.scattered_digits(jax.random.key(0), 2, max_digits=3)
      >>> canvases.shape, rows.shape
      ((2, 32, 32), (2, 3, 6))
    """
    pictures, labels = _pictures(digit_pictures() if digits is None else digits)
    _, height, width = pictures.shape
    side = canvas_size // max(height, width)  # the canvas is a board of side x side cells, a digit somewhere in a cell
    if side * side < max_digits:
        raise ArgumentError(
            f"a canvas of {canvas_size} pixels has room for {side * side} digits of {height} x {width}; expects 1 "
            f"to that many, max_digits is {max_digits}. Enlarge the canvas."
        )
    check_size("scattered_digits", num_examples, canvas_size, canvas_size)
    place = functools.partial(_scattered, pictures, labels, canvas_size, max_digits, side)
    return Split(*jax.vmap(place)(jax.random.split(key, num_examples)))


@arguments()
@functools.cache
def digit_pictures() -> Split:
    """scikit-learn's digits: float32 [1797, 8, 8] in [0, 1], labels int32 [1797].

    >>> dl.data.digit_pictures().inputs.shape
    (1797, 8, 8)
    """
    pixels, labels = digits_table()
    return Split((pixels.reshape(-1, 8, 8) / 16).astype(np.float32), labels.astype(np.int32))


def _pictures(digits: Split) -> tuple[jax.Array, jax.Array]:
    """Pictures and labels, or a `DataError`."""
    pictures, labels = digits.inputs, digits.targets
    arrays = all(isinstance(part, np.ndarray | jax.Array) for part in (pictures, labels))
    if not arrays or pictures.ndim != 3 or not pictures.size or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"scattered_digits: digits is {described((pictures, labels))}; expects float pictures [K, height, width] "
            "and integer labels [K]."
        )
    if not jnp.issubdtype(pictures.dtype, jnp.floating):
        raise DataError(f"scattered_digits: pictures are {pictures.dtype}; expects floats in [0, 1]. Divide by 255.")
    if not isinstance(pictures, Tracer) and not (pictures.min() >= 0 and pictures.max() <= 1):
        raise DataError(
            f"scattered_digits: pictures go from {pictures.min():g} to {pictures.max():g}; expects [0, 1]. Divide by "
            "their maximum."
        )
    if not isinstance(labels, Tracer) and not (labels.min() >= 0 and labels.max() < 1 << 24):
        raise DataError(
            f"scattered_digits: labels go from {labels.min()} to {labels.max()}; expects classes from 0, which float32 "
            "can hold. Count them from 0."
        )
    if digits.weights is not None:
        raise DataError("scattered_digits: digits have weights; expects pictures and labels only. Leave them out.")
    return jnp.asarray(pictures), jnp.asarray(labels)


def _scattered(pictures, labels, canvas_size: int, max_digits: int, side: int, key: jax.Array):
    count_key, digit_key, cell_key, offset_key = jax.random.split(key, 4)
    height, width = pictures.shape[1:]
    cell = canvas_size // side
    present = jnp.arange(max_digits) < jax.random.randint(count_key, (), 1, max_digits + 1)
    chosen = jax.random.randint(digit_key, (max_digits,), 0, len(pictures))
    cells = jax.random.permutation(cell_key, side * side)[:max_digits]
    room = jnp.asarray([cell - height + 1, cell - width + 1])
    offsets = jax.random.randint(offset_key, (max_digits, 2), 0, room[None])
    corners = jnp.stack([cells // side, cells % side], axis=1) * cell + offsets

    canvas = jnp.zeros((canvas_size, canvas_size), pictures.dtype)
    for i in range(max_digits):
        # A digit that is not there writes zeros where nothing else is.
        canvas = lax.dynamic_update_slice(canvas, pictures[chosen[i]] * present[i], tuple(corners[i]))
    boxes = jnp.concatenate([corners, corners + jnp.asarray([[height, width]])], axis=1)
    rows = jnp.concatenate([jnp.ones((max_digits, 1), jnp.int32), labels[chosen][:, None], boxes], axis=1)
    # Half precision would round labels and corners.
    return canvas, (rows * present[:, None]).astype(jnp.promote_types(pictures.dtype, jnp.float32))
