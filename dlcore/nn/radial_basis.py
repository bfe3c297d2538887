"""Gaussian radial basis functions: the layer, and how to place its centres and choose its widths from data."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, DataError, check_positive_integer
from dlcore.nn.distances import squared_distances


class RadialBasis(nnx.Module):
    """Gaussian bumps around centres: `exp(-|x - centre_k|^2 / (2 width_k^2))`, [B, D] -> [B, K].

    Args:
      centres: [K, D]; widths: [K], positive.
      learned: centres and widths are parameters, the widths by their logarithm, which keeps them positive; else both
        are part of the model's state.
    Source: Broomhead and Lowe, Multivariable functional interpolation and adaptive networks, Complex Systems 1988.
    """

    def __init__(self, centres: jax.Array, widths: jax.Array, *, learned: bool):
        kind = nnx.Param if learned else nnx.Variable
        self.centres, self.log_widths = kind(centres), kind(jnp.log(widths))

    def __call__(self, x):
        scale = -0.5 * jnp.exp(-2 * self.log_widths[...])
        return jnp.exp(scale[None, :] * squared_distances(x, self.centres[...]))


def k_means_centres(inputs: Any, num_centres: int, *, seed: int = 0) -> np.ndarray:
    """Centres [num_centres, D] of the clusters that k-means finds in inputs [N, D]; computed on the host.

    Source: Moody and Darken, Fast learning in networks of locally-tuned processing units, Neural Computation 1989.

    Raises:
      ArgumentError: more centres than rows, or than different rows; inputs traced by JAX.
    """
    from sklearn.cluster import KMeans  # 0.5 s to import
    from sklearn.exceptions import ConvergenceWarning

    if isinstance(inputs, Tracer) or isinstance(seed, Tracer):
        raise ArgumentError(
            "k_means_centres: inputs or seed are traced; expects arrays with values. Call it outside of the function "
            "that is swept, pass the seed as a list (a static axis), or use random_centres."
        )
    inputs = np.asarray(inputs)
    _check_inputs("k_means_centres", inputs, num_centres)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            found = KMeans(num_centres, n_init="auto", random_state=seed).fit(inputs)
        except ConvergenceWarning as warning:
            raise ArgumentError(
                f"k_means_centres: num_centres is {num_centres}, the inputs have "
                f"{len(np.unique(inputs, axis=0))} different rows; expects at most as many."
            ) from warning
    return found.cluster_centers_


def random_centres(key: jax.Array, inputs: Any, num_centres: int) -> jax.Array:
    """A random choice of `num_centres` rows of inputs [N, D], none twice; the key is consumed and may be traced.

    Source: Broomhead and Lowe 1988.

    Raises:
      ArgumentError: more centres than rows.
    """
    _check_inputs("random_centres", inputs, num_centres)
    return jax.random.choice(key, jnp.asarray(inputs), (num_centres,), replace=False)


def nearest_centre_widths(centres: Any, num_neighbours: int = 2) -> jax.Array:
    """Width of each centre, [K]: root mean square distance to the `num_neighbours` nearest other centres.

    Source: Moody and Darken 1989, the P-nearest-neighbour heuristic.

    Raises:
      ArgumentError: not fewer neighbours than centres.
      DataError: centres that coincide, so that a width would be 0.
    """
    centres = jnp.asarray(centres)
    check_positive_integer("nearest_centre_widths: num_neighbours", num_neighbours)
    if num_neighbours >= len(centres):
        raise ArgumentError(
            f"nearest_centre_widths: num_neighbours is {num_neighbours}; expects fewer than the {len(centres)} centres."
        )
    distances = jnp.sum((centres[:, None] - centres[None]) ** 2, axis=-1)  # a few, and exactly 0 where they coincide
    nearest = jnp.sort(distances, axis=1)[:, 1 : num_neighbours + 1]  # the very nearest is the centre itself
    return _positive("nearest_centre_widths", jnp.sqrt(jnp.mean(nearest, axis=1)))


def spread_widths(centres: Any) -> jax.Array:
    """One width for all centres, [K]: the largest distance between two of them, divided by sqrt(2 K).

    Source: Haykin, Neural networks: a comprehensive foundation, 1999, section 5.13.

    Raises:
      ArgumentError: a single centre.
      DataError: all centres coincide.
    """
    centres = jnp.asarray(centres)
    count = len(centres)
    if count < 2:
        raise ArgumentError("spread_widths: there is 1 centre; expects two or more. Give the width yourself.")
    largest = jnp.max(jnp.sum((centres[:, None] - centres[None]) ** 2, axis=-1))
    return _positive("spread_widths", jnp.broadcast_to(jnp.sqrt(largest / (2 * count)), (count,)))


def _check_inputs(name: str, inputs: Any, num_centres: int) -> None:
    check_positive_integer(f"{name}: num_centres", num_centres)
    if inputs.ndim != 2 or inputs.dtype.kind != "f":
        raise DataError(f"{name}: inputs are {inputs.dtype}{list(inputs.shape)}; expects floats [N, features].")
    if num_centres > len(inputs):
        raise ArgumentError(
            f"{name}: num_centres is {num_centres}, the inputs have {len(inputs)} rows; expects at most as many."
        )


def _positive(name: str, widths: jax.Array) -> jax.Array:
    if not isinstance(widths, Tracer) and not (np.asarray(widths) > 0).all():
        raise DataError(
            f"{name}: centre {int(np.argmin(widths))} coincides with its neighbours, its width would be 0; expects "
            "different centres. Take fewer, or drop rows that occur twice."
        )
    return widths
