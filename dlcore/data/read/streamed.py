"""Inputs larger than memory: they stay in files, and the rows of a batch are read when the step needs them.

The order of the rows comes from the run's key as ever, so a streamed run equals the run in memory bit for bit and is
resumed from its state alone.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import numpy as np

from dlcore.core.arguments import array
from dlcore.core.errors import ArgumentError, DataError, shown


class Source(Protocol):
    """Rows by number, as grain's random-access sources: `source[row]` is an array of the same shape for all rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> np.ndarray: ...


class Streamed:
    """Inputs of a `Split` that are not in memory; looks like an array [N, ...] to what only asks for its shape.

    Args:
      source: where rows are read from; called from several threads.
      rows: numbers of the rows in the source; all by default.
    """

    def __init__(self, source: Source, rows: np.ndarray | None = None):
        if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
            raise ArgumentError(f"Streamed: source is {shown(source)}; expects rows by number: len(source), source[0].")
        self.source = source
        numbers = np.arange(len(source)) if rows is None else array("iu", ndim=1).check("Streamed: rows", rows)
        self.rows = np.asarray(numbers)
        if not len(self.rows):
            raise DataError("the source has no rows; expects at least one.")
        if self.rows.min() < 0 or self.rows.max() >= len(source):
            raise DataError(f"rows {self.rows.min()} to {self.rows.max()} of a source that has {len(source)}.")
        example = np.asarray(source[int(self.rows[0])])
        self.shape, self._stored = (len(self.rows), *example.shape), example.dtype
        self.dtype = jax.dtypes.canonicalize_dtype(example.dtype.newbyteorder("="))  # as `Dataset` holds it in memory
        self._pool = _threads()

    def __getstate__(self) -> dict[str, Any]:
        """Without the threads: another process has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_pool"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pool = _threads()

    @property
    def ndim(self) -> int:
        """Number of dimensions, with that of the rows."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows in memory, [len(rows), ...]."""
        numbers = self.rows[rows]
        if np.ndim(numbers) == 0:
            return self._read(int(numbers))
        return np.stack(list(self._pool.map(self._read, numbers.tolist())))

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
        row = np.asarray(self.source[number])
        if row.shape != self.shape[1:] or row.dtype != self._stored:
            raise DataError(
                f"row {number} of the source is {row.dtype}{list(row.shape)}, the first one {self._stored}"
                f"{list(self.shape[1:])}; expects rows of one shape and dtype."
            )
        converted = row.astype(self.dtype, copy=False)
        if row.dtype.kind in "iu" and not np.array_equal(converted, row):
            raise DataError(
                f"row {number} of the source holds numbers that do not fit {self.dtype}. Rescale them first."
            )
        return converted


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))
