"""Regressions in closed form, on the host, in float64."""

from typing import Any

import numpy as np

from dlcore.core.arguments import arguments, array, integer
from dlcore.core.errors import ArgumentError

MATRIX = array(ndim=2, text="numbers [N, columns]")


@arguments(inputs=MATRIX, targets=MATRIX, rank=integer())
def reduced_rank_regression(inputs: Any, targets: Any, rank: int) -> np.ndarray:
    """The matrix [num_inputs, num_targets] of that rank at most with the least squared error of `inputs @ matrix`.

    Least squares, projected onto the first right singular vectors of what it predicts; with as many ranks as inputs or
    targets it is least squares. No intercept: center both first.

    Args:
      inputs: [N, num_inputs]. targets: [N, num_targets].
      rank: of the matrix, at most; what a linear network computes whose narrowest layer has so many units.

    Raises:
      ArgumentError: as many rows of both are expected.
    Reference: Izenman, Reduced-rank regression for the multivariate linear model, J. Multivariate Anal. 1975.

    Example:
      >>> inputs = np.array([[1.0, 0.0], [0.0, 1.0]])
      >>> dl.textbook.reduced_rank_regression(inputs, np.diag([3.0, 1.0]), 1).round(3).tolist()
      [[3.0, 0.0], [0.0, 0.0]]
    """
    inputs, targets = np.asarray(inputs, float), np.asarray(targets, float)
    if len(inputs) != len(targets):
        raise ArgumentError(
            f"reduced_rank_regression: inputs have {len(inputs)} rows, targets {len(targets)}; expects one target for "
            "each input."
        )
    full = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    directions = np.linalg.svd(inputs @ full, full_matrices=False)[2][:rank]
    return full @ directions.T @ directions
