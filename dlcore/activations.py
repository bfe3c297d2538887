"""Activation functions by name."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dlcore.errors import check_name

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Activation] = {
    "identity": lambda x: x,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
}


def by_name(activation: str | Activation) -> Activation:
    """The function of that name; a function passes through.

    Raises:
      ArgumentError: no activation has that name; the message names the nearest.
    """
    if callable(activation):
        return activation
    check_name("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation]
