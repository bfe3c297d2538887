"""Gaussian radial basis functions: the layer, and how to place its centers and choose its widths from data."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.arguments import arguments, array, integer, key
from dlcore.core.dtypes import in_single
from dlcore.core.errors import ArgumentError, DataError
from dlcore.nn.distances import squared_distances

CENTERS = array("f", ndim=2, text="floats [num_centers, features]")
ROWS = array("f", ndim=2, text="floats [N, features]")
COUNT = integer(1, 2**24)


class RadialBasis(nnx.Module):
    """Gaussian bumps around centers: `exp(-|x - center_k|^2 / (2 width_k^2))`, [B, D] -> [B, K].

    Args:
      centers: [K, D]; widths: [K], positive.
      learned: centers and widths are parameters, the widths by their logarithm, which keeps them positive; else both
        are part of the model's state.
    Reference: Broomhead and Lowe, Multivariable functional interpolation and adaptive networks, Complex Systems 1988.
    """

    def __init__(self, centers: jax.Array, widths: jax.Array, *, learned: bool):
        kind = nnx.Param if learned else nnx.Variable
        self.centers, self.log_widths = kind(centers), kind(jnp.log(widths))

    def __call__(self, x):
        log_widths = self.log_widths[...]
        most = 0.5 * jnp.log(jnp.finfo(log_widths.dtype).max) - 1  # beyond, 1 / width^2 is inf, and times 0 it is NaN
        scale = -0.5 * jnp.exp(2 * jnp.clip(-log_widths, -most, most))
        return jnp.exp(scale[None, :] * squared_distances(x, self.centers[...]))


@arguments(inputs=ROWS, num_centers=COUNT, seed=integer(0, 2**32 - 1))
def k_means_centers(inputs: Any, num_centers: int, *, seed: int = 0) -> np.ndarray:
    """Centers [num_centers, D] of the clusters that k-means finds in inputs [N, D]; computed on the host.

    Reference: Moody and Darken, Fast learning in networks of locally-tuned processing units, Neural Computation 1989.

    Raises:
      ArgumentError: more centers than rows, or than different rows; inputs traced by JAX.
      DataError: inputs that are not finite.

    Example:
      >>> sorted(dl.models.k_means_centers(np.array([[0.0], [2.0], [9.0]]), 2)[:, 0].tolist())
      [1.0, 9.0]
    """
    from sklearn.cluster import KMeans  # 0.5 s to import
    from sklearn.exceptions import ConvergenceWarning

    if isinstance(inputs, Tracer):
        raise ArgumentError(
            "k_means_centers: inputs are traced; expects arrays with values. Call it outside of the function that is "
            "swept, or use random_centers."
        )
    # In float32 scikit-learn's distances are noise where clusters are small and far from each other.
    inputs = np.asarray(inputs).astype(np.float64)
    _check_inputs("k_means_centers", inputs, num_centers)
    if not inputs.shape[1] or not np.isfinite(inputs).all():
        raise DataError(
            f"k_means_centers: inputs {list(inputs.shape)} are empty or not finite; expects finite numbers."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            found = KMeans(num_centers, n_init="auto", random_state=seed).fit(inputs)
        except ConvergenceWarning as warning:
            raise ArgumentError(
                f"k_means_centers: num_centers is {num_centers}, the inputs have "
                f"{len(np.unique(inputs, axis=0))} different rows; expects at most as many."
            ) from warning
    return found.cluster_centers_


@arguments(key=key, inputs=ROWS, num_centers=COUNT)
def random_centers(key: jax.Array, inputs: Any, num_centers: int) -> jax.Array:
    """A random choice of `num_centers` rows of inputs [N, D], none twice; the key is consumed and may be traced.

    Reference: Broomhead and Lowe 1988.

    Raises:
      ArgumentError: more centers than rows.

    Example:
      >>> dl.models.random_centers(jax.random.key(0), jnp.ones((5, 2)), 3).shape
      (3, 2)
    """
    _check_inputs("random_centers", inputs, num_centers)
    return jax.random.choice(key, jnp.asarray(inputs), (num_centers,), replace=False)


@arguments(centers=CENTERS, num_neighbors=COUNT)
def nearest_center_widths(centers: Any, num_neighbors: int = 2) -> jax.Array:
    """Width of each center, [K]: root mean square distance to the `num_neighbors` nearest other centers.

    Reference: Moody and Darken 1989, the P-nearest-neighbor heuristic.

    Raises:
      ArgumentError: not fewer neighbors than centers.
      DataError: centers that coincide, so that a width would be 0.

    Example:
      >>> dl.models.nearest_center_widths(jnp.array([[0.0], [1.0], [5.0]]), 1)
      Array([1., 1., 4.], dtype=float32)
    """
    centers = in_single(centers)
    if num_neighbors >= len(centers):
        raise ArgumentError(
            f"nearest_center_widths: num_neighbors is {num_neighbors}; expects fewer than the {len(centers)} centers."
        )
    distances = squared_distances(centers, centers)  # exactly 0 where they coincide
    nearest = jnp.sort(distances, axis=1)[:, 1 : num_neighbors + 1]  # the very nearest is the center itself
    return _positive("nearest_center_widths", jnp.sqrt(jnp.mean(nearest, axis=1)))


@arguments(centers=CENTERS)
def spread_widths(centers: Any) -> jax.Array:
    """One width for all centers, [K]: the largest distance between two of them, divided by sqrt(2 K).

    Reference: Haykin, Neural networks: a comprehensive foundation, 1999, section 5.13.

    Raises:
      ArgumentError: a single center.
      DataError: all centers coincide.

    Example:
      >>> dl.models.spread_widths(jnp.array([[0.0], [4.0]]))
      Array([2., 2.], dtype=float32)
    """
    centers = in_single(centers)
    count = len(centers)
    if count < 2:
        raise ArgumentError(f"spread_widths: there are {count} centers; expects two or more. Give the width yourself.")
    largest = jnp.max(squared_distances(centers, centers))
    return _positive("spread_widths", jnp.broadcast_to(jnp.sqrt(largest / (2 * count)), (count,)))


def _check_inputs(name: str, inputs: Any, num_centers: int) -> None:
    if num_centers > len(inputs):
        raise ArgumentError(
            f"{name}: num_centers is {num_centers}, the inputs have {len(inputs)} rows; expects at most as many."
        )


def _positive(name: str, widths: jax.Array) -> jax.Array:
    if not isinstance(widths, Tracer) and not np.isfinite(widths).all():
        raise DataError(
            f"{name}: the centers are not finite, or too far apart; expects numbers below 1e18. Scale them."
        )
    if not isinstance(widths, Tracer) and not (np.asarray(widths) > 0).all():
        raise DataError(
            f"{name}: center {int(np.argmin(widths))} coincides with its neighbors, its width would be 0; expects "
            "different centers. Take fewer, or drop rows that occur twice."
        )
    return widths
