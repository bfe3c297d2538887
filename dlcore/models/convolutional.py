"""Convolutional networks: a general one, and LeNet-5 and those of DeepOBS in terms of it."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
from flax import nnx

from dlcore.core.errors import ArgumentError, check_name, check_number, check_positive_integer, shown
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import Activation
from dlcore.nn.adapters import from_nnx
from dlcore.nn.convolution import POOLS, Convolution
from dlcore.nn.dropout import Dropout
from dlcore.nn.images import as_images, checked_image_shape, checked_sizes
from dlcore.nn.initializers import Initializer

NORMALIZATIONS: dict[str, Callable[[int, nnx.Rngs], nnx.Module]] = {
    "batch": lambda width, rngs: nnx.BatchNorm(width, momentum=0.9, rngs=rngs),
    "group": lambda width, rngs: nnx.GroupNorm(width, num_groups=math.gcd(width, 8), rngs=rngs),
    "layer": lambda width, rngs: nnx.GroupNorm(width, num_groups=1, rngs=rngs),
}


def convolutional(
    image_shape: Sequence[int],
    channels: Sequence[int],
    num_outputs: int,
    *,
    kernel_size: int | Sequence[int] = 3,
    padding: str | Sequence[str] = "SAME",
    activation: str | Activation = "relu",
    normalization: str | None = None,
    pool: str | None = "max",
    pool_size: int = 2,
    pool_strides: int | None = None,
    pool_padding: str = "VALID",
    global_pooling: bool = False,
    head: Sequence[int] = (128,),
    dropout: float | jax.Array = 0.0,
    initializer: str | Initializer = "he_normal",
    head_initializer: str | Initializer | None = None,
    bias_initializer: str | Initializer = "zeros",
) -> Model:
    """Blocks of convolution, normalization, activation and pooling, then dense layers: images -> [B, num_outputs].

    Args:
      image_shape: (height, width) of inputs [B, height, width], or (height, width, channels).
      channels: outputs of each block's convolution.
      kernel_size, padding: of the convolutions, padding "SAME" or "VALID"; one for all or one for each block.
      activation: name or function, after each convolution and hidden dense layer.
      normalization: None, "batch", "group" (the most groups up to 8 that divide the channels) or "layer" (over all
        pixels and channels of an image).
      pool: "max", "average" or None; of pool_size x pool_size pixels every pool_strides (pool_size by default).
      global_pooling: the head sees the mean over the pixels, not every pixel.
      head: units of the hidden dense layers; () for none.
      dropout: share of values set to 0 before each dense layer in training; may be traced.
      initializer: name or function, for the weights. head_initializer: for those of the dense layers, if different.

    Raises:
      ArgumentError: sizes that are not positive integers, an unknown name, a window larger than what is left of the
        image.
    """
    image_shape = checked_image_shape("convolutional", image_shape)
    channels = checked_sizes("channels", channels, least=1)
    kernel_sizes = checked_sizes("kernel_size", _repeated("kernel_size", kernel_size, len(channels)), least=1)
    paddings = _repeated("padding", padding, len(channels))
    for each in (*paddings, pool_padding):
        check_name("padding", each, ("SAME", "VALID"))
    pool_strides = pool_size if pool_strides is None else pool_strides
    check_positive_integer("pool_size", pool_size)
    check_positive_integer("pool_strides", pool_strides)
    for kind, name, known in (("pool", pool, POOLS), ("normalization", normalization, NORMALIZATIONS)):
        if name is not None:
            check_name(kind, name, known)
    weights = initializers.by_name(initializer)
    biases = initializers.by_name(bias_initializer)
    sizes = image_shape[:2]
    for block, (kernel, edge) in enumerate(zip(kernel_sizes, paddings, strict=True)):
        sizes = shrunk(f"convolutional: block {block}: kernel_size", sizes, kernel, 1, edge)
        if pool is not None:
            sizes = shrunk(f"convolutional: block {block}: pool_size", sizes, pool_size, pool_strides, pool_padding)
    features = channels[-1] * (1 if global_pooling else math.prod(sizes))
    dense = _dense_head(
        (features, *checked_sizes("head", head, least=0), *checked_sizes("num_outputs", [num_outputs], least=1)),
        activation,
        dropout,
        weights if head_initializer is None else initializers.by_name(head_initializer),
        biases,
    )
    pieces = activations.num_pieces(activation)

    class Block(nnx.Module):
        def __init__(self, num_inputs: int, num_channels: int, kernel: int, edge: str, rngs: nnx.Rngs):
            width = num_channels * pieces
            self.convolution = Convolution(
                num_inputs, width, (kernel, kernel), padding=edge, kernel_init=weights, bias_init=biases, rngs=rngs
            )
            self.normalization = None if normalization is None else NORMALIZATIONS[normalization](width, rngs)
            self.activation = activations.layer(activation)

        def __call__(self, x):
            x = self.convolution(x)
            x = x if self.normalization is None else self.normalization(x)
            x = self.activation(x)
            return x if pool is None else POOLS[pool](x, pool_size, pool_strides, pool_padding)

    class Convolutional(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            widths = pairwise((image_shape[2], *channels))
            self.blocks = nnx.List(
                Block(*width, kernel, edge, rngs)
                for width, kernel, edge in zip(widths, kernel_sizes, paddings, strict=True)
            )
            self.head = dense(rngs)

        def __call__(self, x):
            x = as_images("convolutional", x, image_shape)
            for block in self.blocks:
                x = block(x)
            return self.head(x.mean(axis=(1, 2)) if global_pooling else x.reshape(x.shape[0], -1))

    return from_nnx(Convolutional)


def lenet(image_shape: Sequence[int] = (28, 28), num_classes: int = 10) -> Model:
    """LeNet-5 as it is used today: tanh, average pooling, all maps connected; 61 706 parameters for 28 x 28.

    Reference: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998.
    """
    return convolutional(
        image_shape,
        [6, 16],
        num_classes,
        kernel_size=5,
        padding=("SAME", "VALID"),
        activation="tanh",
        pool="average",
        head=(120, 84),
        initializer="glorot_uniform",
    )


def deepobs_2c2d(image_shape: Sequence[int] = (28, 28), num_classes: int = 10) -> Model:
    """DeepOBS' network for MNIST and Fashion-MNIST; 3 274 634 parameters for 28 x 28.

    Reference: Schneider et al., DeepOBS: a deep learning optimizer benchmark suite, ICLR 2019; its `_2c2d.py`.
    """
    return convolutional(
        image_shape,
        [32, 64],
        num_classes,
        kernel_size=5,
        pool_padding="SAME",
        head=(1024,),
        initializer=nnx.initializers.truncated_normal(0.05),
        bias_initializer=initializers.constant(0.05),
    )


def deepobs_3c3d(image_shape: Sequence[int] = (32, 32, 3), num_classes: int = 10) -> Model:
    """DeepOBS' network for CIFAR; 895 210 parameters for 32 x 32 x 3. Its weights have an L2 penalty of 0.002.

    Reference: Schneider et al., DeepOBS: a deep learning optimizer benchmark suite, ICLR 2019; its `_3c3d.py`.
    """
    return convolutional(
        image_shape,
        [64, 96, 128],
        num_classes,
        kernel_size=(5, 3, 3),
        padding=("VALID", "VALID", "SAME"),
        pool_size=3,
        pool_strides=2,
        pool_padding="SAME",
        head=(512, 256),
        initializer="glorot_normal",
        head_initializer="glorot_uniform",
    )


def shrunk(name: str, sizes: Sequence[int], window: int, stride: int, padding: str) -> tuple[int, ...]:
    """What a window that moves by `stride` makes of an image's height and width; `ArgumentError` if it has no room."""
    if window > min(sizes):
        raise ArgumentError(
            f"{name} is {window}, what is left of the image is {sizes[0]} x {sizes[1]}; expects at most "
            f"{min(sizes)}. Use fewer blocks, a smaller window or larger images."
        )
    lost = window - 1 if padding == "VALID" else 0
    return tuple(-(-(size - lost) // stride) for size in sizes)


def _repeated(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value for each block."""
    if not isinstance(value, list | tuple):
        return (value,) * count
    if len(value) != count:
        raise ArgumentError(f"{name} is {shown(value)}; expects one, or one for each of {count} blocks.")
    return tuple(value)


def _dense_head(widths, activation, dropout, weights: Initializer, biases: Initializer):
    """Builds the module of dense layers [B, widths[0]] -> [B, widths[-1]]."""
    check_number("dropout", dropout, 0, 1)
    pieces = activations.num_pieces(activation)
    drops = not isinstance(dropout, int | float) or dropout > 0

    class Dense(nnx.Module):
        def __init__(self, fan_in: int, fan_out: int, last: bool, rngs: nnx.Rngs):
            self.dropout = Dropout(dropout, rngs=rngs) if drops else None
            width = fan_out if last else fan_out * pieces
            self.linear = nnx.Linear(fan_in, width, kernel_init=weights, bias_init=biases, rngs=rngs)
            self.activation = None if last else activations.layer(activation)

        def __call__(self, x):
            x = self.linear(x if self.dropout is None else self.dropout(x))
            return x if self.activation is None else self.activation(x)

    def build(rngs: nnx.Rngs) -> nnx.Module:
        last = len(widths) - 2
        return nnx.Sequential(*(Dense(*pair, place == last, rngs) for place, pair in enumerate(pairwise(widths))))

    return build
