"""A convolution in two dimensions and its two gradients, as operations of their own, for CPUs.

XLA hands a convolution to its library of fast kernels where its arrays are laid out in one way, [B, H, W, C] and
[h, w, I, O], and not where JAX's gradients of it lay them out. So the three are primitives here. Each is linear in both
of its arguments, and the gradients of each are among the other two, so that all derivatives are, forward and reverse.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from dlcore.nn.windows import extents, padded, slices

Pads = tuple[tuple[int, int], ...]


class Windows(NamedTuple):
    """How a window moves over images: all but the sizes of arrays. sizes: height and width of the images."""

    sizes: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Places of the window in each dimension."""
        reaches = extents(self.window, self.dilation)
        each = zip(self.sizes, self.pads, reaches, self.strides, strict=True)
        return tuple((size + low + high - reach) // stride + 1 for size, (low, high), reach, stride in each)


def fits(num_inputs: int, num_outputs: int) -> bool:
    """Whether the library has kernels for so many channels: it takes none where both are 16 or fewer."""
    return max(num_inputs, num_outputs) > 16


def convolved(x: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    """[B, *sizes, I] and [*window, I, O] to [B, *counts, O]."""
    return _CONVOLVED.bind(x, kernel, windows=windows)


def columns(x: jax.Array, windows: Windows) -> jax.Array:
    """What each place of the window meets, side by side: [B, *sizes, I] -> [B, *counts, window * I]."""
    taps = slices(padded(x, windows.pads, 0), windows.window, windows.strides, windows.dilation)
    return jnp.concatenate(taps, axis=-1)


def by_slices(x: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    """`convolved`, as one product of matrices: that of the columns with the kernel."""
    beside = columns(x, windows)
    output = beside.reshape(-1, beside.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1])
    return output.reshape(*beside.shape[:-1], kernel.shape[-1])


def _convolved(x: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    return _library(x, kernel, windows.pads, windows.strides, windows.dilation)


def _to_inputs(outputs: jax.Array, kernel: jax.Array, windows: Windows) -> jax.Array:
    """[B, *counts, O] and [*window, I, O] to [B, *sizes, I]: what each output got from each pixel, given back."""
    if max(windows.strides) > 1:  # the library leaves no gaps between outputs
        shape = (outputs.shape[0], *windows.sizes, kernel.shape[-2])
        return _transposed(lambda x: by_slices(x, kernel, windows), shape, outputs)
    reaches = extents(windows.window, windows.dilation)
    pads = tuple((reach - 1 - low, reach - 1 - high) for reach, (low, high) in zip(reaches, windows.pads, strict=True))
    return _library(outputs, jnp.flip(kernel, (0, 1)).swapaxes(-2, -1), pads, (1, 1), windows.dilation)


def _to_kernel(x: jax.Array, outputs: jax.Array, windows: Windows) -> jax.Array:
    """[B, *sizes, I] and [B, *counts, O] to [*window, I, O]: each place's pixels times the outputs, summed."""
    if not fits(x.shape[0], outputs.shape[-1]):
        shape = (*windows.window, x.shape[-1], outputs.shape[-1])
        return _transposed(lambda kernel: by_slices(x, kernel, windows), shape, outputs)
    reaches = [
        (size - 1) * step + (count - 1) * stride + 1
        for size, step, count, stride in zip(
            windows.window, windows.dilation, windows.counts, windows.strides, strict=True
        )
    ]
    pads = tuple(
        (low, reach - size - low) for reach, size, (low, _) in zip(reaches, windows.sizes, windows.pads, strict=True)
    )
    # The examples are summed over, so they take the place of the channels, and each channel is an image.
    product = _library(x.transpose(3, 1, 2, 0), outputs.transpose(1, 2, 0, 3), pads, windows.dilation, windows.strides)
    return product.transpose(1, 2, 0, 3)


def _transposed(function: Callable[[jax.Array], jax.Array], shape: tuple[int, ...], cotangent: jax.Array) -> jax.Array:
    return jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, cotangent.dtype))(cotangent)[0]


def _library(x: jax.Array, kernel: jax.Array, pads: Pads, strides: Sequence[int], dilation: Sequence[int]) -> jax.Array:
    """A convolution that the library takes: it wants no more outputs than inputs, and no larger kernel."""
    sizes, window = x.shape[1:3], kernel.shape[:2]
    counts = Windows(sizes, window, tuple(strides), pads, tuple(dilation)).counts
    if any(max(count, reach) > size for count, reach, size in zip(counts, window, sizes, strict=True)):
        x, pads = padded(x, pads, 0), ((0, 0), (0, 0))
    dimensions = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    return lax.conv_general_dilated(x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=dimensions)


def _primitive(name: str, function: Callable[..., jax.Array], shape_of: Callable[..., tuple[Any, ...]]) -> Primitive:
    """A primitive of two arrays and `windows`, with all but its gradients."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(function, static_argnames="windows"))

    def abstract(left: Any, right: Any, *, windows: Windows) -> ShapedArray:
        return ShapedArray(shape_of(left.shape, right.shape, windows), left.dtype)

    primitive.def_abstract_eval(abstract)
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    batching.primitive_batchers[primitive] = functools.partial(_mapped, primitive)
    return primitive


def _mapped(
    primitive: Primitive, arguments: Sequence[jax.Array], axes: Sequence[int | None], *, windows: Windows
) -> tuple[jax.Array, int]:
    """Several networks, one after the other: a product of several runs less well than as many single ones."""
    left, right = (
        value if axis is None else jnp.moveaxis(value, axis, 0) for value, axis in zip(arguments, axes, strict=True)
    )
    if axes[1] is None and primitive is not _TO_KERNEL:  # networks that share the kernel are but more examples
        flat = primitive.bind(left.reshape(-1, *left.shape[2:]), right, windows=windows)
        return flat.reshape(*left.shape[:2], *flat.shape[1:]), 0

    def one(lanes: tuple[jax.Array, ...]) -> jax.Array:
        remaining = iter(lanes)
        pair = [value if axis is None else next(remaining) for value, axis in zip((left, right), axes, strict=True)]
        return primitive.bind(*pair, windows=windows)

    return lax.map(one, tuple(value for value, axis in zip((left, right), axes, strict=True) if axis is not None)), 0


_CONVOLVED = _primitive("convolved", _convolved, lambda x, kernel, w: (x[0], *w.counts, kernel[-1]))
_TO_INPUTS = _primitive("convolved_to_inputs", _to_inputs, lambda y, kernel, w: (y[0], *w.sizes, kernel[-2]))
_TO_KERNEL = _primitive("convolved_to_kernel", _to_kernel, lambda x, y, w: (*w.window, x[-1], y[-1]))

ad.defbilinear(
    _CONVOLVED,
    lambda given, x, kernel, **of: _TO_INPUTS.bind(given, kernel, **of),
    lambda given, x, kernel, **of: _TO_KERNEL.bind(x, given, **of),
)
ad.defbilinear(
    _TO_INPUTS,
    lambda given, outputs, kernel, **of: _CONVOLVED.bind(given, kernel, **of),
    lambda given, outputs, kernel, **of: _TO_KERNEL.bind(given, outputs, **of),
)
ad.defbilinear(
    _TO_KERNEL,
    lambda given, x, outputs, **of: _TO_INPUTS.bind(outputs, given, **of),
    lambda given, x, outputs, **of: _CONVOLVED.bind(x, given, **of),
)
