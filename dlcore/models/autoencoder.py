"""Autoencoders, dense and convolutional, plain and variational; encoder and decoder can be used on their own."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore.core.errors import ArgumentError, DataError, check_name, check_positive_integer, shown
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import Activation
from dlcore.nn.adapters import from_nnx
from dlcore.nn.convolution import Convolution, TransposedConvolution
from dlcore.nn.images import as_images, checked_image_shape, checked_sizes
from dlcore.nn.initializers import Initializer

OUTPUTS: dict[str, Activation] = {"linear": activations.identity, "sigmoid": activations.sigmoid}


def autoencoder(
    widths: Sequence[int],
    activation: str | Activation = "relu",
    *,
    code_activation: str | Activation = "identity",
    output: str = "linear",
    decoder_widths: Sequence[int] | None = None,
    tied: bool = False,
    variational: bool = False,
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Fully connected autoencoder [B, widths[0]] -> [B, widths[0]] by way of a code [B, widths[-1]].

    Parts: "encode" gives the code, or (mean, log variance) of a variational one; "decode" takes a code. In training a
    variational one draws the code, else takes its mean.

    Args:
      widths: units of each layer of the encoder, inputs first, the code last.
      activation: name or function, after each hidden layer. code_activation: after the code's.
      output: "linear" (also for logits) or "sigmoid" (values in [0, 1]).
      decoder_widths: units of the decoder's layers, code first, outputs last; the encoder's, turned around, by default.
      tied: the decoder's weights are the encoder's, transposed; its biases are its own.

    Raises:
      ArgumentError: widths that are not positive integers or do not fit; tied weights where the two sides differ.
    Reference: Hinton and Salakhutdinov, Science 2006; variational: Kingma and Welling, ICLR 2014.
    """
    widths = checked_sizes("autoencoder: widths", widths, least=2)
    mirrored = widths[::-1]
    back = mirrored if decoder_widths is None else checked_sizes("autoencoder: decoder_widths", decoder_widths, least=2)
    if (back[0], back[-1]) != (widths[-1], widths[0]):
        raise ArgumentError(
            f"autoencoder: decoder_widths is {shown(decoder_widths)}; expects {widths[-1]}, the code's width, first "
            f"and {widths[0]}, that of the inputs, last."
        )
    function, code_function = activations.by_name(activation), activations.by_name(code_activation)
    if any(activations.num_pieces(each) > 1 for each in (function, code_function)):
        raise ArgumentError("autoencoder: activation is maxout; expects one that keeps the number of units.")
    if tied and (back != mirrored or variational):
        reason = "the code has a mean and a variance" if variational else f"decoder_widths is {list(back)}"
        raise ArgumentError(
            f"autoencoder: tied weights need a decoder that mirrors the encoder {list(widths)}; {reason}. Use "
            "tied=False."
        )
    weights = initializers.by_name(initializer)
    check_name("output", output, OUTPUTS)
    code_size = widths[-1]
    encoder_widths = (*widths[:-1], 2 * code_size) if variational else widths

    def linear(pair, rngs):
        return nnx.Linear(*pair, kernel_init=weights, rngs=rngs)

    class Encoder(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.layers = nnx.List(linear(pair, rngs) for pair in pairwise(encoder_widths))
            self.activations = nnx.List(activations.layer(function) for _ in encoder_widths[2:])
            self.code_activation = activations.layer(code_function)

        def __call__(self, x):
            if x.ndim != 2 or x.shape[1] != widths[0] or not jnp.issubdtype(x.dtype, jnp.floating):
                raise DataError(
                    f"autoencoder: inputs are {x.dtype}{list(x.shape)}; the first layer expects floats "
                    f"[B, {widths[0]}]. Flatten with x.reshape(len(x), -1) or change the first width."
                )
            for layer, activate in zip(self.layers, self.activations, strict=False):
                x = activate(layer(x))
            return self.code_activation(self.layers[-1](x))

    class Decoder(nnx.Module):
        def __init__(self, encoder: Encoder, rngs: nnx.Rngs):
            if tied:
                self.biases = nnx.List(nnx.Param(jnp.zeros(width)) for width in back[1:])
            else:
                self.layers = nnx.List(linear(pair, rngs) for pair in pairwise(back))
            self.activations = nnx.List(activations.layer(function) for _ in back[2:])

        def __call__(self, encoder: Encoder, x):
            if tied:
                kernels = (layer.kernel[...].T for layer in reversed(list(encoder.layers)))
                steps = [lambda x, k=k, b=b: x @ k + b[...][None] for k, b in zip(kernels, self.biases, strict=True)]
            else:
                steps = list(self.layers)
            for step, activate in zip(steps, self.activations, strict=False):
                x = activate(step(x))
            return OUTPUTS[output](steps[-1](x))

    return _coder("autoencoder", Encoder, Decoder, code_size, variational)


def convolutional_autoencoder(
    image_shape: Sequence[int],
    channels: Sequence[int],
    code_size: int,
    activation: str | Activation = "relu",
    *,
    output: str = "linear",
    kernel_size: int = 3,
    variational: bool = False,
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Convolutions of stride 2 and a dense code; back by transposed convolutions. Images -> images of the same shape.

    Args:
      image_shape: (height, width) of inputs and outputs [B, height, width], or (height, width, channels).
      channels: outputs of each convolution; each halves height and width, rounded up.
      code_size: numbers in the code [B, code_size].
      activation, output, variational: as for `autoencoder`, whose parts this one has too.

    Raises:
      ArgumentError: sizes that are not positive integers; a window larger than what is left of the image.
    """
    name = "convolutional_autoencoder"
    shape = checked_image_shape(name, image_shape)
    channels = checked_sizes(f"{name}: channels", channels, least=1)
    check_positive_integer("code_size", code_size)
    check_positive_integer("kernel_size", kernel_size)
    function, weights = activations.by_name(activation), initializers.by_name(initializer)
    if activations.num_pieces(function) > 1:
        raise ArgumentError(f"{name}: activation is maxout; expects one that keeps the number of channels.")
    check_name("output", output, OUTPUTS)
    sizes: list[tuple[int, ...]] = [shape[:2]]
    for block in range(len(channels)):
        if kernel_size > min(sizes[-1]):
            raise ArgumentError(
                f"{name}: block {block}: kernel_size is {kernel_size}, what is left of the image is {sizes[-1][0]} x "
                f"{sizes[-1][1]}; expects at most {min(sizes[-1])}. Use fewer channels' entries or larger images."
            )
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    widths, kernel = (shape[2], *channels), (kernel_size, kernel_size)
    features = (*sizes[-1], channels[-1])

    class Encoder(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.layers = nnx.List(
                Convolution(*pair, kernel, 2, kernel_init=weights, rngs=rngs) for pair in pairwise(widths)
            )
            self.activations = nnx.List(activations.layer(function) for _ in channels)
            outputs = 2 * code_size if variational else code_size
            self.code = nnx.Linear(math.prod(features), outputs, kernel_init=weights, rngs=rngs)

        def __call__(self, x):
            x = as_images(name, x, shape)
            for layer, activate in zip(self.layers, self.activations, strict=True):
                x = activate(layer(x))
            return self.code(x.reshape(x.shape[0], -1))

    class Decoder(nnx.Module):
        def __init__(self, encoder: Encoder, rngs: nnx.Rngs):
            self.code = nnx.Linear(code_size, math.prod(features), kernel_init=weights, rngs=rngs)
            self.layers = nnx.List(
                TransposedConvolution(*pair, kernel, 2, kernel_init=weights, rngs=rngs)
                for pair in pairwise(widths[::-1])
            )
            self.activations = nnx.List(activations.layer(function) for _ in channels)

        def __call__(self, encoder: Encoder, x):
            x = self.code(x).reshape(-1, *features)
            for layer, activate, (height, width) in zip(self.layers, self.activations, sizes[-2::-1], strict=True):
                x = layer(activate(x))[:, :height, :width]  # odd sizes were rounded up
            return OUTPUTS[output](x.reshape(-1, *image_shape))

    return _coder(name, Encoder, Decoder, code_size, variational)


def reparameterize(key: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """A draw from the normal distribution [B, n], through which gradients reach mean and log variance [B, n]."""
    return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)


def _coder(
    name: str,
    build_encoder: Callable[..., nnx.Module],
    build_decoder: Callable[..., nnx.Module],
    code_size,
    variational,
) -> Model:
    """The model of an encoder, called with inputs, and a decoder, called with the encoder and a code."""

    class Autoencoder(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.encoder = build_encoder(rngs)
            self.decoder = build_decoder(self.encoder, rngs)
            self.deterministic = False
            if variational:
                self.noise = rngs.noise.fork()

        def encode(self, x):
            code = self.encoder(x)
            return tuple(jnp.split(code, 2, axis=-1)) if variational else code

        def decode(self, code):
            if code.ndim != 2 or code.shape[1] != code_size:
                raise DataError(f"{name}: the code is {code.dtype}{list(code.shape)}; expects [B, {code_size}].")
            return self.decoder(self.encoder, code)

        def __call__(self, x):
            code = self.encode(x)
            if variational:
                mean, log_variance = code
                code = mean if self.deterministic else reparameterize(self.noise(), mean, log_variance)
            return self.decode(code)

    return from_nnx(Autoencoder, parts=("encode", "decode"))
