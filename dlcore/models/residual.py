"""Residual networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
from flax import nnx

from dlcore.core.arguments import arguments, integer
from dlcore.core.errors import ArgumentError
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import ACTIVATION, Activation
from dlcore.nn.adapters import built_in
from dlcore.nn.blocks import WIDTH, ConvolutionalBlock, check_single_piece
from dlcore.nn.images import IMAGE_SHAPE, as_images, with_channels
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.normalization import NORMALIZATION, Normalization, check_normalized


class ResidualBlock(nnx.Module):
    """Two convolutions, normalized or not, beside a shortcut: [B, height, width, num_inputs] -> [B, ..., C].

    Where it widens it halves height and width; the shortcut then skips pixels and has zeros as new channels (type A).
    """

    def __init__(
        self,
        num_inputs: int,
        num_channels: int,
        activation: Activation,
        normalization: str | Normalization | None,
        weights: Initializer,
        rngs: nnx.Rngs,
    ):
        options = {"normalization": normalization, "kernel_init": weights, "rngs": rngs}
        self.stride = 1 if num_inputs == num_channels else 2
        self.more = num_channels - num_inputs
        self.first = _normalized(num_inputs, num_channels, strides=self.stride, **options)
        self.inner = activations.layer(activation)
        self.second = _normalized(num_channels, num_channels, **options)
        self.outer = activations.layer(activation)

    def __call__(self, x):
        shortcut = x[:, :: self.stride, :: self.stride]
        shortcut = jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, self.more)))
        return self.outer(shortcut + self.second(self.inner(self.first(x))))


class ResidualNetwork(nnx.Module):
    """A convolution, residual blocks, the mean over the pixels, a dense layer: images -> [B, num_outputs].

    Args:
      widths: channels of the first convolution, then of each block.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        widths: Sequence[int],
        num_outputs: int,
        activation: Activation,
        normalization: str | Normalization | None,
        weights: Initializer,
        rngs: nnx.Rngs,
    ):
        self.image_shape = image_shape
        self.stem = _normalized(image_shape[2], widths[0], normalization=normalization, kernel_init=weights, rngs=rngs)
        self.activation = activations.layer(activation)
        self.blocks = nnx.List(
            ResidualBlock(*pair, activation, normalization, weights, rngs) for pair in pairwise(widths)
        )
        self.head = nnx.Linear(widths[-1], num_outputs, kernel_init=weights, rngs=rngs)

    def __call__(self, x):
        x = self.activation(self.stem(as_images("resnet", x, self.image_shape)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(axis=(1, 2)))


@arguments(
    image_shape=IMAGE_SHAPE,
    num_classes=WIDTH,
    depth=integer(1, 2000, meaning="6 n + 2: 8, 14, 20, ..."),
    width=integer(1, 2**16),
    activation=ACTIVATION,
    normalization=NORMALIZATION,
    initializer=INITIALIZER,
)
def resnet(
    image_shape: Sequence[int],
    num_classes: int,
    *,
    depth: int = 20,
    width: int = 16,
    activation: str | Activation = "relu",
    normalization: str | Normalization | None = "batch",
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Residual network for small images, normalized, in three stages of blocks: images -> [B, num_classes].

    Args:
      image_shape: (height, width) or (height, width, channels).
      depth: layers with weights, 6 n + 2: 8, 14, 20, 32, ...
      width: channels of the first stage; the second has twice, the third four times as many.
      normalization: after each convolution, as in `convolutional`: a name, `dl.models.group_norm(4)` and the like, or
        None, and the convolutions have biases.

    Raises:
      ArgumentError: a depth that is not 6 n + 2, such as 10; the message names the nearest. An activation that makes
        one channel of several; a normalization whose groups do not divide the channels.
    Reference: He et al., Deep residual learning for image recognition, CVPR 2016, sec. 4.2, shortcuts of type A.

    Example:
      >>> dl.models.num_params(dl.models.resnet((8, 8), 3, depth=8, width=2))
      1257
    """
    shape, function, weights = (
        with_channels(image_shape),
        activations.by_name(activation),
        initializers.by_name(initializer),
    )
    if depth < 8 or (depth - 2) % 6:
        nearest = max(8, 6 * round((depth - 2) / 6) + 2)
        raise ArgumentError(f"resnet: depth is {depth}; expects 6 n + 2 layers: 8, 14, 20, ... Nearest: {nearest}.")
    check_single_piece("resnet", "channels", function)
    check_normalized("resnet", normalization, (width, 2 * width, 4 * width))
    widths = [width, *(factor * width for factor in (1, 2, 4) for _ in range((depth - 2) // 6))]
    return built_in(lambda rngs: ResidualNetwork(shape, widths, num_classes, function, normalization, weights, rngs))


def _normalized(num_inputs: int, num_channels: int, *, normalization: Any, **options: Any) -> ConvolutionalBlock:
    use_bias = normalization is None  # a normalization has one of its own
    return ConvolutionalBlock(num_inputs, num_channels, normalization=normalization, use_bias=use_bias, **options)
