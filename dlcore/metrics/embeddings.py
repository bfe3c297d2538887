"""Metrics of embeddings."""

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments
from dlcore.core.errors import DataError, described
from dlcore.losses.checks import LABELS
from dlcore.losses.embeddings import EMBEDDINGS, GAUSSIAN, mutual_likelihood_scores
from dlcore.metrics.undefined import nan_where_nan
from dlcore.nn.distances import squared_distances
from dlcore.nn.embeddings import Gaussian


@arguments(embeddings=EMBEDDINGS | GAUSSIAN, labels=LABELS)
def nearest_neighbor_accuracy(embeddings: jax.Array | Gaussian, labels: jax.Array) -> jax.Array:
    """Share of examples whose nearest other example has the same label: [N, D], int [N] -> [].

    Nearest in Euclidean distance; of Gaussians, by the mutual likelihood score. All pairs are compared, a block of 256
    examples at a time.

    >>> dl.metrics.nearest_neighbor_accuracy(jnp.array([[0.0], [0.1], [5.0]]), jnp.array([0, 0, 0]))
    Array(1., dtype=float32)
    """
    rows = jax.tree.leaves(embeddings)[0].shape[0]
    if labels.shape != (rows,) or not rows:
        raise DataError(
            f"nearest_neighbor_accuracy: embeddings are {described(embeddings)}, labels {described(labels)}; expects "
            f"integers [{rows}], one or more."
        )

    def is_right(position):
        one = jax.tree.map(lambda values: values[position][None], embeddings)
        if isinstance(embeddings, Gaussian):
            nearness = mutual_likelihood_scores(one, embeddings)[0]
        else:
            nearness = -squared_distances(one, embeddings)[0]
        others = jnp.where(jnp.arange(len(labels)) == position, -jnp.inf, nearness)
        return labels[jnp.argmax(others)] == labels[position]

    embeddings, labels = jax.tree.map(jnp.asarray, (embeddings, labels))
    right = jax.lax.map(is_right, jnp.arange(len(labels)), batch_size=min(len(labels), 256))
    return nan_where_nan(embeddings, jnp.mean(right))
