"""Encoders and decoders of autoencoders, dense and convolutional."""

import math
from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp
from flax import nnx

from dlcore.nn import activations
from dlcore.nn.activations import Activation
from dlcore.nn.convolution import Convolution, TransposedConvolution
from dlcore.nn.images import as_images
from dlcore.nn.initializers import Initializer
from dlcore.nn.inputs import as_features
from dlcore.nn.normalization import Normalization, normalization_layer

OUTPUTS: dict[str, Activation] = {"linear": activations.identity, "sigmoid": activations.sigmoid}

ADVICE = "Flatten with x.reshape(len(x), -1), scale integers with x.astype('float32') / 255, or change the first width."
ROW, IMAGE = (-1,), (-3, -2, -1)  # axes of an example


class DenseEncoder(nnx.Module):
    """Dense layers to a code: [B, widths[0]] -> [B, widths[-1]]; hidden layers are normalized, if wanted."""

    def __init__(
        self,
        widths: Sequence[int],
        function: Activation,
        code_function: Activation,
        weights: Initializer,
        rngs: nnx.Rngs,
        normalization: str | Normalization | None = None,
    ):
        self.num_inputs = widths[0]
        self.layers = nnx.List(nnx.Linear(*pair, kernel_init=weights, rngs=rngs) for pair in pairwise(widths))
        self.norms = _norms(normalization, widths[1:-1], ROW, rngs)
        self.activations = nnx.List(activations.layer(function) for _ in widths[2:])
        self.code_activation = activations.layer(code_function)

    def __call__(self, x):
        x = as_features("autoencoder", x, self.num_inputs, ADVICE)
        for i, activate in enumerate(self.activations):
            x = activate(_normalized(self.norms, i, self.layers[i](x)))
        return self.code_activation(self.layers[-1](x))


class DenseDecoder(nnx.Module):
    """Dense layers from a code: [B, widths[0]] -> [B, widths[-1]].

    Args:
      tied: the kernels are the encoder's, transposed; only the biases are the decoder's own.
    """

    def __init__(
        self,
        widths: Sequence[int],
        function: Activation,
        output: str,
        weights: Initializer,
        tied: bool,
        rngs: nnx.Rngs,
        normalization: str | Normalization | None = None,
    ):
        self.tied, self.output = tied, output
        if tied:
            self.biases = nnx.List(nnx.Param(jnp.zeros(width)) for width in widths[1:])
        else:
            self.layers = nnx.List(nnx.Linear(*pair, kernel_init=weights, rngs=rngs) for pair in pairwise(widths))
        self.norms = _norms(normalization, widths[1:-1], ROW, rngs)
        self.activations = nnx.List(activations.layer(function) for _ in widths[2:])

    def __call__(self, encoder: DenseEncoder, x):
        if self.tied:
            kernels = (layer.kernel[...].T for layer in reversed(list(encoder.layers)))
            steps = [lambda x, k=k, b=b: x @ k + b[...][None] for k, b in zip(kernels, self.biases, strict=True)]
        else:
            steps = list(self.layers)
        for i, activate in enumerate(self.activations):
            x = activate(_normalized(self.norms, i, steps[i](x)))
        return OUTPUTS[self.output](steps[-1](x))


class ConvolutionalEncoder(nnx.Module):
    """Convolutions of stride 2 and a dense layer: images -> [B, num_outputs].

    Args:
      sizes: height and width of the images, and what each convolution leaves of them.
      num_groups: of each convolution.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[int]],
        channels: Sequence[int],
        num_outputs: int,
        kernel_size: int,
        function: Activation,
        num_groups: Sequence[int],
        weights: Initializer,
        rngs: nnx.Rngs,
        normalization: str | Normalization | None = None,
    ):
        self.image_shape = (*sizes[0], channels[0])
        size, options = (kernel_size, kernel_size), {"kernel_init": weights, "rngs": rngs}
        self.layers = nnx.List(
            Convolution(*pair, size, 2, feature_group_count=count, **options)
            for pair, count in zip(pairwise(channels), num_groups, strict=True)
        )
        self.norms = _norms(normalization, channels[1:], IMAGE, rngs)
        self.activations = nnx.List(activations.layer(function) for _ in channels[1:])
        features = math.prod(sizes[-1]) * channels[-1]
        self.code = nnx.Linear(features, num_outputs, kernel_init=weights, rngs=rngs)

    def __call__(self, x):
        x = as_images("convolutional_autoencoder", x, self.image_shape)
        for i, activate in enumerate(self.activations):
            x = activate(_normalized(self.norms, i, self.layers[i](x)))
        return self.code(x.reshape(x.shape[0], -1))


class ConvolutionalDecoder(nnx.Module):
    """A dense layer and transposed convolutions of stride 2: [B, code_size] -> images [B, *image_shape].

    Args:
      sizes, channels, num_groups: those of the encoder, images first.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[int]],
        channels: Sequence[int],
        code_size: int,
        kernel_size: int,
        function: Activation,
        output: str,
        image_shape: Sequence[int],
        num_groups: Sequence[int],
        weights: Initializer,
        rngs: nnx.Rngs,
        normalization: str | Normalization | None = None,
    ):
        self.sizes, self.image_shape, self.output = tuple(map(tuple, sizes)), tuple(image_shape), output
        self.features = (*self.sizes[-1], channels[-1])
        self.code = nnx.Linear(code_size, math.prod(self.features), kernel_init=weights, rngs=rngs)
        size, options = (kernel_size, kernel_size), {"kernel_init": weights, "rngs": rngs}
        self.layers = nnx.List(
            TransposedConvolution(*pair, size, 2, feature_group_count=count, **options)
            for pair, count in zip(pairwise(channels[::-1]), num_groups[::-1], strict=True)
        )
        self.norms = _norms(normalization, channels[-2:0:-1], IMAGE, rngs)
        self.activations = nnx.List(activations.layer(function) for _ in channels[1:])

    def __call__(self, encoder: ConvolutionalEncoder, x):
        x = self.code(x).reshape(-1, *self.features)
        for i, (height, width) in enumerate(self.sizes[-2::-1]):
            x = x if i == 0 else _normalized(self.norms, i - 1, x)
            x = self.layers[i](self.activations[i](x))[:, :height, :width]  # odd sizes were rounded up
        return OUTPUTS[self.output](x.reshape(-1, *self.image_shape))


def _norms(
    normalization: str | Normalization | None, widths: Sequence[int], axes: Sequence[int], rngs: nnx.Rngs
) -> nnx.List | None:
    """One for each of the widths."""
    if normalization is None:
        return None
    return nnx.List(normalization_layer(normalization, width, axes, rngs) for width in widths)


def _normalized(norms: nnx.List | None, i: int, x):
    return x if norms is None else norms[i](x)
