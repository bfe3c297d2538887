"""`balanced_weights`: what the rows of a data set count, so that its classes count the same."""

from typing import Any

import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments, array
from dlcore.core.errors import ArgumentError, DataError

CLASSES = array("biu", ndim=1, text="integer labels [N]")


@arguments(labels=CLASSES)
def balanced_weights(labels: Any) -> np.ndarray:
    """Weights [N] of rows that give each class the same total: N / (number of classes * rows of the class), mean 1.

    Either as weights of the loss, `dl.data.from_arrays(x, y, weights=...)`, or as probabilities of being drawn.

    Args:
      labels: integers [N]; classes without rows do not count.

    Returns:
      float32 [N].

    Raises:
      DataError: no labels. ArgumentError: traced ones.

    Example:
      >>> dl.data.balanced_weights(np.array([0, 0, 0, 1]))
      array([0.6666667, 0.6666667, 0.6666667, 2.       ], dtype=float32)
    """
    if isinstance(labels, Tracer):
        raise ArgumentError(
            "balanced_weights: labels are traced; expects known ones. Count them outside of the program."
        )
    _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if not len(counts):
        raise DataError("balanced_weights: there are no labels; expects at least one, [N].")
    return (len(classes) / (len(counts) * counts[classes])).astype(np.float32)
