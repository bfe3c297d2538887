"""Convolution and pooling of channels-last arrays, in the form that is fast where they run.

XLA's own convolution is many times slower on a CPU inside a loop or under `vmap`, which is where every study runs.
There, a convolution is slices of the padded input side by side and one matrix product. On GPUs and TPUs, XLA's own.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from dlcore.core.errors import ArgumentError, shown

Padding = str | int | Sequence[int | tuple[int, int]]
Form = Literal["slices", "native"]


def default_form() -> Form:
    """Slices on a CPU, XLA's own elsewhere."""
    return "slices" if jax.default_backend() == "cpu" else "native"


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    *,
    kernel_dilation: int | Sequence[int] = 1,
    num_groups: int = 1,
    form: Form | None = None,
) -> jax.Array:
    """Convolution, as networks have it: the kernel is not flipped.

    Args:
      x: [B, *sizes, inputs], in any number of spatial dimensions.
      kernel: [*window, inputs / num_groups, outputs].
      strides, kernel_dilation: one number, or one for each spatial dimension.
      padding: "SAME" (sizes / strides, rounded up), "VALID" (none), or zeros before and after in each dimension.
      form: by default that of the platform; see `default_form`.

    Raises:
      ArgumentError: a padding that is none; a kernel larger than the padded input.
    """
    rank = x.ndim - 2
    strides, dilation = _each(strides, rank), _each(kernel_dilation, rank)
    pads = _pads(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)
    if (form or default_form()) == "native":
        return lax.conv_general_dilated(
            x,
            kernel,
            strides,
            pads,
            rhs_dilation=dilation,
            dimension_numbers=_channels_last(rank),
            feature_group_count=num_groups,
        )
    taps = _slices(_padded(_mapped_like(x, kernel), pads, 0), kernel.shape[:-2], strides, dilation)
    num_outputs = kernel.shape[-1]
    if num_groups == 1:
        output = _rows(jnp.concatenate(taps, axis=-1)) @ kernel.reshape(-1, num_outputs)
    else:
        grouped = jnp.stack([_rows(tap).reshape(-1, num_groups, kernel.shape[-2]) for tap in taps], axis=2)
        weights = kernel.reshape(len(taps), kernel.shape[-2], num_groups, -1)
        output = jnp.einsum("ngti,tigo->ngo", grouped, weights)
    return output.reshape(*taps[0].shape[:-1], num_outputs)


def convolve_transposed(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    *,
    form: Form | None = None,
) -> jax.Array:
    """Transposed convolution, `lax.conv_transpose`: each input pixel paints its multiple of the kernel.

    Args:
      x: [B, *sizes, inputs]. kernel: [*window, inputs, outputs].
      padding: "SAME" (sizes * strides), "VALID" (all that is painted), or zeros around the dilated input.
    """
    rank, window = x.ndim - 2, kernel.shape[:-2]
    strides = _each(strides, rank)
    pads = _transposed_pads(window, strides, padding)
    if (form or default_form()) == "native":
        return lax.conv_transpose(x, kernel, strides, pads, dimension_numbers=_channels_last(rank))
    # The kernel as lax has it is flipped: tap 0 paints furthest away.
    columns = jnp.moveaxis(kernel, -2, 0).reshape(x.shape[-1], -1)
    painted = (_rows(x) @ columns).reshape(*x.shape[:-1], -1)
    zero = jnp.zeros((), x.dtype)

    def placed(tap, offsets):
        config = [
            (low - offset, high - (size - 1 - offset), stride - 1)
            for (low, high), size, stride, offset in zip(pads, window, strides, offsets, strict=True)
        ]
        return lax.pad(tap, zero, [(0, 0, 0), *config, (0, 0, 0)])

    offsets = itertools.product(*map(range, window))
    return functools.reduce(jnp.add, map(placed, jnp.split(painted, math.prod(window), axis=-1), offsets))


