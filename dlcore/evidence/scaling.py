"""How steps to a target depend on the batch size, and the batch size beyond which larger ones no longer pay."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dlcore.core.arguments import NONE, arguments, array, integer
from dlcore.core.errors import DataError, described, shown
from dlcore.evidence.intervals import LEVEL, Interval, geometric_mean_interval, undetermined

SIZES = array("iuf", ndim=1, text="batch sizes [k]")
NUM_EXAMPLES = integer(2) | NONE
LEAST, MOST = 1e-6, 1e15  # sizes and steps whose logarithms can be fitted
LOG_BOUNDS = (-20.0, 40.0)


class Scaling(NamedTuple):
    """`steps = fewest_steps * (1 + critical_batch_size * noise)`, where `noise` is `1 / batch_size`.

    Of a train set of `num_examples` n, where batches are drawn without replacement, it is
    `(n - batch_size) / (n - 1) / batch_size`: the full batch has none.

    fewest_steps: without noise. critical_batch_size: at which twice as many are needed, if the train set is much
    larger; it may be larger than the train set itself.

    Example:
      >>> scaling = dl.evidence.Scaling(fewest_steps=100.0, critical_batch_size=32.0)
      >>> scaling([1, 32])
      array([3300.,  200.])
    """

    fewest_steps: float
    critical_batch_size: float
    num_examples: int | None = None

    def __call__(self, batch_size: Sequence[float] | np.ndarray) -> np.ndarray:
        """Predicted steps to the target."""
        return self.fewest_steps * (1 + self.critical_batch_size * _noise(np.asarray(batch_size), self.num_examples))


@arguments(batch_sizes=SIZES, steps=array("iuf", ndim=1, text="steps to the target [k]"), num_examples=NUM_EXAMPLES)
def fit_scaling(
    batch_sizes: Sequence[float] | np.ndarray,
    steps: Sequence[float] | np.ndarray,
    *,
    num_examples: int | None = None,
) -> Scaling:
    """Fit `steps = s_min (1 + B_crit / B)` to the steps to a target, by least squares of the logarithms.

    Args:
      batch_sizes: [k], positive.
      steps: [k], positive; entries where it is not finite are left out.
      num_examples: n, in the train set that batches are drawn from without replacement: `1 / B` becomes
        `(n - B) / (n - 1) / B`, which is zero for the full batch. None: with replacement, or many more than in a batch.

    Raises:
      DataError: fewer than two batch sizes reached the target; sizes or steps beyond [1e-6, 1e15]; a batch of more
        examples than there are.
    Reference: McCandlish et al., An empirical model of large-batch training, 2018, eq. 2.11.

    Example:
      >>> fitted = dl.evidence.fit_scaling([1, 8, 64], [3300.0, 500.0, 150.0])
      >>> round(fitted.fewest_steps), round(fitted.critical_batch_size)
      (100, 32)
    """
    batch_sizes, steps = np.asarray(batch_sizes, float), np.asarray(steps, float)
    _check_sizes("fit_scaling", batch_sizes, num_examples)
    if batch_sizes.shape != steps.shape:
        raise DataError(
            f"fit_scaling: batch_sizes are {described(batch_sizes)}, steps {described(steps)}; expects as many of both."
        )
    known = np.isfinite(steps)
    if not _in_range(steps[known]):
        raise DataError(f"fit_scaling: steps are {shown(steps[known])}; expects numbers from 1e-6 to 1e15.")
    count = len(np.unique(batch_sizes[known]))
    if count < 2:
        raise DataError(f"{count} batch sizes reached the target; a fit of two parameters needs two or more.")
    return _fitted(batch_sizes, steps, num_examples)


@arguments(
    batch_sizes=SIZES,
    steps=array("iuf", ndim=2, text="steps to the target [n, k], a row of each independent run"),
    num_examples=NUM_EXAMPLES,
    level=LEVEL,
)
def critical_batch_size(
    batch_sizes: Sequence[float] | np.ndarray,
    steps: np.ndarray,
    *,
    num_examples: int | None = None,
    level: float = 0.95,
) -> Interval:
    """Geometric mean over seeds of the critical batch size that `fit_scaling` finds for each.

    Undetermined unless each seed has batch sizes on both sides of its own: some that need more than twice its fewest
    steps, and some that need less. Beyond them the fit would extrapolate.

    Args:
      batch_sizes: [k], positive.
      steps: [n, k], a row for each seed; not finite where it never arrived.
      num_examples: as in `fit_scaling`.
      level: of the interval.

    Raises:
      DataError: as many sizes as columns are expected, from 1e-6 to 1e15, and no more than the examples.

    Example:
      >>> steps = np.array([[3300.0, 500.0, 150.0], [3000.0, 480.0, 140.0], [3500.0, 510.0, 155.0]])
      >>> print(dl.evidence.critical_batch_size([1, 8, 64], steps))
      32.1 [30.3, 34] (n=3)
      >>> print(dl.evidence.critical_batch_size([1, 2], steps[:, :2]))
      undetermined: 3 of 3 seeds have no batch sizes on both sides of the critical one
    """
    batch_sizes, steps = np.asarray(batch_sizes, float), np.asarray(steps, float)
    _check_sizes("critical_batch_size", batch_sizes, num_examples)
    if steps.shape[1] != len(batch_sizes):
        raise DataError(
            f"critical_batch_size: batch_sizes are {described(batch_sizes)}, steps {described(steps)}; expects as many "
            "sizes as columns of steps."
        )
    if reason := _few_points(batch_sizes, steps):
        return undetermined(reason, len(steps))
    sizes = np.array([_fitted(batch_sizes, row, num_examples).critical_batch_size for row in steps])
    noise = np.where(np.isfinite(steps), _noise(batch_sizes, num_examples), np.nan)
    beyond = ~((np.nanmin(noise, axis=1) * sizes < 1) & (np.nanmax(noise, axis=1) * sizes > 1))
    if beyond.any():
        reason = f"{beyond.sum()} of {len(steps)} seeds have no batch sizes on both sides of the critical one"
        return undetermined(reason, len(steps))
    return geometric_mean_interval(sizes, level=level)


def _few_points(batch_sizes: np.ndarray, steps: np.ndarray) -> str:
    """Why rows of steps cannot all be fitted, or nothing."""
    if not len(steps):
        return "no seeds"
    arrived = np.isfinite(steps)
    if not _in_range(steps[arrived]):
        return "steps that are not from 1e-6 to 1e15"
    few = sum(len(np.unique(batch_sizes[row])) < 2 for row in arrived)
    return f"{few} of {len(steps)} seeds reached the target with fewer than two batch sizes" if few else ""


def _noise(batch_sizes: np.ndarray, num_examples: int | None) -> np.ndarray:
    """Variance of a batch's mean gradient, in units of one example's; drawn without replacement from a finite set."""
    if num_examples is None:
        return 1 / batch_sizes
    return (num_examples - batch_sizes) / (num_examples - 1) / batch_sizes


def _fitted(batch_sizes: np.ndarray, steps: np.ndarray, num_examples: int | None) -> Scaling:
    from scipy import optimize  # 0.2 s to import

    known = np.isfinite(steps)
    noise, logs = _noise(batch_sizes[known], num_examples), np.log(steps[known])

    def residuals(params):
        return params[0] + np.log1p(np.exp(params[1]) * noise) - logs

    start = [logs.min(), math.log(np.median(batch_sizes[known]))]
    fewest, critical = np.exp(optimize.least_squares(residuals, start, bounds=LOG_BOUNDS).x)
    return Scaling(float(fewest), float(critical), num_examples)


def _in_range(values: np.ndarray) -> bool:
    return bool(((values >= LEAST) & (values <= MOST)).all())


def _check_sizes(name: str, batch_sizes: np.ndarray, num_examples: int | None) -> None:
    if not _in_range(batch_sizes):
        raise DataError(f"{name}: batch_sizes are {shown(batch_sizes)}; expects numbers from 1e-6 to 1e15.")
    if num_examples is not None and (batch_sizes > num_examples).any():
        raise DataError(
            f"{name}: batch_sizes are {shown(batch_sizes)} of num_examples {num_examples}; expects no more than those."
        )
