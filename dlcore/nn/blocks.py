"""What families of networks share: normalizations, pooling, blocks of a convolution or a dense layer."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
from flax import nnx

from dlcore.core.arguments import NONE, integer, one_of
from dlcore.core.errors import ArgumentError, shown
from dlcore.nn import activations
from dlcore.nn.activations import Activation
from dlcore.nn.convolution import Convolution
from dlcore.nn.dropout import Dropout
from dlcore.nn.initializers import Initializer
from dlcore.nn.normalization import Normalization, normalization_layer
from dlcore.nn.pooling import POOLS

POOL = one_of(*POOLS) | NONE
PADDING = one_of("SAME", "VALID")
WIDTH = integer(1, 2**24)
WINDOW = integer(1, 2**16)


@dataclasses.dataclass(frozen=True)
class Pooling:
    """The largest or the mean of windows of size x size pixels, every `strides`; nothing where `kind` is None.

    dilation: pixels from one place of a window to the next. counts_padding: padding counts in a mean, as zeros.
    """

    kind: str | None
    size: int = 2
    strides: int = 2
    padding: str = "VALID"
    dilation: int = 1
    counts_padding: bool = False

    @property
    def extent(self) -> int:
        """Pixels from the first to the last that a window meets, in each direction."""
        return (self.size - 1) * self.dilation + 1

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, height, width, C] -> [B, fewer, fewer, C]."""
        if self.kind is None:
            return x
        options = {"counts_padding": True} if self.counts_padding else {}
        return POOLS[self.kind](x, self.size, self.strides, self.padding, dilation=self.dilation, **options)


class ConvolutionalBlock(nnx.Module):
    """Convolution, normalization, activation, pooling: [B, height, width, num_inputs] -> [B, less, less, num_outputs].

    Args:
      normalization: a name of `NORMALIZATIONS`, a `Normalization` or None.
      activation: a `Maxout` has the convolution make as many more channels; None for none.
      num_groups: of the convolution.
      pooling: after all, or None.
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        *,
        rngs: nnx.Rngs,
        kernel_size: int = 3,
        strides: int = 1,
        padding: str = "SAME",
        normalization: str | Normalization | None = None,
        activation: str | Activation | None = None,
        pooling: Pooling | None = None,
        num_groups: int = 1,
        use_bias: bool = True,
        kernel_init: Initializer,
        bias_init: Initializer = nnx.initializers.zeros,
    ):
        width = num_outputs * (1 if activation is None else activations.num_pieces(activation))
        self.convolution = Convolution(
            num_inputs,
            width,
            (kernel_size, kernel_size),
            strides,
            padding=padding,
            feature_group_count=num_groups,
            use_bias=use_bias,
            kernel_init=kernel_init,
            bias_init=bias_init,
            rngs=rngs,
        )
        axes = (-3, -2, -1)
        self.normalization = normalization_layer(normalization, width, axes, rngs) if normalization else None
        self.activation = None if activation is None else activations.layer(activation)
        self.pooling = pooling

    def __call__(self, x):
        x = self.convolution(x)
        for step in (self.normalization, self.activation, self.pooling):
            x = x if step is None else step(x)
        return x


class DenseBlock(nnx.Module):
    """Dropout, a linear map, an activation: [B, num_inputs] -> [B, num_outputs].

    Args:
      activation: a `Maxout` has the map make as many more numbers; None for none.
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        *,
        rngs: nnx.Rngs,
        dropout: float | jax.Array = 0.0,
        activation: str | Activation | None = None,
        kernel_init: Initializer,
        bias_init: Initializer = nnx.initializers.zeros,
    ):
        self.dropout = Dropout(dropout, rngs=rngs) if drops(dropout) else None
        width = num_outputs * (1 if activation is None else activations.num_pieces(activation))
        self.linear = nnx.Linear(num_inputs, width, kernel_init=kernel_init, bias_init=bias_init, rngs=rngs)
        self.activation = None if activation is None else activations.layer(activation)

    def __call__(self, x):
        x = self.linear(x if self.dropout is None else self.dropout(x))
        return x if self.activation is None else self.activation(x)


def dense_head(widths: Sequence[int], activation: str | Activation, *, rngs: nnx.Rngs, **options) -> nnx.Sequential:
    """Dense blocks [B, widths[0]] -> [B, widths[-1]], the last without activation; options: of `DenseBlock`."""
    functions = [activation] * (len(widths) - 2) + [None]
    pairs = zip(pairwise(widths), functions, strict=True)
    return nnx.Sequential(*(DenseBlock(*pair, activation=function, rngs=rngs, **options) for pair, function in pairs))


def drops(dropout: float | jax.Array) -> bool:
    """Whether a share is dropped at all; a traced one may be."""
    return not isinstance(dropout, int | float) or dropout > 0


def check_single_piece(name: str, unit: str, *functions: str | Activation) -> None:
    """Raise `ArgumentError` if an activation makes fewer numbers than it gets. unit: that it should keep, plural."""
    if any(activations.num_pieces(function) > 1 for function in functions):
        raise ArgumentError(f"{name}: activation is maxout; expects one that keeps the number of {unit}.")


def shrunk(name: str, sizes: Sequence[int], window: int, stride: int, padding: str) -> tuple[int, ...]:
    """What a window that moves by `stride` makes of an image's height and width; `ArgumentError` if it has no room."""
    if window > min(sizes):
        raise ArgumentError(
            f"{name} is {window}, what is left of the image is {sizes[0]} x {sizes[1]}; expects at most "
            f"{min(sizes)}. Use fewer blocks, a smaller window or larger images."
        )
    lost = window - 1 if padding == "VALID" else 0
    return tuple(-(-(size - lost) // stride) for size in sizes)


def repeated(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value for each block: of a tuple those that it holds, else so many times the one."""
    if not isinstance(value, tuple):
        return (value,) * count
    if len(value) != count:
        raise ArgumentError(f"{name} is {shown(value)}; expects one, or one for each of {count} blocks.")
    return value
