"""Autoencoders, dense and convolutional, plain and variational; encoder and decoder can be used on their own."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore.core.arguments import NONE, arguments, array, boolean, key, one_of, sequence
from dlcore.core.errors import ArgumentError, DataError, shown
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import ACTIVATION, Activation
from dlcore.nn.adapters import built_in
from dlcore.nn.blocks import WIDTH, WINDOW, check_single_piece, repeated, shrunk
from dlcore.nn.coders import OUTPUTS, ConvolutionalDecoder, ConvolutionalEncoder, DenseDecoder, DenseEncoder
from dlcore.nn.convolution import check_groups
from dlcore.nn.images import IMAGE_SHAPE, with_channels
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.inputs import as_numbers
from dlcore.nn.normalization import NORMALIZATION, Normalization, check_normalized

OUTPUT = one_of(*OUTPUTS)
WIDTHS = sequence(WIDTH, 2, 1000, text="2 to 1000 positive integers")
FLOATS = array("f", text="floats [B, n]")


class Autoencoder(nnx.Module):
    """An encoder, called with inputs, and a decoder, called with the encoder and a code.

    Args:
      name: of the model, for messages.
      encoder, decoder: make them of the random streams.
    """

    def __init__(
        self,
        name: str,
        encoder: Callable[[nnx.Rngs], nnx.Module],
        decoder: Callable[[nnx.Rngs], nnx.Module],
        code_size: int,
        variational: bool,
        rngs: nnx.Rngs,
    ):
        self.name, self.code_size, self.variational = name, code_size, variational
        self.encoder = encoder(rngs)
        self.decoder = decoder(rngs)
        self.deterministic = False
        if variational:
            self.noise = rngs.noise.fork()

    def encode(self, x):
        code = self.encoder(x)
        return tuple(jnp.split(code, 2, axis=-1)) if self.variational else code

    def decode(self, code):
        code = as_numbers(f"{self.name}: decode", code)
        if code.ndim != 2 or code.shape[1] != self.code_size:
            raise DataError(f"{self.name}: the code is {code.dtype}{list(code.shape)}; expects [B, {self.code_size}].")
        return self.decoder(self.encoder, code)

    def __call__(self, x):
        code = self.encode(x)
        if self.variational:
            mean, log_variance = code
            code = mean if self.deterministic else reparameterize(self.noise(), mean, log_variance)
        return self.decode(code)


@arguments(
    widths=WIDTHS,
    activation=ACTIVATION,
    code_activation=ACTIVATION,
    output=OUTPUT,
    decoder_widths=WIDTHS | NONE,
    tied=boolean,
    variational=boolean,
    normalization=NORMALIZATION,
    initializer=INITIALIZER,
)
def autoencoder(
    widths: Sequence[int],
    activation: str | Activation = "relu",
    *,
    code_activation: str | Activation = "identity",
    output: str = "linear",
    decoder_widths: Sequence[int] | None = None,
    tied: bool = False,
    variational: bool = False,
    normalization: str | Normalization | None = None,
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
      normalization: of the hidden layers, before their activation; as for `mlp`.

    Raises:
      ArgumentError: widths that are not positive integers or do not fit; tied weights where the two sides differ.
    Reference: Hinton and Salakhutdinov, Science 2006; variational: Kingma and Welling, ICLR 2014.

    Example:
      >>> model = dl.models.autoencoder([6, 4, 2])
      >>> model.parts["encode"].apply(*model.init(jax.random.key(0)), jnp.zeros((3, 6)))[0].shape
      (3, 2)
    """
    name, code_size, back = "autoencoder", widths[-1], decoder_widths or tuple(reversed(widths))
    _check_sides(tuple(widths), tuple(back), tied, variational)
    function, code_function = activations.by_name(activation), activations.by_name(code_activation)
    check_single_piece(name, "units", function, code_function)
    weights = initializers.by_name(initializer)
    check_normalized(name, normalization, [*widths[1:-1], *back[1:-1]])
    there = (*widths[:-1], (1 + variational) * code_size)

    def encoder(rngs):
        return DenseEncoder(there, function, code_function, weights, rngs, normalization)

    def decoder(rngs):
        return DenseDecoder(back, function, output, weights, tied, rngs, normalization)

    return _model(name, encoder, decoder, code_size, variational)


