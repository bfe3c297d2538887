"""Metrics of real-valued targets: [N, ...], [N, ...] -> []. Known targets that are infinite are refused."""

import jax

from dlcore.core.arguments import arguments
from dlcore.losses.checks import check_same_shape
from dlcore.metrics.numbers import OUTPUTS, alike, namespace, quiet
from dlcore.metrics.undefined import nan_where_nan, refuse_infinite


@arguments(predictions=OUTPUTS, targets=OUTPUTS)
@quiet
def r2(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, 1 - residual / total sum of squares, summed over all columns.

    That is scikit-learn's with `multioutput="variance_weighted"`, except that a constant column counts with its
    residual. Constant targets, or a single example, leave nothing to explain: then it is 1 for a perfect prediction
    and 0 for any other.

    Raises:
      DataError: predictions and targets of different shapes, or without a row; known targets that are infinite.

    Example:
      >>> dl.metrics.r2(jnp.array([0.0, 2.0]), jnp.array([0.0, 2.0]))
      Array(1., dtype=float32)
    """
    check_same_shape("r2", predictions, targets)
    refuse_infinite("r2", "targets hold", targets)
    predictions, targets = alike(predictions, targets)
    xp = namespace(predictions, targets)
    # From the first row, so that a constant column is exactly 0 whatever its mean rounds to; in units of the largest
    # deviation, so that no square leaves the range of floats.
    deviations = targets - targets[:1]
    largest = xp.max(xp.abs(deviations))
    constant = largest == 0
    unit = xp.where(constant, 1, largest)
    deviations, errors = deviations / unit, (targets - predictions) / unit
    total = xp.sum((deviations - deviations.mean(axis=0, keepdims=True)) ** 2)
    explained = 1 - xp.sum(errors**2) / xp.where(constant, 1, total)
    perfect = xp.all(predictions == targets)
    return nan_where_nan((predictions, targets), xp.where(constant, perfect * 1.0, explained))


@arguments(predictions=OUTPUTS, targets=OUTPUTS)
@quiet
def mean_absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of |prediction - target| over rows and columns.

    Raises:
      DataError: predictions and targets of different shapes, or without a row; known targets that are infinite.

    Example:
      >>> dl.metrics.mean_absolute_error(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.0]))
      Array(0.5, dtype=float32)
    """
    check_same_shape("mean_absolute_error", predictions, targets)
    refuse_infinite("mean_absolute_error", "targets hold", targets)
    predictions, targets = alike(predictions, targets)
    return abs(predictions - targets).mean()
