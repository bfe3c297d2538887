"""Metrics of embeddings."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import arguments
from dlcore.core.errors import DataError, described
from dlcore.losses.checks import LABELS
from dlcore.losses.embeddings import GAUSSIAN, mutual_likelihood_scores
from dlcore.metrics.numbers import namespace, numbers, quiet, share
from dlcore.metrics.undefined import nan_where_nan
from dlcore.nn.embeddings import Gaussian

AT_ONCE = 2**24  # differences of numbers in memory, should they be written out
VANISHING = 2.0**-900  # squares near the end of float64's range


@arguments(embeddings=numbers("floats [B, features]", 2) | GAUSSIAN, labels=LABELS)
def nearest_neighbor_accuracy(embeddings: jax.Array | Gaussian, labels: jax.Array) -> jax.Array:
    """Share of examples whose nearest other example has the same label: [N, D], int [N] -> [].

    Nearest in Euclidean distance; of Gaussians, by the mutual likelihood score. Of equally near ones the first counts.
    All pairs are compared, a block of examples at a time, of at most 256. NaN if a number is NaN or infinite.

    Raises:
      DataError: embeddings and labels that do not fit, fewer than two examples.

    Example:
      >>> dl.metrics.nearest_neighbor_accuracy(jnp.array([[0.0], [0.1], [5.0]]), jnp.array([0, 0, 0]))
      Array(1., dtype=float32)
    """
    rows = jax.tree.leaves(embeddings)[0].shape[0]
    if labels.shape != (rows,) or rows < 2 or not jax.tree.leaves(embeddings)[0].size:
        raise DataError(
            f"nearest_neighbor_accuracy: embeddings are {described(embeddings)}, labels {described(labels)}; expects "
            f"floats [N, D] and integers [N], of two examples or more."
        )
    if not isinstance(labels, jax.Array):
        labels = np.unique(labels, return_inverse=True)[1]  # JAX would cut off the upper half of long integers
    if isinstance(embeddings, np.ndarray):
        nearest = _nearest_in_numpy(embeddings)
    else:
        nearest, labels = _nearest(embeddings), jnp.asarray(labels)
    finite = [abs(leaf) < np.inf for leaf in jax.tree.leaves(embeddings)]
    right = share(labels[nearest] == labels)
    return nan_where_nan(embeddings, right, defined=functools.reduce(operator.and_, finite))


def _raised(embeddings: Any) -> Any:
    """In units of a power of two, which rounds nothing: near the end of the range, so that no difference leaves it."""
    xp = namespace(embeddings)
    largest = xp.abs(embeddings).max()
    exponent = xp.frexp(xp.where(xp.isfinite(largest), largest, 1))[1]
    return xp.ldexp(embeddings, xp.finfo(embeddings.dtype).maxexp - 4 - exponent)


def _squares(differences: Any, there: Any) -> Any:
    """Squared lengths, [N, D] -> [N], in units of the shortest of those that are there: far ones may be inf."""
    xp = namespace(differences)
    largest = xp.abs(differences).max(axis=1)
    least = xp.where(there & (largest > 0), largest, xp.inf).min()
    exponent = xp.frexp(xp.where(xp.isfinite(least), least, 1))[1]
    unit = xp.ldexp(xp.ones((), differences.dtype), -exponent)
    return ((differences * unit) ** 2).sum(axis=1)


@quiet
def _nearest_in_numpy(embeddings: np.ndarray) -> np.ndarray:
    """Row of the nearest other example, [N], in float64."""
    from scipy.spatial.distance import cdist  # 0.2 s to import

    embeddings, nearest = _raised(embeddings), []
    small = np.ldexp(embeddings, -np.finfo(float).maxexp)  # now no square is beyond the range
    for start in range(0, len(embeddings), 256):
        squares = cdist(small[start : start + 256], small, "sqeuclidean")
        positions = np.arange(len(squares))
        squares[positions, start + positions] = np.inf
        for position in np.flatnonzero(squares.min(axis=1) < VANISHING):
            near = np.flatnonzero(squares[position] < VANISHING)
            squares[position] = np.inf
            squares[position, near] = _squares(embeddings[near] - embeddings[start + position], True)
        nearest.append(squares.argmin(axis=1))
    return np.concatenate(nearest)


def _nearest(embeddings: Any) -> jax.Array:
    """Row of the nearest other example, [N]."""
    if not isinstance(embeddings, Gaussian):
        embeddings = _raised(embeddings)
    rows, features = jax.tree.leaves(embeddings)[0].shape

    def nearest_of(position):
        one = jax.tree.map(lambda values: values[position][None], embeddings)
        other = jnp.arange(rows) != position
        if isinstance(embeddings, Gaussian):
            farness = -mutual_likelihood_scores(one, embeddings)[0]
        else:
            farness = _squares(embeddings - one, other)  # exact, where a product of matrices cancels
        return jnp.argmin(jnp.where(other, farness, jnp.inf))

    return jax.lax.map(nearest_of, jnp.arange(rows), batch_size=max(1, min(256, rows, AT_ONCE // (rows * features))))