@arguments(
    image_shape=IMAGE_SHAPE,
    channels=sequence(WIDTH, 1, 30, text="1 to 30 positive integers"),
    code_size=WIDTH,
    activation=ACTIVATION,
    output=OUTPUT,
    kernel_size=WINDOW,
    num_groups=WIDTH | sequence(WIDTH, text="positive integers, one for each convolution"),
    variational=boolean,
    normalization=NORMALIZATION,
    initializer=INITIALIZER,
)
def convolutional_autoencoder(
    image_shape: Sequence[int],
    channels: Sequence[int],
    code_size: int,
    activation: str | Activation = "relu",
    *,
    output: str = "linear",
    kernel_size: int = 3,
    num_groups: int | Sequence[int] = 1,
    variational: bool = False,
    normalization: str | Normalization | None = None,
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Convolutions of stride 2 and a dense code; back by transposed convolutions. Images -> images of the same shape.

    Args:
      image_shape: (height, width) of inputs and outputs [B, height, width], or (height, width, channels).
      channels: outputs of each convolution; each halves height and width, rounded up.
      code_size: numbers in the code [B, code_size].
      num_groups: of each convolution and its transposed counterpart, one for all or one for each; it divides the
        channels that come in and go out.
      normalization: after each convolution, and each transposed one but the last; as for `convolutional`.
      activation, output, variational: as for `autoencoder`, whose parts this one has too.

    Raises:
      ArgumentError: sizes that are not positive integers; a window larger than what is left of the image.

    Example:
      >>> model = dl.models.convolutional_autoencoder((8, 8), [2], 3)
      >>> model.apply(*model.init(jax.random.key(0)), jnp.zeros((5, 8, 8)))[0].shape
      (5, 8, 8)
    """
    name, shape = "convolutional_autoencoder", with_channels(image_shape)
    function, weights = activations.by_name(activation), initializers.by_name(initializer)
    check_single_piece(name, "channels", function)
    sizes: list[tuple[int, ...]] = [shape[:2]]
    for block in range(len(channels)):
        sizes.append(shrunk(f"{name}: block {block}: kernel_size", sizes[-1], kernel_size, 2, "SAME"))
    widths = (shape[2], *channels)
    groups = repeated(f"{name}: num_groups", num_groups, len(channels))
    for block, (pair, count) in enumerate(zip(pairwise(widths), groups, strict=True)):
        check_groups(f"{name}: block {block}", count, *pair)
    check_normalized(name, normalization, channels)

    def encoder(rngs):
        num_outputs = (1 + variational) * code_size
        return ConvolutionalEncoder(
            sizes, widths, num_outputs, kernel_size, function, groups, weights, rngs, normalization
        )

    def decoder(rngs):
        options = function, output, image_shape, groups, weights, rngs, normalization
        return ConvolutionalDecoder(sizes, widths, code_size, kernel_size, *options)

    return _model(name, encoder, decoder, code_size, variational)


@arguments(key=key, mean=FLOATS, log_variance=FLOATS)
def reparameterize(key: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """A draw from the normal distribution [B, n], through which gradients reach mean and log variance [B, n].

    Raises:
      DataError: mean and log variance of different shapes.

    Example:
      >>> dl.models.reparameterize(jax.random.key(0), jnp.ones((2, 3)), jnp.full((2, 3), -jnp.inf))[0]
      Array([1., 1., 1.], dtype=float32)
    """
    mean, log_variance = jnp.asarray(mean), jnp.asarray(log_variance)
    if mean.shape != log_variance.shape:
        raise DataError(
            f"reparameterize: mean is {list(mean.shape)}, log_variance {list(log_variance.shape)}; expects one shape."
        )
    return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)


def _model(name: str, encoder: Callable, decoder: Callable, code_size: int, variational: bool) -> Model:
    def build(rngs):
        return Autoencoder(name, encoder, decoder, code_size, variational, rngs)

    return built_in(build, parts=("encode", "decode"))


def _check_sides(widths: tuple[int, ...], back: tuple[int, ...], tied: bool, variational: bool) -> None:
    """Raise `ArgumentError` unless the decoder's widths fit the encoder's."""
    if (back[0], back[-1]) != (widths[-1], widths[0]):
        raise ArgumentError(
            f"autoencoder: decoder_widths is {shown(list(back))}; expects {widths[-1]}, the code's width, first "
            f"and {widths[0]}, that of the inputs, last."
        )
    if tied and (back != widths[::-1] or variational):
        reason = "the code has a mean and a variance" if variational else f"decoder_widths is {list(back)}"
        raise ArgumentError(
            f"autoencoder: tied weights need a decoder that mirrors the encoder {list(widths)}; {reason}. Use "
            "tied=False."
        )
