"""Linear models, logistic regression and multi-layer perceptrons."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, DataError, check_name, check_number, check_positive_integer, shown
from dlcore.core.model import Model
from dlcore.nn import activations, initializers
from dlcore.nn.activations import Activation
from dlcore.nn.adapters import from_nnx
from dlcore.nn.dropout import Dropout
from dlcore.nn.initializers import Initializer


def linear(num_inputs: int, num_outputs: int = 1, *, initializer: str | Initializer = "zeros") -> Model:
    """Affine map [B, num_inputs] -> [B, num_outputs]; with a logistic loss, logistic regression.

    Starts from zero weights: the problem is convex, so symmetry does no harm and every seed starts at the same point.
    """
    return mlp([num_inputs, num_outputs], initializer=initializer)


def logistic(num_inputs: int, num_classes: int = 2, *, initializer: str | Initializer = "zeros") -> Model:
    """Logistic regression: [B, num_inputs] -> the logit [B, 1] of class 1 of two, or logits [B, num_classes] of more.

    `dl.tasks.classification` takes both. Starts from zero weights, as `linear`.

    Raises:
      ArgumentError: fewer than two classes.
    """
    check_positive_integer("logistic: num_classes", num_classes)
    if num_classes == 1:
        raise ArgumentError("logistic: num_classes is 1; expects 2 or more. Two classes share one logit.")
    return linear(num_inputs, 1 if num_classes == 2 else num_classes, initializer=initializer)


def deep_linear(widths: Sequence[int], *, initializer: str | Initializer = "lecun_normal") -> Model:
    """Affine maps one after the other: computes what `linear` can, but trains along another path.

    Reference: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, ICLR
    2014; theirs have no biases.
    """
    return mlp(widths, "identity", initializer=initializer)


# Without `use_fast_variance=False` Flax takes E[x^2] - E[x]^2, which cancels where a mean is large. Batch statistics
# move by a tenth each step, as PyTorch's do; Flax's own hundredth outlasts a short run.
NORMALIZATIONS: dict[str, Callable[..., nnx.Module]] = {
    "batch": lambda width, rngs: nnx.BatchNorm(width, momentum=0.9, use_fast_variance=False, rngs=rngs),
    "layer": lambda width, rngs: nnx.LayerNorm(width, epsilon=1e-5, use_fast_variance=False, rngs=rngs),
}


def mlp(
    widths: Sequence[int],
    activation: str | Activation = "relu",
    *,
    initializer: str | Initializer = "lecun_normal",
    dropout: float | jax.Array = 0.0,
    normalization: str | None = None,
    skip: bool = False,
    output_activation: str | Activation = "identity",
) -> Model:
    """Fully connected network [B, widths[0]] -> [B, widths[-1]]; biases start at zero.

    A hidden layer is `dropout(activation(normalization(linear(x))))`, the last one `output_activation(linear(x))`.

    Args:
      widths: units of each layer, inputs first: `[64, 128, 10]` has one hidden layer of 128.
      activation: name (see `dl.activations.ACTIVATIONS`) or function, after each hidden layer.
      initializer: name (see `dl.initializers.INITIALIZERS`) or function of (key, shape, dtype), for the weights.
      dropout: share of the hidden units that is dropped in training, in [0, 1); may be traced.
      normalization: "batch" (running averages are the model's state), "layer" or None.
      skip: add a hidden layer's inputs to its outputs, after everything else, so that a path without any
        nonlinearity remains; where the widths differ, a learned linear map of them without bias.
      output_activation: of the last layer. Losses of class labels take logits: "identity".

    Raises:
      ArgumentError: fewer than two widths, a width that is not a positive integer, an unknown name, a dropout outside
        [0, 1).
    Reference: dropout, Srivastava et al., JMLR 2014; batch norm, Ioffe and Szegedy, ICML 2015; layer norm, Ba et al.,
      2016; skip connections and their projections, He et al., CVPR 2016, option B, and ECCV 2016.
    """
    widths = _checked_widths(widths)
    weights = initializers.by_name(initializer)
    inner, outer = activations.by_name(activation), activations.by_name(output_activation)
    functions = [inner] * (len(widths) - 2) + [outer]
    made = [n * activations.num_pieces(function) for n, function in zip(widths[1:], functions, strict=True)]
    num_hidden = len(widths) - 2
    _check_dropout(dropout)
    drops = isinstance(dropout, Tracer) or dropout > 0
    if normalization is not None:
        check_name("normalization", normalization, NORMALIZATIONS)

    class MLP(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.layers = nnx.List(
                nnx.Linear(fan_in, fan_out, kernel_init=weights, rngs=rngs)
                for fan_in, fan_out in zip(widths[:-1], made, strict=True)
            )
            self.activations = nnx.List(map(activations.layer, functions))
            if normalization is not None:
                self.norms = nnx.List(NORMALIZATIONS[normalization](width, rngs) for width in made[:-1])
            if drops:
                self.dropouts = nnx.List(Dropout(dropout, rngs=rngs) for _ in range(num_hidden))
            if skip:
                self.projections = nnx.List(
                    None
                    if fan_in == fan_out
                    else nnx.Linear(fan_in, fan_out, use_bias=False, kernel_init=weights, rngs=rngs)
                    for fan_in, fan_out in pairwise(widths[:-1])
                )

        def hidden(self, x, position):
            inputs, x = x, self.layers[position](x)
            if normalization is not None:
                x = self.norms[position](x)
            x = self.activations[position](x)
            if drops:
                x = self.dropouts[position](x)
            if skip:
                projection = self.projections[position]
                x = x + (inputs if projection is None else projection(inputs))
            return x

        def __call__(self, x):
            if x.ndim != 2 or x.shape[-1] != widths[0] or not jnp.issubdtype(x.dtype, jnp.floating):
                raise DataError(
                    f"mlp: inputs are {x.dtype}{list(x.shape)}; the first layer expects floats [B, {widths[0]}]. "
                    f"Flatten with x.reshape(len(x), -1), scale integers with x.astype('float32') / 255, "
                    "or change the first width."
                )
            for position in range(num_hidden):
                x = self.hidden(x, position)
            return self.activations[-1](self.layers[-1](x))

    return from_nnx(MLP)


def _check_dropout(rate: float | jax.Array) -> None:
    check_number("mlp: dropout", rate, 0, 1)
    if not isinstance(rate, Tracer) and rate == 1:
        raise ArgumentError("mlp: dropout is 1; expects less than 1, the share of the units that is dropped.")


def _checked_widths(widths: Sequence[int]) -> tuple[int, ...]:
    listed = list(widths) if isinstance(widths, list | tuple) or getattr(widths, "ndim", 0) == 1 else []
    whole = all(isinstance(w, int | np.integer) and not isinstance(w, bool) and w > 0 for w in listed)
    if len(listed) < 2 or not whole:
        raise ArgumentError(
            f"mlp: widths are {shown(widths)}; expects two or more positive integers, inputs first and outputs last."
        )
    return tuple(int(w) for w in listed)