def max_pool(
    x: jax.Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> jax.Array:
    """Largest value of each window, of each channel: [B, *sizes, C] -> [B, *sizes / strides, C].

    Where several are largest, they share the gradient.

    Args:
      strides: the window's size by default.
    """
    # One dimension after the other, by slices. The gradient of `lax.reduce_window`, which Flax uses, is slow, and on
    # GPUs not deterministic. A reshape and a max over the windows are 6 % faster, but jaxlib 0.10.2 compiles their
    # gradient after a batch norm wrongly on a CPU, unless `dlcore.setup` has set its flag.
    window, strides, pads = _pooling(x, window, strides, padding)
    x = _padded(x, pads, -jnp.inf)
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True)):
        along = [1] * len(window), [1] * len(window)
        along[0][axis], along[1][axis] = size, stride
        x = functools.reduce(jnp.maximum, _slices(x, *along))
    return x


def average_pool(
    x: jax.Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> jax.Array:
    """Mean of each window, of each channel; padding does not count. Arguments as for `max_pool`."""
    window, strides, pads = _pooling(x, window, strides, padding)
    inside = np.pad(np.ones(x.shape[1:-1], np.float32), pads)[None, ..., None]
    total = functools.reduce(jnp.add, _slices(_padded(x, pads, 0), window, strides))
    count = functools.reduce(np.add, _slices(inside, window, strides))
    return total / jnp.broadcast_to(jnp.asarray(count, x.dtype), total.shape)


POOLS: dict[str, Callable[..., jax.Array]] = {"max": max_pool, "average": average_pool}


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """[..., C] + [C].

    On a CPU as a product with a column of ones: the gradient of a broadcast is a sum, for which XLA's code there is
    slower than a matrix product with ones.
    """
    if default_form() == "native":
        return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)
    rows = _rows(x)
    return (rows + _mapped_like(jnp.ones((rows.shape[0], 1), x.dtype), bias) @ bias[None]).reshape(x.shape)


class Convolution(nnx.Conv):
    """`nnx.Conv` whose form fits the platform; the same arguments and parameters, zero padding only."""

    def __call__(self, inputs):
        """[B, *sizes, in_features] -> [B, *sizes, out_features]."""
        inputs, kernel, bias = _promoted(self, inputs)
        y = convolve(
            inputs,
            kernel,
            self.strides or 1,
            self.padding,
            kernel_dilation=self.kernel_dilation or 1,
            num_groups=self.feature_group_count,
        )
        return y if bias is None else add_bias(y, bias)


class TransposedConvolution(nnx.ConvTranspose):
    """`nnx.ConvTranspose` whose form fits the platform; the same arguments and parameters, no dilation."""

    def __call__(self, inputs):
        """[B, *sizes, in_features] -> [B, *(sizes * strides), out_features] with "SAME" padding."""
        inputs, kernel, bias = _promoted(self, inputs)
        y = convolve_transposed(inputs, kernel, self.strides or 1, self.padding)
        return y if bias is None else add_bias(y, bias)


