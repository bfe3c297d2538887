"""Arrays as they enter a data set: numbers, in rows, in the dtypes that JAX computes with; or why they are none."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable
from weakref import WeakValueDictionary

import jax
import numpy as np
from jax.core import Tracer

from dlcore.core import precision
from dlcore.core.arguments import RefusedError, as_array
from dlcore.core.errors import DataError, shown

ALIGNMENT = 64  # bytes
BYTES_OF_PIECE = 1 << 20  # of a large array, checked or copied at a time
FIXES = {  # by the kind of a dtype that holds no numbers
    "M": "Make numbers of times: (x - x.min()) / np.timedelta64(1, 's').",
    "m": "Make numbers of durations: x / np.timedelta64(1, 's').",
    "c": "Give the parts of complex numbers: np.stack([x.real, x.imag], axis=-1).",
    "U": "Number the strings, np.unique(x, return_inverse=True)[1], or read them as numbers, x.astype(float).",
    "S": "Number the strings, np.unique(x, return_inverse=True)[1], or read them as numbers, x.astype(float).",
    "O": "If its objects are numbers, x.astype(float); else number them, column by column: pandas.factorize(x)[0].",
    "V": "Put the fields side by side: numpy.lib.recfunctions.structured_to_unstructured(x).",
}

_aligned: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()  # by id


@runtime_checkable
class Fetched(Protocol):
    """Inputs that are not in memory: the rows of a batch are read inside the step. `dl.data.Streamed` is one."""

    def fetch(self, rows: jax.Array) -> jax.Array:
        """Rows [..., B] as an array [..., B, ...] on the device; may be traced."""
        ...


def checked_arrays(
    values: Any, name: str, columns: Sequence[str] = (), beside: Any = None, *, copy: bool = True
) -> Any:
    """An array, or a dictionary or tuple of them.

    Args:
      columns: names along the last axis, for what is wrong. beside: further rows of the same, which tell how far values
        are apart; or None. copy: in the dtypes that JAX computes with, by `canonical`; else as they were given.
    """
    if isinstance(values, Mapping):
        if not values or not all(isinstance(key, str) for key in values):
            raise DataError(f"{name} are {shown(values)}; a dictionary of them expects names, strings, and arrays.")
        others = beside if isinstance(beside, Mapping) else {}
        return {
            key: checked_arrays(each, f"{name}[{key!r}]", (), others.get(key), copy=copy)
            for key, each in values.items()
        }
    if isinstance(values, tuple) and values and all(_is_several(each) for each in values):
        others = beside if isinstance(beside, tuple) and len(beside) == len(values) else (None,) * len(values)
        parts = [
            checked_arrays(each, f"{name}[{position}]", (), other, copy=copy)
            for position, (each, other) in enumerate(zip(values, others, strict=True))
        ]
        return type(values)(*parts) if hasattr(values, "_fields") else tuple(parts)
    return checked_array(values, name, columns, beside, copy=copy)


def checked_array(
    values: Any,
    name: str,
    columns: Sequence[str] = (),
    beside: Any = None,
    *,
    told_apart: bool = True,
    copy: bool = True,
) -> Any:
    """One array of numbers, at least one row. told_apart: whether float32 has to tell its values apart."""
    try:
        array: Any = values if isinstance(values, Tracer | Fetched) else as_array(values)
    except RefusedError as refusal:
        fix = " Pad the rows to one length." * ("inhomogeneous" in str(refusal))
        raise DataError(f"{name} are not a rectangular array of numbers. {refusal}{fix}") from None
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.extended):
        raise DataError(f"{name} are random keys; expects numbers.")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        fix = _dense(values) or _from_table(values) or fix_of(array.dtype)
        raise DataError(f"{name} have dtype {array.dtype}; expects numbers. {fix}")
    if array.ndim == 0 or array.shape[0] == 0:
        raise DataError(f"{name} have shape {array.shape}; expects at least one row along the first dimension.")
    if isinstance(array, Tracer | Fetched):
        return array
    found = np.asarray(array)
    converted = canonical(found, name, columns, copy=copy)
    if told_apart:
        check_precision(found, name, columns, beside)
    return converted


def check_precision(found: np.ndarray, name: str, columns: Sequence[str] = (), beside: Any = None) -> None:
    """Raise `DataError` where float32 does not tell apart what has to be; `beside` as in `checked_arrays`."""
    if jax.dtypes.canonicalize_dtype(found.dtype) == np.float64 or (lost := precision.lost(found)) is None:
        return
    if isinstance(beside, np.ndarray) and beside.shape[1:] == found.shape[1:]:
        lost = precision.lost(np.concatenate([found, beside]))
    if lost is not None:
        column, words = lost
        where = f": column {column}{named(columns, column)} holds" if found.ndim > 1 else " hold"
        raise DataError(
            f"{name}{where} {words}; models compute in float32. Subtract the minimum, "
            "x - x.min(0), or leave them out if they only identify rows. If that precision will do, round them: "
            "x.astype(np.float32)."
        )


def canonical(array: np.ndarray, name: str, columns: Sequence[str] = (), *, copy: bool = True) -> np.ndarray:
    """In the dtype that JAX computes with, or an error where that would change a value beyond rounding.

    A copy, unless nobody can write to the array anyway, since it is `sealed`; copy: False only checks.
    """
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    _check_fits(array, dtype, name, columns)
    if not copy or (_is_aligned(array) and not array.flags.writeable and array.dtype == dtype):
        return array
    return _copied(array, None, dtype)


def _check_fits(array: np.ndarray, dtype: Any, name: str, columns: Sequence[str]) -> None:
    """Raise `DataError` where a dtype would change a value beyond rounding."""
    if array.dtype.kind in "biu" and dtype == array.dtype:
        return  # nothing to check; images are large
    first, count = None, 0
    for part in pieces(array):
        piece = array[part]
        with np.errstate(over="ignore"):  # it is reported below, with its row
            converted = piece.astype(dtype, copy=False)
        if array.dtype.kind in "iu":
            wrong = converted.astype(array.dtype) != piece
        else:
            wrong = ~np.isfinite(converted.astype(np.float32) if dtype.name == "bfloat16" else converted)
        if wrong.any():
            index = [int(i) for i in np.argwhere(wrong)[0]]
            first = first or (part.start + index[0], *index[1:])
            count += int(wrong.sum())
    if first is not None:
        whole, floats = (
            "Subtract their minimum, or pass floats: x.astype(float).",
            "Drop, impute or rescale them first.",
        )
        fix = whole if array.dtype.kind in "iu" else floats
        raise DataError(
            f"{name} hold {array[first]} at {_place(first, columns)}, and {count - 1} more such values; "
            f"expects finite numbers that fit {dtype}. {fix}"
        )


def _is_several(values: Any) -> bool:
    """Whether what a tuple holds is an array of its own; lists and numbers make up one array together."""
    return isinstance(values, Mapping | Fetched) or (isinstance(values, np.ndarray | jax.Array) and values.ndim > 0)


def fix_of(dtype: Any) -> str:
    """What makes numbers of an array of this dtype, which holds none."""
    if dtype.kind == "V" and dtype.fields is None:  # small floats of other libraries among them
        return "Convert it: x.astype(np.float32)."
    return FIXES.get(dtype.kind, "Number its values: np.unique(x, return_inverse=True)[1].")


def _dense(values: Any) -> str:
    return "It is sparse: x.toarray()." if hasattr(values, "toarray") else ""


def _from_table(values: Any) -> str:
    return "It is a table: dl.data.from_frame(frame, target, one_hot=...)." if hasattr(values, "columns") else ""


def _place(index: tuple[int, ...], columns: Sequence[str]) -> str:
    where = f"row {index[0]}" + (f", position {index[1:]}" if index[1:] else "")
    return where + named(columns, index[-1] if index[1:] else -1)


def named(columns: Sequence[str], column: int) -> str:
    """The name of a column in a message, if it has one."""
    return f" ({columns[column]!r})" if 0 <= column < len(columns) else ""


def taken(values: Any, rows: np.ndarray) -> Any:
    """Rows, by number, of an array that `canonical` has checked: copied once, for a data set to hold."""
    if not isinstance(values, np.ndarray):
        return values[rows]
    return _copied(values, rows, jax.dtypes.canonicalize_dtype(values.dtype))


def aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Memory that starts where XLA wants it: a CPU's devices then use it as it is."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    array = memory[begin : begin + size].view(dtype).reshape(shape)
    _aligned[id(array)] = array
    return array


def sealed(array: Any) -> Any:
    """An `aligned` array to which nobody writes from now on, so that data sets hold it as it is; others as they are."""
    if _is_aligned(array):
        array.flags.writeable = False
    return array


def _is_aligned(array: Any) -> bool:
    return _aligned.get(id(array)) is array


def _copied(array: np.ndarray, rows: np.ndarray | None, dtype: Any) -> np.ndarray:
    """Some rows, or all, in a data set's own memory; no copy in between, but of a piece."""
    copy = aligned(array.shape if rows is None else (len(rows), *array.shape[1:]), dtype)
    with np.errstate(over="ignore"):
        for part in pieces(copy):
            copy[part] = array[part if rows is None else rows[part]]
    return sealed(copy)


def pieces(array: np.ndarray) -> Iterator[slice]:
    """Rows [N, ...] in pieces that take little memory beside the array."""
    size = max(1, BYTES_OF_PIECE // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    return (slice(begin, begin + size) for begin in range(0, len(array), size))


def in_pieces(function: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> np.ndarray:
    """A function of each row, of all rows [N, ...], N > 0: an `aligned` array."""
    found = None
    for part in pieces(array):
        piece = function(array[part])
        if found is None:
            found = aligned((len(array), *piece.shape[1:]), piece.dtype)
        found[part] = piece
    assert found is not None
    return found
