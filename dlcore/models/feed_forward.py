"""Linear models and multi-layer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from flax import nnx

from dlcore import activations, initializers
from dlcore.activations import Activation
from dlcore.errors import ArgumentError, DataError, shown
from dlcore.initializers import Initializer
from dlcore.model import Model, from_nnx


def linear(num_inputs: int, num_outputs: int = 1, *, initializer: str | Initializer = "zeros") -> Model:
    """Affine map [B, num_inputs] -> [B, num_outputs]; with a logistic loss, logistic regression.

    Starts from zero weights: the problem is convex, so symmetry does no harm and every seed starts at the same point.
    """
    return mlp([num_inputs, num_outputs], initializer=initializer)


def mlp(
    widths: Sequence[int], activation: str | Activation = "relu", *, initializer: str | Initializer = "lecun_normal"
) -> Model:
    """Fully connected network [B, widths[0]] -> [B, widths[-1]], no activation on the output; biases start at zero.

    Args:
      widths: units of each layer, inputs first: `[64, 128, 10]` has one hidden layer of 128.
      activation: name (see `dlcore.activations.ACTIVATIONS`) or function, after each hidden layer.
      initializer: name (see `dlcore.initializers.INITIALIZERS`) or function of (key, shape, dtype), for the weights.

    Raises:
      ArgumentError: fewer than two widths, a width that is not a positive integer, an unknown name.
    """
    widths = _checked_widths(widths)
    function, weights = activations.by_name(activation), initializers.by_name(initializer)

    class MLP(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.layers = nnx.List(
                nnx.Linear(fan_in, fan_out, kernel_init=weights, rngs=rngs) for fan_in, fan_out in pairwise(widths)
            )

        def __call__(self, x):
            if x.ndim != 2 or x.shape[-1] != widths[0] or not jnp.issubdtype(x.dtype, jnp.floating):
                raise DataError(
                    f"mlp: inputs are {x.dtype}{list(x.shape)}; the first layer expects floats [B, {widths[0]}]. "
                    f"Flatten with x.reshape(len(x), -1), scale integers with x.astype('float32') / 255, "
                    "or change the first width."
                )
            for layer in self.layers[:-1]:
                x = function(layer(x))
            return self.layers[-1](x)

    return from_nnx(MLP)


def _checked_widths(widths: Sequence[int]) -> tuple[int, ...]:
    listed = list(widths) if isinstance(widths, list | tuple) or getattr(widths, "ndim", 0) == 1 else []
    whole = all(isinstance(w, int | np.integer) and not isinstance(w, bool) and w > 0 for w in listed)
    if len(listed) < 2 or not whole:
        raise ArgumentError(
            f"mlp: widths are {shown(widths)}; expects two or more positive integers, inputs first and outputs last."
        )
    return tuple(int(w) for w in listed)
