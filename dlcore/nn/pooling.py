"""Pooling of channels-last arrays: the largest or the mean of each window."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.errors import ArgumentError
from dlcore.nn.inputs import as_pixels
from dlcore.nn.windows import Padding, each, extents, padded, pads_of, slices


def max_pool(
    x: jax.Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Largest value of each window, of each channel: [B, *sizes, C] -> [B, *sizes / strides, C].

    Where several are largest, they share the gradient.

    Args:
      strides: the window's size by default.
      padding: "SAME", "VALID", or how many pixels before and after in each dimension, which are never the largest.
      dilation: pixels from one place of the window to the next; one number, or one for each dimension.

    Raises:
      ArgumentError: a window larger than the padded input, or one that meets nothing but padding.
      DataError: inputs of another shape.
    """
    # One dimension after the other, by slices. The gradient of `lax.reduce_window`, which Flax uses, is slow, and on
    # GPUs not deterministic. A reshape and a max over the windows are 6 % faster, but jaxlib 0.10.2 compiles their
    # gradient after a batch norm wrongly on a CPU, unless `dlcore.setup` has set its flag.
    x = as_pixels("max_pool", x)
    places, pads = _pooling(x, window, strides, padding, dilation)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    x = padded(x, pads, -jnp.inf if floating else False if x.dtype == bool else jnp.iinfo(x.dtype).min)
    for axis in range(len(pads)):
        along = [[each_way[axis] if other == axis else 1 for other in range(len(pads))] for each_way in places]
        x = functools.reduce(jnp.maximum, slices(x, *along))
    return x


def average_pool(
    x: jax.Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] = 1,
    counts_padding: bool = False,
) -> jax.Array:
    """Mean of each window, of each channel. Arguments as for `max_pool`; integers become floats.

    Args:
      counts_padding: padding counts as zeros, PyTorch's `count_include_pad`; by default the mean is of pixels only.
    """
    x = as_pixels("average_pool", x)
    dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.result_type(float)
    x = x.astype(jnp.promote_types(dtype, jnp.float32))  # which the sum of halves may need
    places, pads = _pooling(x, window, strides, padding, dilation)
    total = functools.reduce(jnp.add, slices(padded(x, pads, 0), *places))
    if counts_padding:
        return (total / jnp.asarray(math.prod(places[0]), x.dtype)).astype(dtype)
    inside = np.pad(np.ones(x.shape[1:-1], np.float32), [(max(low, 0), max(high, 0)) for low, high in pads])
    inside = inside[
        tuple(slice(max(-low, 0), size - max(-high, 0)) for (low, high), size in zip(pads, inside.shape, strict=True))
    ]
    count = functools.reduce(np.add, slices(inside[None, ..., None], *places))
    return (total / jnp.broadcast_to(jnp.asarray(count, x.dtype), total.shape)).astype(dtype)


POOLS: dict[str, Callable[..., jax.Array]] = {"max": max_pool, "average": average_pool}


Places = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _pooling(
    x: jax.Array, window: Any, strides: Any, padding: Padding, dilation: Any
) -> tuple[Places, list[tuple[int, int]]]:
    """((window, strides, dilation), padding), each for all dimensions."""
    rank = x.ndim - 2
    sizes, steps = each(window, rank, "window"), each(dilation, rank, "dilation")
    moves = sizes if strides is None else each(strides, rank, "strides")
    extent = extents(sizes, steps)
    pads = pads_of(x.shape[1:-1], extent, moves, padding)
    if not all(map(_meets_pixels, x.shape[1:-1], extent, steps, moves, pads)):
        raise ArgumentError(
            f"padding is {pads} around {list(x.shape[1:-1])} pixels; with windows over {extent} pixels one of them "
            "meets nothing but padding. Use less padding, at most half of the window."
        )
    return (sizes, moves, steps), pads


def _meets_pixels(size: int, extent: int, step: int, stride: int, pads: tuple[int, int]) -> bool:
    """Whether each window of one dimension has a place on a pixel."""
    starts = np.arange(-pads[0], size + pads[1] - extent + 1, stride)
    places = starts[:, None] + np.arange(0, extent, step)[None]
    return bool(((places >= 0) & (places < size)).any(axis=1).all())
