"""Convolution of channels-last arrays, in the form that is fast where it runs.

XLA's own convolution is many times slower on a CPU inside a loop or under `vmap`, which is where every study runs.
There, a convolution is slices of the padded input side by side and one matrix product. On GPUs and TPUs, XLA's own.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from dlcore.core.arguments import array, integer
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.nn.inputs import as_pixels
from dlcore.nn.window_products import Windows, convolved, fits
from dlcore.nn.windows import Padding, as_floats, checked_name, each, explicit, extents, padded, pads_of, slices

Form = Literal["library", "slices", "native"]
GROUPS = integer()
KERNEL = array(ndim=range(3, 33), text="numbers [*window, inputs / groups, outputs]")


def default_form() -> Form:
    """XLA's library of fast kernels on a CPU, or slices for what it does not have; XLA's own elsewhere."""
    return "library" if jax.default_backend() == "cpu" else "native"


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
      num_groups: the channels are cut into so many groups; outputs of a group see inputs of that group only.
      form: by default that of the platform; see `default_form`.

    Raises:
      ArgumentError: a padding that is none; a kernel larger than the padded input.
      DataError: a kernel that does not fit the inputs.
    """
    x, kernel = _checked("convolve", x, kernel, num_groups)
    rank = x.ndim - 2
    strides, dilation = each(strides, rank, "strides"), each(kernel_dilation, rank, "kernel_dilation")
    window = kernel.shape[:-2]
    pads = pads_of(x.shape[1:-1], extents(window, dilation), strides, padding)
    form = form or default_form()
    if form == "native":
        return _native(x, kernel, pads, num_groups, window_strides=strides, rhs_dilation=dilation)
    if form == "library" and num_groups == 1 and _suits_library(kernel.shape) and not _varies(x, kernel):
        return convolved(x, kernel, Windows(x.shape[1:3], window, strides, tuple(pads), dilation))
    taps = slices(padded(_mapped_like(x, kernel), pads, 0), window, strides, dilation)
    num_outputs = kernel.shape[-1]
    if num_groups == 1:
        output = _rows(jnp.concatenate(taps, axis=-1)) @ kernel.reshape(-1, num_outputs)
    else:
        grouped = jnp.stack([_rows(tap).reshape(-1, num_groups, kernel.shape[-2]) for tap in taps], axis=2)
        weights = kernel.reshape(len(taps), kernel.shape[-2], num_groups, -1)
        output = jnp.einsum("ngti,tigo->ngo", grouped, weights)
    return output.reshape(*taps[0].shape[:-1], num_outputs)


def _suits_library(kernel_shape: Sequence[int]) -> bool:
    """Two dimensions. Slices are faster of single pixels, and of two or three channels, a few colors."""
    *window, num_inputs, num_outputs = kernel_shape
    return len(window) == 2 and max(window) > 1 and num_inputs not in (2, 3) and fits(num_inputs, num_outputs)


def _varies(*arrays: jax.Array) -> bool:
    """Whether arrays differ by device in a `shard_map` that checks it, of which only JAX's own operations know."""
    types = [getattr(jax.typeof(array), "manual_axis_type", None) for array in arrays]
    return any(getattr(each, "varying", ()) for each in types)


