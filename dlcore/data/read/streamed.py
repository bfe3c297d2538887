"""Inputs larger than memory: they stay in files, and the rows of a batch are read when the step needs them.

The order of the rows comes from the run's key as ever, so a streamed run equals the run in memory bit for bit and is
resumed from its state alone.
"""

import functools
import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import numpy as np

from dlcore.core import precision, values
from dlcore.core.arguments import RefusedError, array, as_array
from dlcore.core.errors import ArgumentError, DataError, shown

CHECKED, ROWS = 1 << 22, 4096  # most bytes and rows that are read to see whether float32 tells them apart
BLOCKS = 32  # of rows one after another, in which a clock is one


class Source(Protocol):
    """Rows by number, as grain's random-access sources: `source[row]` is an array of the same shape for all rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> np.ndarray: ...


class Streamed:
    """Inputs of a `Split` that are not in memory; looks like an array [N, ...] to what only asks for its shape.

    Args:
      source: where rows are read from; called from several threads.
      rows: numbers of the rows in the source; all by default.

    Raises:
      ArgumentError: a source whose rows are not found by number.
      DataError: no rows, no numbers; rows, 4096 of them or 4 MiB, that float32 does not tell apart.

    Example:
      >>> rows = np.arange(12.0).reshape(4, 3)  # or anything else with len(rows) and rows[0], such as a memory map
      >>> inputs = dl.data.Streamed(rows, rows=np.array([3, 0]))
      >>> inputs.shape, inputs[:1].tolist()
      ((2, 3), [[9.0, 10.0, 11.0]])
      >>> dl.data.Dataset((inputs, np.array([0, 1]))).train.num_rows
      2
    """

    def __init__(self, source: Source, rows: np.ndarray | None = None):
        if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
            raise ArgumentError(f"Streamed: source is {shown(source)}; expects rows by number: len(source), source[0].")
        if isinstance(source, Mapping) or hasattr(source, "iloc"):  # pandas counts by label: other rows, or none
            raise ArgumentError(
                f"Streamed: source is a {type(source).__name__}, which gives rows by name; expects rows by number. "
                "Pass an array of its rows: frame.to_numpy(), or np.stack(list(names.values()))."
            )
        self.source = source
        numbers = np.arange(len(source)) if rows is None else array("iu", ndim=1).check("Streamed: rows", rows)
        self.rows = np.asarray(numbers)
        if not len(self.rows):
            raise DataError("the source has no rows; expects at least one.")
        if self.rows.min() < 0 or self.rows.max() >= len(source):
            raise DataError(f"rows {self.rows.min()} to {self.rows.max()} of a source that has {len(source)}.")
        example = self._stored_row(int(self.rows[0]))
        self.shape, self._stored = (len(self.rows), *example.shape), example.dtype
        self.dtype = jax.dtypes.canonicalize_dtype(example.dtype)  # as `Dataset` holds it in memory
        self._pool = _threads()
        self._check_precision(example.nbytes)

    def __getstate__(self) -> dict[str, Any]:
        """Without the threads: another process has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_pool"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pool = _threads()

    @functools.cached_property
    def fingerprint(self) -> str | None:
        """A text that changes with the rows; None where the source has no such `fingerprint`, and is no array.

        A study that is kept in a store asks for it: what a program gets from Python is not in its text.
        """
        of_source = getattr(self.source, "fingerprint", None)
        if isinstance(self.source, np.ndarray):
            of_source = hashlib.sha256(np.ascontiguousarray(self.source).tobytes()).hexdigest()
        if of_source is None:
            return None
        rows = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes()).hexdigest()
        return f"{of_source} {rows} {self.shape} {self.dtype}"

    @property
    def ndim(self) -> int:
        """Number of dimensions, with that of the rows."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows in memory, [len(rows), ...]; `DataError` for rows that are not there."""
        try:
            numbers = self.rows[rows]
        except IndexError as error:
            raise DataError(
                f"there are no rows {shown(rows)} of {len(self)}: {error}. Use 0 to {len(self) - 1}."
            ) from error
        if numbers.ndim == 0:
            return self._read(int(numbers))
        if not numbers.size:
            return np.empty((*numbers.shape, *self.shape[1:]), self.dtype)
        read = np.stack(list(self._pool.map(self._read, numbers.reshape(-1).tolist())))
        return read.reshape(*numbers.shape, *self.shape[1:])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._read(number) for number in self.rows.tolist())

    def __array__(self, dtype=None, copy=None):
        raise DataError(
            f"{len(self)} streamed rows do not become an array: they may not fit in memory. Take some rows, "
            "inputs[:1000], or load the data set without streaming."
        )

    def fetch(self, rows: jax.Array) -> jax.Array:
        """Rows [..., B] as an array [..., B, ...] on the device; may be traced."""
        shape = jax.ShapeDtypeStruct((*rows.shape, *self.shape[1:]), self.dtype)
        return jax.pure_callback(self._read_batch, shape, rows, vmap_method="broadcast_all")

    def _read_batch(self, rows: Any) -> np.ndarray:
        rows = np.asarray(rows)
        unique, places = np.unique(rows, return_inverse=True)  # the runs of a study may share rows
        return self[unique][places.reshape(-1)].reshape(*rows.shape, *self.shape[1:])

    def _read(self, number: int) -> np.ndarray:
        return values.canonical(self._uniform_row(number)[None], f"the rows of the source from {number} on")[0]

    def _uniform_row(self, number: int) -> np.ndarray:
        row = self._stored_row(number)
        if row.shape != self.shape[1:] or row.dtype != self._stored:
            raise DataError(
                f"row {number} of the source is {row.dtype}{list(row.shape)}, the first one {self._stored}"
                f"{list(self.shape[1:])}; expects rows of one shape and dtype."
            )
        return row

    def _check_precision(self, row_bytes: int) -> None:
        """Raise `DataError` where float32 spoils columns of the rows; many rows are looked at in spread blocks."""
        if not precision.spoils(self._stored) or self.dtype == np.float64:
            return
        count = max(1, min(len(self), ROWS, CHECKED // max(1, row_bytes)))
        starts = np.linspace(0, len(self) - count // BLOCKS - 1, BLOCKS, dtype=int)
        blocks = starts[:, None] + np.arange(count // BLOCKS + 1)
        rows = np.arange(len(self)) if count == len(self) else np.unique(blocks)
        sample = np.stack(list(self._pool.map(self._uniform_row, self.rows[rows].tolist())))
        values.check_precision(sample, "the rows of the source")

    def _stored_row(self, number: int) -> np.ndarray:
        """A row as numbers in native byte order, or a `DataError`."""
        try:
            row = np.asarray(as_array(self.source[number]))
        except LookupError as error:
            raise DataError(
                f"row {number} of the source is not there, of {len(self.source)}: {error!r}. Expects source[0] to "
                "source[len(source) - 1]."
            ) from error
        except RefusedError as refusal:
            raise DataError(f"row {number} of the source is no array of numbers. {refusal}") from None
        if row.dtype.kind not in "biuf" and row.dtype.name != "bfloat16":
            raise DataError(
                f"row {number} of the source has dtype {row.dtype}; expects numbers. {values.fix_of(row.dtype)}"
            )
        return row


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))
