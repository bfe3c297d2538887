"""Initializers of weights: functions of (key, shape, dtype), by name.

Scaled ones count the connections into a unit (fan-in) and out of it (fan-out); for a kernel [..., in, out] both are
multiplied by the size of its window.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from dlcore.core.arguments import arguments, named, number, one_of

Initializer = Callable[[jax.Array, Sequence[int], Any], jax.Array]

__all__ = [
    "INITIALIZER",
    "INITIALIZERS",
    "Initializer",
    "by_name",
    "constant",
    "gain",
    "normal",
    "orthogonal",
    "scaled",
    "uniform",
]


@arguments(value=number())
def constant(value: float | jax.Array) -> Initializer:
    """The same value everywhere.

    Args:
      value: a number; may be traced.

    Returns:
      A function of (key, shape, dtype) that does not look at the key; without a dtype in JAX's default float.

    Example:
      >>> dl.initializers.constant(0.5)(jax.random.key(0), (2,))
      Array([0.5, 0.5], dtype=float32)
    """
    return nnx.initializers.constant(value)


@arguments(stddev=number(0))
def normal(stddev: float | jax.Array = 0.01) -> Initializer:
    """Normal numbers of mean 0, of the same size whatever the shape; "lecun_normal" and others scale by the fan-in.

    Args:
      stddev: their standard deviation; may be traced.

    Returns:
      A function of (key, shape, dtype); without a dtype in JAX's default float.

    Example:
      >>> weights = dl.initializers.normal(0.1)(jax.random.key(0), (100, 100))
      >>> weights.shape, bool(jnp.abs(weights.std() - 0.1) < 0.01)
      ((100, 100), True)
    """
    return nnx.initializers.normal(stddev)


# nnx.initializers.orthogonal and jax.random.orthogonal call LAPACK. In a study on two CPU devices it waits for ever
# (jaxlib 0.10.2: matrices of 32 rows and more), and alone it may take seconds.
@arguments(scale=number())
def orthogonal(scale: float = 1.0) -> Initializer:
    """Orthonormal columns, or rows if there are fewer, times `scale`.

    A kernel [..., in, out] is seen as the matrix [... * in, out]. A product of Householder reflections along normal
    vectors is uniform among such matrices, as is the QR of a normal matrix.
    Reference: Stewart, The efficient generation of random orthogonal matrices, SIAM J. Numer. Anal. 1980.

    Example:
      >>> matrix = dl.initializers.orthogonal()(jax.random.key(0), (4, 2))
      >>> bool(jnp.allclose(matrix.T @ matrix, jnp.eye(2), atol=1e-6))
      True
    """

    def draw(key, shape, dtype=jnp.float32):
        rows, columns = math.prod(shape[:-1]), shape[-1]
        vectors = jax.random.normal(key, (max(rows, columns), min(rows, columns)), dtype)
        matrix = reflected(vectors)
        return (scale * (matrix if rows >= columns else matrix.T).reshape(shape)).astype(dtype)

    return draw


def reflected(vectors: jax.Array) -> jax.Array:
    """Orthonormal columns [n, m] of normal vectors [n, m], n >= m; of column k the rows from k on are used."""
    n, m = vectors.shape
    axes = jnp.eye(n, m, dtype=vectors.dtype)
    below = jnp.tril(vectors)
    signs = jnp.where(jnp.diagonal(below) < 0, -1, 1).astype(vectors.dtype)[None]
    below = below + axes * (signs * jnp.linalg.norm(below, axis=0, keepdims=True))
    units = below / jnp.linalg.norm(below, axis=0, keepdims=True)

    def reflect(i, matrix):
        unit = lax.dynamic_index_in_dim(units, m - 1 - i, 1)  # [n, 1]
        return matrix - 2 * unit * (unit.T @ matrix)

    return -signs * lax.fori_loop(0, m, reflect, axes)


@arguments(limit=number(0))
def uniform(limit: float | jax.Array = 0.05) -> Initializer:
    """Even on [-limit, limit); `nnx.initializers.uniform` draws from [0, limit).

    Raises:
      ArgumentError: a limit that is not a finite number of 0 or more.

    Example:
      >>> bool(jnp.abs(dl.initializers.uniform(0.1)(jax.random.key(0), (4, 2))).max() <= 0.1)
      True
    """

    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return draw


INITIALIZERS: dict[str, Initializer] = {
    "zeros": nnx.initializers.zeros,
    "constant": constant(0.01),
    "normal": normal(0.01),
    "uniform": uniform(0.05),
    "glorot_normal": nnx.initializers.glorot_normal(),
    "glorot_uniform": nnx.initializers.glorot_uniform(),
    "he_normal": nnx.initializers.he_normal(),
    "he_uniform": nnx.initializers.he_uniform(),
    "lecun_normal": nnx.initializers.lecun_normal(),
    "lecun_uniform": nnx.initializers.lecun_uniform(),
    "orthogonal": orthogonal(),
}

INITIALIZER = named("initializer", INITIALIZERS)

# Glorot and Bengio 2010, He et al. 2015, Klambauer et al. 2017, as PyTorch's `calculate_gain` has them.
_GAINS = {"identity": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": 2**0.5, "selu": 3 / 4}


@arguments(initializer=INITIALIZER)
def by_name(initializer: str | Initializer) -> Initializer:
    """The initializer of that name; a function passes through.

    Raises:
      ArgumentError: no initializer has that name; the message names the nearest.

    Example:
      >>> dl.initializers.by_name("zeros")(jax.random.key(0), (2,), jnp.float32)
      Array([0., 0.], dtype=float32)
    """
    return initializer if callable(initializer) else INITIALIZERS[initializer]


@arguments(activation=one_of(*_GAINS, "leaky_relu"), slope=number(-1e9, 1e9))
def gain(activation: str, slope: float | jax.Array = 0.1) -> float | jax.Array:
    """What to multiply weights of variance 1 / fan-in by, so that the activation keeps the size of its inputs.

    Args:
      activation: one of identity, sigmoid, tanh, relu, leaky_relu, selu: those with a published gain.
      slope: of leaky_relu.

    Raises:
      ArgumentError: another name; a slope that is not finite.
    Reference: Glorot and Bengio 2010; He et al. 2015, eq. 15: sqrt(2 / (1 + slope^2)).

    Example:
      >>> dl.initializers.gain("leaky_relu", slope=0.0) == dl.initializers.gain("relu")
      True
    """
    return (2 / (1 + slope**2)) ** 0.5 if activation == "leaky_relu" else _GAINS[activation]


@arguments(initializer=INITIALIZER, factor=number())
def scaled(initializer: str | Initializer, factor: float | jax.Array) -> Initializer:
    """The initializer's draws times a factor, e.g. `scaled("lecun_normal", gain("tanh"))`.

    Raises:
      ArgumentError: an unknown name, a factor that is not a finite number.

    Example:
      >>> dl.initializers.scaled(dl.initializers.constant(2.0), 3.0)(jax.random.key(0), (2,))
      Array([6., 6.], dtype=float32)
    """
    draw = by_name(initializer)
    # Back to the dtype asked for: a traced or a NumPy factor would decide it otherwise.
    return lambda key, shape, dtype=jnp.float32: (factor * draw(key, shape, dtype)).astype(dtype)
