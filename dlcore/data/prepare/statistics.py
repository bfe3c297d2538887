"""Mean, range and deviation of columns, channels or all values, in two passes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dlcore.core.errors import DataError
from dlcore.core.values import pieces

CHUNK = 1000  # rows of which a float64 copy is made at a time


class Statistics(NamedTuple):
    """Of each column, channel or of all values, of size 1 along the axes they are taken over.

    low: the smallest value. center, rest: the mean is their sum; the center is one that float32 holds where it can, so
    that it can be subtracted from values near it without loss. spread: from the smallest to the largest value.
    deviation: the standard deviation. select: of (value where values vary, value where they are constant). Of constant
    values the center is the value, spread and deviation are 1.
    """

    low: Any
    center: Any
    rest: Any
    spread: Any
    deviation: Any
    select: Callable[[float, float], Any]


def statistics(values: Any, axes: int | tuple[int, ...] | None) -> Statistics:
    """Of an array [N, ...] over these axes: of NumPy's in float64, of traced ones in float32 or what is wider.

    Not by E[x^2] - E[x]^2, of which little is left where the mean is large.
    """
    xp = np if isinstance(values, np.ndarray) else jnp
    wide = np.dtype(np.float64) if xp is np else _wide(values.dtype)
    low, high = (end.astype(wide) for end in (values.min(axes, keepdims=True), values.max(axes, keepdims=True)))
    varies = high > low  # by the values: the deviation of equal ones is a rounding error above 0
    with np.errstate(over="ignore"):
        spread = xp.where(varies, high - low, 1)
    if xp is jnp:  # out of range in a trace is NaN
        spread = jnp.where(jnp.isinf(spread), jnp.nan, spread)
    elif not np.isfinite(spread).all():
        raise DataError("a normalizer: values span more than float64 holds; expects less. Rescale them first.")

    def mean(function):
        chunks = [values] if xp is jnp else np.array_split(values, max(1, len(values) // CHUNK))
        total: Any = sum(function(chunk.astype(wide)).sum(axes, keepdims=True) for chunk in chunks)
        return total / (values.size // total.size)

    # In units of the spread: squares of tiny numbers would be 0, of large ones infinite.
    center = low + mean(lambda x: (x - low) / spread) * spread
    center = xp.where(varies, _in_float32(center) if xp is np else center, low)
    rest = mean(lambda x: (x - center) / spread)
    variance = mean(lambda x: ((x - center) / spread) ** 2) - rest**2
    deviation = xp.where(varies, xp.sqrt(variance) * spread, 1)
    return Statistics(low, center, rest * spread, spread, deviation, lambda *cases: xp.where(varies, *cases))


def check_finite(what: str, values: np.ndarray) -> None:
    """Raise `DataError` where values are NaN or infinite."""
    if values.dtype.kind in "biu":
        return
    for part in pieces(values):
        piece = values[part]
        wrong = ~np.isfinite(piece.astype(np.float32) if values.dtype.itemsize < 4 else piece)
        if wrong.any():
            first = [int(i) for i in np.argwhere(wrong)[0]]
            index = [part.start + first[0], *first[1:]]
            raise DataError(
                f"{what} of a normalizer: values hold {values[tuple(index)]} at {index}; expects finite numbers. Drop "
                "or impute them first."
            )


def _in_float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        near = values.astype(np.float32).astype(np.float64)
    return np.where(np.isfinite(near), near, values)


def _wide(dtype: Any) -> np.dtype:
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.dtype(dtype) if floating and np.dtype(dtype).itemsize > 4 else np.dtype(jnp.result_type(float))
