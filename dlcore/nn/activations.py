"""Activation functions, by name and as functions.

Each acts on every element by itself, except `softmax` (over the last axis) and `Maxout` (over groups of it).
`ACTIVATIONS` lists the names that models take; `layer` makes a layer of one.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from dlcore.core.arguments import Constraint, arguments, array, integer, named, number, sequence
from dlcore.core.errors import ArgumentError

Activation = Callable[[jax.Array], jax.Array]


def _floats(given: Constraint) -> Constraint:
    """What is given, integers as floats."""

    def accept(value):
        found = given.accept(value)
        return found if jnp.issubdtype(found.dtype, jnp.floating) else found.astype(jnp.float32)

    return Constraint(given.expected, accept, error=given.error)


FLOATS = _floats(array("iuf", text="an array of numbers [...]"))
ROWS = _floats(array("iuf", ndim=range(1, 33), text="an array of numbers [..., n]"))
SLOPE = number(-1e9, 1e9)

PIECES = integer(1, 1000)

__all__ = [
    "ACTIVATION",
    "ACTIVATIONS",
    "Activate",
    "Activation",
    "Chosen",
    "Maxout",
    "by_name",
    "elu",
    "gelu",
    "identity",
    "layer",
    "leaky_relu",
    "maxout",
    "num_pieces",
    "prelu",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


@arguments(x=FLOATS)
def identity(x: jax.Array) -> jax.Array:
    """f(x) = x. Range (-inf, inf), zero-centered; derivative 1. A network of such layers is linear.

    >>> dl.activations.identity(jnp.array([-1.0, 2.0]))
    Array([-1.,  2.], dtype=float32)
    """
    return x


@arguments(x=FLOATS)
def sigmoid(x: jax.Array) -> jax.Array:
    """f(x) = 1 / (1 + exp(-x)). Range (0, 1), not zero-centered; derivative in (0, 1/4], the largest at 0.

    >>> dl.activations.sigmoid(jnp.array([0.0, 100.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    return jax.nn.sigmoid(x)


@arguments(x=FLOATS)
def tanh(x: jax.Array) -> jax.Array:
    """f(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)). Range (-1, 1), zero-centered; derivative in (0, 1].

    >>> dl.activations.tanh(jnp.array([0.0, 100.0]))
    Array([0., 1.], dtype=float32)
    """
    return jnp.tanh(x)


@arguments(x=ROWS)
def softmax(x: jax.Array) -> jax.Array:
    """f(x)_i = exp(x_i) / sum_j exp(x_j) over the last axis.

    Range (0, 1), sums to 1, not zero-centered; diagonal of the derivative in (0, 1/4], off the diagonal in [-1/4, 0).

    >>> dl.activations.softmax(jnp.array([[1.0, 1.0]]))
    Array([[0.5, 0.5]], dtype=float32)
    """
    return jax.nn.softmax(x)


@arguments(x=FLOATS)
def softsign(x: jax.Array) -> jax.Array:
    """f(x) = x / (1 + |x|). Range (-1, 1), zero-centered; derivative in (0, 1], saturates slower than that of tanh.

    >>> dl.activations.softsign(jnp.array([-1.0, 3.0]))
    Array([-0.5 ,  0.75], dtype=float32)
    """
    return jax.nn.soft_sign(x)


@arguments(x=FLOATS)
def relu(x: jax.Array) -> jax.Array:
    """f(x) = max(0, x). Range [0, inf), not zero-centered; derivative 0 or 1, taken as 0 at 0.

    >>> dl.activations.relu(jnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    return jax.nn.relu(x)


@arguments(x=FLOATS, slope=SLOPE)
def leaky_relu(x: jax.Array, slope: float | jax.Array = 0.1) -> jax.Array:
    """f(x) = x where x >= 0, else slope * x. Range (-inf, inf), not zero-centered; derivative slope or 1, at 0 it is 1.

    The slope of 0.1 is the handbook's; Maas et al. 2013, who proposed it, and PyTorch use 0.01.

    >>> dl.activations.leaky_relu(jnp.array([-1.0, 2.0]), slope=0.5)
    Array([-0.5,  2. ], dtype=float32)
    """
    return _leaky(x, slope)


@arguments(x=FLOATS, alpha=SLOPE)
def elu(x: jax.Array, alpha: float | jax.Array = 1.0) -> jax.Array:
    """f(x) = x where x > 0, else alpha * (exp(x) - 1). Range (-alpha, inf), nearly zero-centered.

    Derivative in (0, max(1, alpha)].
    Reference: Clevert et al., Fast and accurate deep network learning by exponential linear units, ICLR 2016.

    Example:
      >>> dl.activations.elu(jnp.array([-100.0, 2.0]), alpha=0.5)
      Array([-0.5,  2. ], dtype=float32)
    """
    return jax.nn.elu(x, alpha)


@arguments(x=FLOATS)
def selu(x: jax.Array) -> jax.Array:
    """f(x) = 1.0507 * elu(x, 1.6733). Range (-1.7581, inf), nearly zero-centered; derivative in (0, 1.7581].

    Keeps mean 0 and variance 1 from layer to layer with LeCun's initialization.
    Reference: Klambauer et al., Self-normalizing neural networks, NeurIPS 2017.

    Example:
      >>> dl.activations.selu(jnp.array([0.0, 1.0])).round(2)
      Array([0.  , 1.05], dtype=float32)
    """
    return jax.nn.selu(x)


@arguments(x=FLOATS)
def softplus(x: jax.Array) -> jax.Array:
    """f(x) = log(1 + exp(x)), a smooth ReLU. Range (0, inf), not zero-centered; derivative sigmoid(x).

    >>> dl.activations.softplus(jnp.array([0.0, 100.0])).round(2)
    Array([  0.69, 100.  ], dtype=float32)
    """
    return jax.nn.softplus(x)


@arguments(x=FLOATS)
def gelu(x: jax.Array) -> jax.Array:
    """f(x) = x * P(Z <= x) for a standard normal Z. Range [-0.17, inf), not zero-centered; derivative in [-0.13, 1.13].

    The exact form; the approximation by tanh is `jax.nn.gelu(x)`.
    Reference: Hendrycks and Gimpel, Gaussian error linear units, 2016.

    Example:
      >>> dl.activations.gelu(jnp.array([-100.0, 0.0, 1.0])).round(2)
      Array([-0.  ,  0.  ,  0.84], dtype=float32)
    """
    return jax.nn.gelu(x, approximate=False)


@arguments(x=FLOATS)
def silu(x: jax.Array) -> jax.Array:
    """f(x) = x * sigmoid(x), also called swish. Range [-0.28, inf), not zero-centered; derivative in [-0.1, 1.1].

    >>> dl.activations.silu(jnp.array([0.0, 100.0]))
    Array([  0., 100.], dtype=float32)
    """
    return jax.nn.silu(x)


@arguments(x=FLOATS, slope=SLOPE)
def prelu(x: jax.Array, slope: float | jax.Array = 0.25) -> jax.Array:
    """`leaky_relu` whose slope is learned; as the activation of a model, one slope for each layer, at first 0.25.

    Reference: He et al., Delving deep into rectifiers, ICCV 2015.

    Example:
      >>> dl.activations.prelu(jnp.array([-1.0, 2.0]))
      Array([-0.25,  2.  ], dtype=float32)
    """
    return _leaky(x, slope)


def _leaky(x: jax.Array, slope: float | jax.Array) -> jax.Array:
    x = jnp.asarray(x)
    return jnp.where(x >= 0, x, slope * x)


class Maxout(NamedTuple):
    """The largest of k values: [..., k * n] -> [..., n]; the layer before is made k times as wide.

    Range (-inf, inf), not zero-centered; derivative 1 for the largest, 0 for the others. Values i, n + i, 2n + i, ...
    form a group.

    Raises:
      ArgumentError: when called, a last axis that is no multiple of `num_pieces`.
    Reference: Goodfellow et al., Maxout networks, ICML 2013.

    Example:
      >>> dl.activations.Maxout(2)(jnp.array([1.0, 2.0, 3.0, 0.0]))
      Array([3., 2.], dtype=float32)
    """

    num_pieces: int = 2

    def __call__(self, x: jax.Array) -> jax.Array:
        """The largest of each group."""
        if not x.ndim or x.shape[-1] % self.num_pieces:
            raise ArgumentError(
                f"maxout: inputs are {list(x.shape)}; expects a last axis that is a multiple of num_pieces="
                f"{self.num_pieces}."
            )
        pieces = x.reshape(*x.shape[:-1], self.num_pieces, -1)
        return functools.reduce(_larger, (pieces[..., piece, :] for piece in range(self.num_pieces)))


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """The larger one, NaN where either is; a gradient goes to it, and is shared where they are equal.

    That of `jnp.max` divides by the number of values that equal the largest. XLA may compute them once more, rounded
    otherwise: then there is none, and the gradient is 0 / 0, as it was after a batch norm on a CPU without `dl.setup`'s
    flag and without fusion.
    """
    return jnp.where(a == b, 0.5 * a + 0.5 * b, jnp.where((a > b) | jnp.isnan(a), a, b))


maxout = Maxout()

ACTIVATIONS: dict[str, Activation] = {
    "identity": identity,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softmax": softmax,
    "softsign": softsign,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": silu,
    "prelu": prelu,
    "maxout": maxout,
}


ACTIVATION = named("activation", ACTIVATIONS)


@arguments(activation=ACTIVATION)
def by_name(activation: str | Activation) -> Activation:
    """The function of that name; a function passes through.

    Raises:
      ArgumentError: no activation has that name; the message names the nearest.

    Example:
      >>> dl.activations.by_name("relu") is dl.activations.relu
      True
    """
    return activation if callable(activation) else ACTIVATIONS[activation]


@arguments(activation=ACTIVATION)
def num_pieces(activation: str | Activation) -> int:
    """How many values the activation makes one of: k for `Maxout(k)`, 1 for the others.

    Raises:
      ArgumentError: no activation has that name; a `Maxout` whose number of pieces is no positive integer.

    Example:
      >>> dl.activations.num_pieces("maxout"), dl.activations.num_pieces("relu")
      (2, 1)
    """
    return PIECES.check("maxout: num_pieces", getattr(by_name(activation), "num_pieces", 1))


class Chosen:
    """One of several activations by its number, which may be traced: all of them share one program.

    The layer before is as wide as the one with the most pieces needs; the others take the first values. Each is
    computed, so it is for studies of small networks, where compiling takes longer than running. "prelu" has no weight.

    Args:
      number: from 0; a number beyond them is the nearest.
      among: names or functions.

    Raises:
      ArgumentError: an unknown name, none at all.

    Example:
      >>> dl.activations.Chosen(1, ["relu", "maxout"])(jnp.array([1.0, -2.0, -3.0, 4.0]))
      Array([1., 4.], dtype=float32)
      >>> dl.activations.Chosen(0, ["relu", "maxout"])(jnp.array([1.0, -2.0, -3.0, 4.0]))
      Array([1., 0.], dtype=float32)
    """

    @arguments(among=sequence(ACTIVATION, 1, text="names or functions of activations"))
    def __init__(self, number: int | jax.Array, among: Sequence[str | Activation]):
        self.number = number
        self.functions = [by_name(activation) for activation in among]
        self.num_pieces = max(map(num_pieces, self.functions))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., num_pieces * n] to [..., n]."""
        width = x.shape[-1] // self.num_pieces
        branches = [lambda x, f=f: f(x[..., : width * num_pieces(f)]) for f in self.functions]
        return lax.switch(self.number, branches, x)


class Activate(nnx.Module):
    """An activation as a layer, which `layer` makes: arrays [..., n] -> [..., n], or fewer values for `Maxout`.

    Args:
      function: any activation. Of `prelu` the layer has a parameter, its slope, 0.25 at first; other functions have
        none, and `slope` is None.

    Example:
      >>> dl.activations.Activate(jnp.tanh)(jnp.array([0.0, 100.0]))
      Array([0., 1.], dtype=float32)
      >>> dl.activations.Activate(dl.activations.prelu).slope.shape
      ()
    """

    def __init__(self, function: Activation):
        self.function = function
        self.slope = nnx.Param(jnp.full((), 0.25, jnp.float32)) if function is prelu else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """The function of `x`, which may have any shape that it takes."""
        return self.function(x) if self.slope is None else _leaky(x, self.slope[...])


@arguments(activation=ACTIVATION)
def layer(activation: str | Activation) -> Activate:
    """The activation as an NNX layer; that of "prelu" has a parameter.

    Raises:
      ArgumentError: as `by_name`.

    Example:
      >>> dl.activations.layer("relu")(jnp.array([-1.0, 2.0]))
      Array([0., 2.], dtype=float32)
    """
    return Activate(by_name(activation))
