"""Residual networks."""

from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp
from flax import nnx

from dlcore.core.errors import ArgumentError, check_positive_integer
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import Activation
from dlcore.nn.adapters import from_nnx
from dlcore.nn.convolution import Convolution
from dlcore.nn.images import as_images, checked_image_shape
from dlcore.nn.initializers import Initializer


def resnet(
    image_shape: Sequence[int],
    num_classes: int,
    *,
    depth: int = 20,
    width: int = 16,
    activation: str | Activation = "relu",
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Residual network for small images, batch norm, three stages of blocks: images -> [B, num_classes].

    Args:
      image_shape: (height, width) or (height, width, channels).
      depth: layers with weights, 6 n + 2: 8, 14, 20, 32, ...
      width: channels of the first stage; the second has twice, the third four times as many.

    Raises:
      ArgumentError: another depth, sizes that are not positive integers, an unknown name.
    Reference: He et al., Deep residual learning for image recognition, CVPR 2016, sec. 4.2, shortcuts of type A.
    """
    image_shape = checked_image_shape("resnet", image_shape)
    for name, value in (("num_classes", num_classes), ("depth", depth), ("width", width)):
        check_positive_integer(name, value)
    if depth < 8 or (depth - 2) % 6:
        nearest = max(8, 6 * round((depth - 2) / 6) + 2)
        raise ArgumentError(f"resnet: depth is {depth}; expects 6 n + 2 layers: 8, 14, 20, ... Nearest: {nearest}.")
    function, weights = activations.by_name(activation), initializers.by_name(initializer)
    if activations.num_pieces(activation) > 1:
        raise ArgumentError("resnet: activation is maxout; expects one that keeps the number of channels.")

    class Normalized(nnx.Module):
        def __init__(self, num_inputs: int, num_channels: int, stride: int, rngs: nnx.Rngs):
            self.convolution = Convolution(
                num_inputs, num_channels, (3, 3), stride, use_bias=False, kernel_init=weights, rngs=rngs
            )
            self.normalization = nnx.BatchNorm(num_channels, momentum=0.9, rngs=rngs)

        def __call__(self, x):
            return self.normalization(self.convolution(x))

    class Block(nnx.Module):
        def __init__(self, num_inputs: int, num_channels: int, rngs: nnx.Rngs):
            self.stride = 1 if num_inputs == num_channels else 2
            self.more = num_channels - num_inputs
            self.first = Normalized(num_inputs, num_channels, self.stride, rngs)
            self.inner = activations.layer(function)
            self.second = Normalized(num_channels, num_channels, 1, rngs)
            self.outer = activations.layer(function)

        def __call__(self, x):
            shortcut = x[:, :: self.stride, :: self.stride]
            shortcut = jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, self.more)))
            return self.outer(shortcut + self.second(self.inner(self.first(x))))

    class ResNet(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.stem, self.activation = Normalized(image_shape[2], width, 1, rngs), activations.layer(function)
            per_stage = (depth - 2) // 6
            widths = [width] + [factor * width for factor in (1, 2, 4) for _ in range(per_stage)]
            self.blocks = nnx.List(Block(before, after, rngs) for before, after in pairwise(widths))
            self.head = nnx.Linear(4 * width, num_classes, kernel_init=weights, rngs=rngs)

        def __call__(self, x):
            x = self.activation(self.stem(as_images("resnet", x, image_shape)))
            for block in self.blocks:
                x = block(x)
            return self.head(x.mean(axis=(1, 2)))

    return from_nnx(ResNet)
