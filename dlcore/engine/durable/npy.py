"""Arrays as bytes and back: .npy files (numpy.lib.format, 1.0) without pickles, also of types that NumPy does not know.

An .npy file's beginning follows from dtype and shape. So nothing is parsed here: whoever knows both compares.
"""

import math
import re
from typing import Any

import ml_dtypes
import numpy as np

from dlcore.core.errors import ArgumentError, shown
from dlcore.engine.durable.zipped import DamageError

_NATIVE = re.compile(r"[<>|][biufcSUmM]\d+(\[\d*[a-zA-Z]+\])?")


def as_kept(name: str, array: Any) -> np.ndarray:
    """An array as a part can keep it.

    Raises:
      ArgumentError: its type is one that only pickle could write.
    """
    if not isinstance(name, str):
        raise ArgumentError(f"an array of a part is called {name!r}; names are strings.")
    kept = np.asarray(array)
    if not (_is_small(kept.dtype) or _NATIVE.fullmatch(kept.dtype.str)):
        raise ArgumentError(f"array {name!r} is of {kept.dtype}; a part keeps numbers, truth values and strings only.")
    return kept


def as_npy(array: np.ndarray) -> list[bytes | memoryview]:
    """The bytes of an .npy file, the array's own uncopied."""
    return [_head(_stored(array.dtype).str, array.shape), raw(array).data]


def _head(descr: str, shape: tuple[int, ...]) -> bytes:
    """What an .npy file of format 1.0 begins with (numpy.lib.format)."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def restored(name: str, content: np.ndarray, kind: str, shape: list[int]) -> np.ndarray:
    """The array in the bytes of an .npy file, which has to be the one that a header describes."""
    try:
        dtype = _of_kind(kind)
        head = _head(_stored(dtype).str, tuple(shape))
        fits = len(head) + dtype.itemsize * math.prod(shape) == content.size
        if not fits or content[: len(head)].tobytes() != head:
            raise DamageError(f"{name!r} is not the {kind} of shape {tuple(shape)} that its header announces")
        return np.ndarray(tuple(shape), _stored(dtype), content, len(head)).view(dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise DamageError(f"{name!r} is no array of type {kind} and shape {shape} ({error})") from None


def raw(array: np.ndarray) -> np.ndarray:
    """The bytes of an array in C order, uncopied where it is in that order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.nbytes else np.empty(0, np.uint8)


def distance(there: np.ndarray, here: np.ndarray) -> str:
    """How many values of two arrays of one dtype and shape have other bits, and how far they are apart."""
    size = there.dtype.itemsize
    unequal = (raw(there).reshape(-1, size) != raw(here).reshape(-1, size)).any(axis=1)
    count = f"{int(unequal.sum())} of {unequal.size} values"
    if there.dtype.kind in "SUmM" or there.dtype.kind == "c":
        return count
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(there.ravel().astype(np.float64) - here.ravel().astype(np.float64))[unequal]
    finite = apart[np.isfinite(apart)]
    far = f"by up to {finite.max():.3g}" if finite.size and finite.max() > 0 else "in bits such as those of NaN or -0"
    return f"{count}, {far}"


def kind_of(dtype: np.dtype) -> str:
    """A name for a dtype that `restored` understands."""
    return dtype.name if _is_small(dtype) else dtype.str


def _of_kind(kind: str) -> np.dtype:
    """The dtype that `kind_of` names.

    Raises:
      DamageError: none of those that a part keeps.
    """
    known = getattr(ml_dtypes, kind, None)
    if isinstance(known, type) and known.__module__ == "ml_dtypes" and issubclass(known, np.generic):
        return np.dtype(known)
    if not _NATIVE.fullmatch(kind):
        raise DamageError(f"it has an array of type {shown(kind)}, which this dlcore does not know")
    return np.dtype(kind)


def _stored(dtype: np.dtype) -> np.dtype:
    """What an .npy file says of it: unsigned integers for what NumPy does not know."""
    return np.dtype(f"u{dtype.itemsize}") if _is_small(dtype) else dtype


def _is_small(dtype: np.dtype) -> bool:
    """Whether NumPy does not know a dtype, but ml_dtypes does: NumPy's .npy files forget which it was."""
    return dtype.type.__module__ == "ml_dtypes"
