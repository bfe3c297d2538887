"""What float32 cannot hold apart: seconds since 1970, identifiers, small changes of a large number."""

from typing import Any

import numpy as np

EXACT = 1 << 24  # float32 holds all integers up to here
FINE = 0.03  # largest step of float32 as a share of the standard deviation of a column
NOISE = 1e-11  # a range this small against the values is what float64 leaves of a constant
OFFSET = 1000.0  # above it values near the largest are judged by themselves: 0 may stand for a missing time
FEWEST = 0.1  # of all rows, that they are judged by themselves
MOST_LIKE = 0.9  # of the gaps of a clock are multiples of one, and of its values come equally often


def lost(values: np.ndarray) -> tuple[int, str] | None:
    """The first column [..., columns] that float32 would spoil, and how in words; None if there is none.

    Of integers, also whole numbers in float64, no more than one in a hundred may become another. Floats are rounded
    anyway; but the steps of float32 must be small against their standard deviation, and a clock or counter must stay
    one. The order of the rows does not matter.

    Args:
      values: finite numbers, [N] for a single column.
    """
    if not spoils(values.dtype) or not values.size:
        return None
    if values.dtype.kind in "iu" and values.min() >= -EXACT and values.max() <= EXACT:
        return None
    table = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    for column in np.flatnonzero(_doubtful(table)):
        exact = table[:, column]
        with np.errstate(over="ignore"):
            rounded = exact.astype(np.float32)
        if exact.dtype.kind in "iu" or np.any(rounded != exact):
            words = _spoiled(exact, rounded)
            if words is not None:
                return int(column), words
    return None


def spoils(dtype: Any) -> bool:
    """Whether float32 holds less than this dtype."""
    return dtype.kind in "iuf" and dtype.itemsize >= 4 and dtype != np.float32


def _doubtful(table: np.ndarray) -> Any:
    """Columns to look at closely: all that have large values, or a range of few steps for as many rows."""
    low, high = table.min(0).astype(np.float64), table.max(0).astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    if table.dtype.kind in "iu":
        return largest > EXACT
    with np.errstate(over="ignore", invalid="ignore"):
        step, width = np.spacing(largest.astype(np.float32)), high - low
        # Two rows at the ends make the least standard deviation, rows in each second tick the narrowest clock.
        return (largest > OFFSET) | (step * np.sqrt(2 * len(table)) > FINE * width) | (4 * step * len(table) > width)


def _spoiled(exact: np.ndarray, rounded: np.ndarray) -> str | None:
    largest = np.abs(exact).max()
    if exact.dtype.kind in "iu" or (largest > EXACT and (exact == np.rint(exact)).all()):
        return _together(exact, rounded, allowed=0.01)
    if not largest <= np.finfo(np.float32).max:
        return None
    step = float(np.spacing(np.float32(largest)))
    near = np.abs(exact) > largest / 2 if largest > OFFSET else np.ones(len(exact), bool)
    if near.mean() < FEWEST:
        near[:] = True
    exact, rounded = exact[near], rounded[near]
    low, high = float(exact.min()), float(exact.max())
    if not NOISE * largest < high - low < np.inf:
        return None
    if step > FINE * float((exact / largest).std()) * float(largest):
        return f"{low:.17g} to {high:.17g}, where float32 has steps of {step:.3g}"
    return _together(exact, rounded, allowed=0) if _ticks(exact, step) else None


def _ticks(exact: np.ndarray, step: float) -> bool:
    """Whether the values are a clock or a counter that is finer than float32, maybe with some left out."""
    values, counts = np.unique(exact, return_counts=True)
    gaps = np.diff(values)
    gap = np.median(gaps)
    if gap >= 2 * step:
        return False
    times = gaps / gap
    regular = (np.abs(times - np.rint(times)) < 0.25) & (times > 0.5)
    return regular.mean() > MOST_LIKE and (counts == np.median(counts)).mean() > MOST_LIKE


def _together(exact: np.ndarray, rounded: np.ndarray, *, allowed: float) -> str | None:
    """Two values that become one, where more than the allowed share of them does."""
    values, first = np.unique(exact, return_index=True)
    same = rounded[first][1:] == rounded[first][:-1]
    if exact.dtype.kind == "f":
        same &= np.diff(values) > NOISE * np.abs(values[1:])
    if same.sum() <= allowed * len(values):
        return None
    at = int(np.argmax(same))
    return f"{_text(values[at])} and {_text(values[at + 1])}, which are one number in float32"


def _text(value: Any) -> str:
    return str(int(value)) if value == int(value) else f"{value:.17g}"
