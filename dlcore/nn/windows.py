"""Windows that move over channels-last arrays: their sizes, the padding around an array, and what each place meets."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dlcore.core.arguments import integer
from dlcore.core.errors import ArgumentError, shown

Padding = str | int | Sequence[int | tuple[int, int]]

POSITIVE = integer()
PAD = integer(-(2**30), 2**30)


def as_floats(x: jax.Array) -> jax.Array:
    """Floats as they are, other numbers in JAX's default: sums of small integers would wrap around."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def each(value: Any, rank: int, what: str) -> tuple[int, ...]:
    """The value for each of the spatial dimensions."""
    values = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (value,) * rank
    if len(values) != rank or any(map(POSITIVE.refuses, values)):
        raise ArgumentError(f"{what} is {shown(value)}; expects {rank} positive integers, or one.")
    return tuple(map(int, values))


def extents(window: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Pixels from the first to the last that a window meets, in each dimension."""
    return [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]


def pads_of(
    sizes: Sequence[int], extent: Sequence[int], strides: Sequence[int], padding: Padding
) -> list[tuple[int, int]]:
    """Zeros before and after in each dimension, for windows that reach over `extent` pixels."""
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(sizes, extent, strides, checked_name(padding))
    else:
        pads = explicit(padding, len(sizes))
    if any(size + low + high < reach for size, (low, high), reach in zip(sizes, pads, extent, strict=True)):
        raise ArgumentError(
            f"the window reaches over {list(extent)} pixels, the padded input is "
            f"{[size + low + high for size, (low, high) in zip(sizes, pads, strict=True)]}; expects at most as many. "
            'Use a smaller window, fewer layers that shrink the image, or padding="SAME".'
        )
    return pads


def checked_name(padding: str) -> str:
    """The name of a padding; `ArgumentError` if it is none."""
    if padding not in ("SAME", "VALID"):
        raise ArgumentError(f'padding is {padding!r}; expects "SAME", "VALID" or zeros before and after.')
    return padding


def explicit(padding: Any, rank: int) -> list[tuple[int, int]]:
    """Zeros before and after, of one number or one entry (a number or a pair) for each dimension."""
    entries = list(padding) if isinstance(padding, list | tuple | np.ndarray) else [padding] * rank
    if len(entries) != rank:
        raise ArgumentError(f"padding is {shown(padding)}; expects one entry for each of {rank} spatial dimensions.")
    pairs = [tuple(entry) if isinstance(entry, list | tuple | np.ndarray) else (entry, entry) for entry in entries]
    if any(len(pair) != 2 or any(map(PAD.refuses, pair)) for pair in pairs):
        raise ArgumentError(
            f"padding is {shown(padding)}; expects an integer or a pair of them for each spatial dimension, e.g. 1 or "
            f"{[(1, 0)] * rank}."
        )
    return [(int(low), int(high)) for low, high in pairs]


def padded(x: jax.Array, pads: Sequence[tuple[int, int]], value: Any) -> jax.Array:
    """`x` [B, *sizes, C] with `value` around it."""
    if not any(itertools.chain(*pads)):
        return x
    return lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])


def slices(x: Any, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> list[Any]:
    """For each place of the window, the pixels that it meets there, [B, *sizes / strides, C]."""
    reaches = extents(window, dilation)
    counts = [(size - reach) // stride + 1 for size, reach, stride in zip(x.shape[1:-1], reaches, strides, strict=True)]

    def slice_at(place):
        axes = zip(place, dilation, counts, strides, strict=True)
        return tuple(slice(i * step, i * step + (count - 1) * stride + 1, stride) for i, step, count, stride in axes)

    return [x[(slice(None), *slice_at(place))] for place in itertools.product(*map(range, window))]