def convolve_transposed(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    *,
    kernel_dilation: int | Sequence[int] = 1,
    num_groups: int = 1,
    form: Form | None = None,
) -> jax.Array:
    """Transposed convolution, `lax.conv_transpose`: each input pixel paints its multiple of the kernel.

    Args:
      x: [B, *sizes, inputs]. kernel: [*window, inputs / num_groups, outputs].
      padding: "SAME" (sizes * strides), "VALID" (all that is painted), or zeros around the dilated input: PyTorch's
        padding p is kernel_dilation * (window - 1) - p here, plus its output_padding after.
      kernel_dilation, num_groups, form: as in `convolve`, which raises the same.
    """
    x, kernel = _checked("convolve_transposed", x, kernel, num_groups)
    rank, window = x.ndim - 2, kernel.shape[:-2]
    strides, dilation = each(strides, rank, "strides"), each(kernel_dilation, rank, "kernel_dilation")
    extent = extents(window, dilation)
    pads = _transposed_pads(extent, strides, padding)
    spread = [(size - 1) * stride + 1 for size, stride in zip(x.shape[1:-1], strides, strict=True)]
    pads_of(spread, extent, (1,) * rank, pads)  # raises where nothing would be left
    if (form or default_form()) == "native":
        return _native(
            x, kernel, pads, num_groups, window_strides=(1,) * rank, lhs_dilation=strides, rhs_dilation=dilation
        )
    zero = jnp.zeros((), x.dtype)

    def placed(tap, offsets):
        config = [
            (low - offset * step, high - (reach - 1 - offset * step), stride - 1)
            for (low, high), reach, stride, offset, step in zip(pads, extent, strides, offsets, dilation, strict=True)
        ]
        return lax.pad(tap, zero, [(0, 0, 0), *config, (0, 0, 0)])

    offsets = itertools.product(*map(range, window))
    return functools.reduce(jnp.add, map(placed, _painted(x, kernel, num_groups), offsets))


def _painted(x: jax.Array, kernel: jax.Array, num_groups: int) -> list[jax.Array]:
    """What each place of the kernel, as lax has it (flipped: the first paints furthest away), makes of each pixel."""
    num_taps, num_outputs = math.prod(kernel.shape[:-2]), kernel.shape[-1]
    if num_groups == 1:
        columns = jnp.moveaxis(kernel, -2, 0).reshape(x.shape[-1], -1)
        painted = _rows(x) @ columns
    else:
        grouped = _rows(x).reshape(-1, num_groups, kernel.shape[-2])
        weights = kernel.reshape(num_taps, kernel.shape[-2], num_groups, -1)
        painted = jnp.einsum("ngi,tigo->ntgo", grouped, weights)
    return jnp.split(painted.reshape(*x.shape[:-1], num_taps * num_outputs), num_taps, axis=-1)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """[..., C] + [C].

    On a CPU as a product with a column of ones: the gradient of a broadcast is a sum, for which XLA's code there is
    slower than a matrix product with ones.
    """
    if default_form() == "native":
        return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)
    rows = _rows(x)
    return (rows + _mapped_like(jnp.ones((rows.shape[0], 1), x.dtype), bias) @ bias[None]).reshape(x.shape)


# What Flax's layers take and these would leave out without a word.
LEFT_OUT = ("input_dilation", "mask", "precision", "conv_general_dilated", "preferred_element_type", "transpose_kernel")