def _promoted(layer: Any, inputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    rank = len(layer.kernel_size)
    if inputs.ndim != rank + 2 or inputs.shape[-1] != layer.in_features:
        raise ArgumentError(f"expects rank {rank + 2}: batch, {rank} spatial dimensions, features.")
    bias = None if layer.bias is None else layer.bias[...]
    return layer.promote_dtype((inputs, layer.kernel[...], bias), dtype=layer.dtype)


def _each(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """The value for each of the spatial dimensions."""
    values = (value,) * rank if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != rank or any(v < 1 for v in values):
        raise ArgumentError(f"window, strides or dilation is {shown(value)}; expects {rank} positive integers, or one.")
    return values


def _pads(sizes, window, strides, padding: Padding, dilation) -> list[tuple[int, int]]:
    """Zeros before and after in each dimension."""
    extent = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise ArgumentError(f'padding is {padding!r}; expects "SAME", "VALID" or zeros before and after.')
        pads = lax.padtype_to_pads(sizes, extent, strides, padding)
    else:
        pads = _explicit(padding, len(sizes))
    if any(size + low + high < reach for size, (low, high), reach in zip(sizes, pads, extent, strict=True)):
        raise ArgumentError(
            f"the window reaches over {list(extent)} pixels, the padded input is "
            f"{[size + low + high for size, (low, high) in zip(sizes, pads, strict=True)]}; expects at most as many. "
            'Use a smaller window, fewer layers that shrink the image, or padding="SAME".'
        )
    return pads


def _explicit(padding: int | Sequence[int | tuple[int, int]], rank: int) -> list[tuple[int, int]]:
    each = [padding] * rank if isinstance(padding, int) else list(padding)
    if len(each) != rank:
        raise ArgumentError(f"padding is {shown(padding)}; expects one entry for each of {rank} spatial dimensions.")
    return [(pad, pad) if isinstance(pad, int) else (int(pad[0]), int(pad[1])) for pad in each]


def _transposed_pads(window, strides, padding: Padding) -> list[tuple[int, int]]:
    """Zeros around the dilated input, as `lax.conv_transpose` counts them."""
    if not isinstance(padding, str):
        return _explicit(padding, len(window))
    if padding not in ("SAME", "VALID"):
        raise ArgumentError(f'padding is {padding!r}; expects "SAME", "VALID" or zeros before and after.')
    pads = []
    for size, stride in zip(window, strides, strict=True):
        if padding == "SAME":
            total = size + stride - 2
            low = size - 1 if stride > size - 1 else math.ceil(total / 2)
        else:
            total, low = size + stride - 2 + max(size - stride, 0), size - 1
        pads.append((low, total - low))
    return pads


def _pooling(x: jax.Array, window, strides, padding: Padding):
    rank = x.ndim - 2
    window = _each(window, rank)
    strides = window if strides is None else _each(strides, rank)
    return window, strides, _pads(x.shape[1:-1], window, strides, padding, (1,) * rank)


def _rows(x: jax.Array) -> jax.Array:
    """[..., C] as [N, C].

    The gradient of a product [..., C] @ [C, D] contracts several dimensions, for which XLA transposes a whole array of
    pixels in memory.
    """
    return x.reshape(-1, x.shape[-1])


def _mapped_like(x: jax.Array, params: jax.Array) -> jax.Array:
    """`x`, with an axis of its own for each network where `vmap` maps over params but not over x.

    Adds 0. Images that all networks share would otherwise make the kernel's gradient one product for all of them, for
    which XLA transposes the pixels of all networks.
    """
    return x + (params.ravel()[0] > jnp.inf).astype(x.dtype)


def _padded(x: jax.Array, pads: Sequence[tuple[int, int]], value: float) -> jax.Array:
    if not any(itertools.chain(*pads)):
        return x
    return lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])


def _slices(x, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int] | None = None) -> list[Any]:
    """For each place of the window, the pixels that it meets there, [B, *sizes / strides, C]."""
    dilation = dilation or (1,) * len(window)
    counts = [
        (size - (reach - 1) * step - 1) // stride + 1
        for size, reach, step, stride in zip(x.shape[1:-1], window, dilation, strides, strict=True)
    ]

    def slice_at(place):
        axes = zip(place, dilation, counts, strides, strict=True)
        return tuple(slice(i * step, i * step + (count - 1) * stride + 1, stride) for i, step, count, stride in axes)

    return [x[(slice(None), *slice_at(place))] for place in itertools.product(*map(range, window))]


def _channels_last(rank: int) -> lax.ConvDimensionNumbers:
    ends, middle = (0, rank + 1), tuple(range(1, rank + 1))
    image = (ends[0], ends[1], *middle)
    return lax.ConvDimensionNumbers(image, (rank + 1, rank, *range(rank)), image)
