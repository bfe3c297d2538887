"""Slopes of lines through points, one line a run."""

from collections.abc import Sequence

import numpy as np

from dlcore.core.arguments import arguments, array, number
from dlcore.core.errors import DataError, described
from dlcore.evidence.intervals import LEVEL, Interval, exact, fault, of_mean, undetermined

PLACES = array(ndim=1, text="where the points are [k]")
TOLERANCE = number(0, open_low=True)
SIGNIFICANCE = 0.05  # at which points are told from a line


@arguments(
    x=PLACES, y=array(ndim=2, text="numbers [n, k], a row of each independent run"), tolerance=TOLERANCE, level=LEVEL
)
def slopes_interval(
    x: Sequence[float] | np.ndarray, y: np.ndarray, *, tolerance: float = 0.15, level: float = 0.95
) -> Interval:
    """Mean over runs of the slope of the least-squares line, by Student's t of one slope a run.

    A power law is a line of logarithms. Points that make no line have no slope: where the mean curve is further from
    its line than `tolerance` allows, and by more than the runs scatter, the interval is undetermined.

    Args:
      x: [k], the same for all runs.
      y: [n, k]: a row a run.
      tolerance: how far the points may be from a line: twice the largest deviation over the range of x, in units of the
        slope, or of 1 where that is larger.
      level: of the interval.

    Raises:
      DataError: as many places as columns are expected.

    Example:
      >>> rows = np.array([[0.0, 1.1, 2.0], [0.0, 0.9, 2.1], [0.1, 1.0, 1.9]])
      >>> print(dl.evidence.slopes_interval([0.0, 1.0, 2.0], rows))
      0.983 [0.794, 1.17] (n=3)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    _check("slopes_interval", x, y)
    known = np.where(np.isfinite(y).all(axis=1), 0.0, np.nan)
    if reason := _no_places(x) or fault(known, "runs"):
        return undetermined(reason, len(y))
    slopes, deviations = _fitted(x, y)
    if reason := _no_line(x, y, slopes, deviations, tolerance):
        return undetermined(reason, len(y))
    return of_mean(slopes, level, "slopes")


@arguments(x=PLACES, y=array(ndim=1, text="numbers [k]"), tolerance=TOLERANCE)
def exact_slope(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, *, tolerance: float = 0.15
) -> Interval:
    """Slope of the least-squares line through points that were computed without any randomness.

    Args:
      x, y: [k] each.
      tolerance: as in `slopes_interval`.

    Raises:
      DataError: as many of both are expected.

    Example:
      >>> print(dl.evidence.exact_slope([0.0, 1.0, 2.0], [1.0, 3.0, 5.0]))
      exact: 2
      >>> print(dl.evidence.exact_slope([0.0, 1.0, 2.0], [0.0, 1.0, 4.0]))
      undetermined: the points make no line: local slopes from 1 to 3
    """
    x, y = np.asarray(x, float), np.asarray(y, float)[None]
    _check("exact_slope", x, y)
    if reason := _no_places(x) or fault(y[0], "points"):
        return undetermined(reason, 1)
    slopes, deviations = _fitted(x, y)
    reason = _no_line(x, y, slopes, deviations, tolerance)
    return undetermined(reason, 1) if reason else exact(slopes[0])


def _check(name: str, x: np.ndarray, y: np.ndarray) -> None:
    if y.shape[1] != len(x):
        raise DataError(f"{name}: x is {described(x)}, y {described(y)}; expects as many places as columns of y.")


def _no_places(x: np.ndarray) -> str:
    """Why there can be no line, or nothing."""
    if reason := fault(x, "points"):
        return reason
    return "all points lie at the same place" if np.ptp(x) == 0 else ""


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes [n] of the least-squares lines of rows, and what the rows deviate from them, [n, k]."""
    with np.errstate(all="ignore"):  # numbers near the largest: `_no_line` says so
        centered = x - x.mean()
        slopes = y @ centered / (centered @ centered)
        return slopes, y - y.mean(axis=1, keepdims=True) - slopes[:, None] * centered


def _no_line(x: np.ndarray, y: np.ndarray, slopes: np.ndarray, deviations: np.ndarray, tolerance: float) -> str:
    """Why the mean curve is no line, or nothing."""
    if not (np.isfinite(deviations).all() and np.isfinite(slopes).all()):
        return "the numbers are too large or too close together for a line"
    mean = deviations.mean(axis=0)
    worst = int(np.abs(mean).argmax())
    bend = 2 * abs(mean[worst]) / np.ptp(x)
    if bend <= tolerance * max(1.0, abs(slopes.mean())) or not _is_significant(deviations[:, worst], len(x)):
        return ""
    places, inverse = np.unique(x, return_inverse=True)
    heights = np.bincount(inverse, y.mean(axis=0)) / np.bincount(inverse)
    local = np.diff(heights) / np.diff(places)
    return f"the points make no line: local slopes from {local.min():.3g} to {local.max():.3g}"


def _is_significant(deviations: np.ndarray, num_places: int) -> bool:
    """Whether deviations [n] at the worst of so many places are more than scatter; a single run has none."""
    found = of_mean(deviations, 1 - SIGNIFICANCE / num_places, "deviations")
    return found.bound == "none" or not found.low <= 0 <= found.high