class Convolution(nnx.Conv):
    """`nnx.Conv` whose form fits the platform; the same parameters and arguments but for `LEFT_OUT`, zero padding only.

    Raises:
      ArgumentError: an argument that is left out; a number of groups that does not divide inputs and outputs.
    """

    def __init__(self, in_features: int, out_features: int, *args: Any, **options: Any):
        check_groups("Convolution", options.get("feature_group_count", 1), in_features, out_features)
        super().__init__(in_features, out_features, *args, **_supported("Convolution", options))

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
    """`nnx.ConvTranspose` whose form fits the platform, in groups if wanted; arguments as in `Convolution`.

    Its kernel is [*window, in_features / feature_group_count, out_features].
    """

    def __init__(self, in_features: int, out_features: int, *args: Any, feature_group_count: int = 1, **options: Any):
        check_groups("TransposedConvolution", feature_group_count, in_features, out_features)
        options = _supported("TransposedConvolution", options)
        super().__init__(in_features // feature_group_count, out_features, *args, **options)
        self.in_features, self.feature_group_count = in_features, feature_group_count

    def __call__(self, inputs):
        """[B, *sizes, in_features] -> [B, *(sizes * strides), out_features] with "SAME" padding."""
        inputs, kernel, bias = _promoted(self, inputs)
        y = convolve_transposed(
            inputs,
            kernel,
            self.strides or 1,
            self.padding,
            kernel_dilation=self.kernel_dilation or 1,
            num_groups=self.feature_group_count,
        )
        return y if bias is None else add_bias(y, bias)


def check_groups(name: str, num_groups: Any, num_inputs: int, num_outputs: int) -> None:
    """Raise `ArgumentError` unless the number of groups divides the channels that come in and those that go out."""
    if GROUPS.refuses(num_groups) or num_inputs % num_groups or num_outputs % num_groups:
        raise ArgumentError(
            f"{name}: the number of groups is {num_groups}, of channels {num_inputs} in and {num_outputs} out; expects "
            f"a divisor of both, e.g. {math.gcd(num_inputs, num_outputs)}."
        )


def _supported(name: str, options: dict[str, Any]) -> dict[str, Any]:
    left_out = sorted(set(options) & set(LEFT_OUT))
    if left_out:
        raise ArgumentError(
            f"{name}: {', '.join(left_out)} is given, which this layer does not compute with; expects none of "
            f"{', '.join(LEFT_OUT)}. Use Flax's own layer by dl.from_nnx."
        )
    return options


def _checked(name: str, x: Any, kernel: Any, num_groups: int) -> tuple[jax.Array, jax.Array]:
    """Both as floats of one type; `DataError` unless they fit."""
    x, kernel = as_floats(as_pixels(name, x)), as_floats(jnp.asarray(KERNEL.check(f"{name}: kernel", kernel)))
    fits = kernel.ndim == x.ndim and not GROUPS.refuses(num_groups) and kernel.size
    if not fits or kernel.shape[-2] * num_groups != x.shape[-1] or kernel.shape[-1] % num_groups:
        raise DataError(
            f"{name}: inputs are {described(x)}, the kernel {described(kernel)}, groups {num_groups}; expects inputs "
            "[B, *sizes, inputs] and a kernel [*window, inputs / groups, outputs], outputs a multiple of the groups."
        )
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return x.astype(dtype), kernel.astype(dtype)


def _native(x: jax.Array, kernel: jax.Array, pads: Any, num_groups: int, **options: Any) -> jax.Array:
    dimensions = _channels_last(x.ndim - 2)
    return lax.conv_general_dilated(
        x, kernel, padding=pads, feature_group_count=num_groups, dimension_numbers=dimensions, **options
    )


def _promoted(layer: Any, inputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    rank = len(layer.kernel_size)
    if inputs.ndim != rank + 2 or inputs.shape[-1] != layer.in_features:
        raise ArgumentError(f"expects rank {rank + 2}: batch, {rank} spatial dimensions, features.")
    bias = None if layer.bias is None else layer.bias[...]
    return layer.promote_dtype((inputs, layer.kernel[...], bias), dtype=layer.dtype)


def _transposed_pads(extent: Sequence[int], strides: Sequence[int], padding: Padding) -> list[tuple[int, int]]:
    """Zeros around the dilated input, as `lax.conv_transpose` counts them."""
    if not isinstance(padding, str):
        return explicit(padding, len(extent))
    pads = []
    for size, stride in zip(extent, strides, strict=True):
        if checked_name(padding) == "SAME":
            total = size + stride - 2
            low = size - 1 if stride > size - 1 else math.ceil(total / 2)
        else:
            total, low = size + stride - 2 + max(size - stride, 0), size - 1
        pads.append((low, total - low))
    return pads


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


def _channels_last(rank: int) -> lax.ConvDimensionNumbers:
    ends, middle = (0, rank + 1), tuple(range(1, rank + 1))
    image = (ends[0], ends[1], *middle)
    return lax.ConvDimensionNumbers(image, (rank + 1, rank, *range(rank)), image)
