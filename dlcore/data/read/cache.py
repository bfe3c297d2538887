"""Decoded arrays kept on disk, so that a data set is decoded once."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from dlcore.data.read.files import PathLike, cache_folder

FORMAT = 2  # to be raised when what is stored changes
Arrays = dict[str, np.ndarray]


def cached(make: Callable[[], Arrays], source: pathlib.Path, files: Iterable[PathLike], options: Mapping[str, Any]):
    """`make()`, or what it gave before if no file has changed since.

    Args:
      make: name to array; numbers and strings, no objects.
      source: what the user named; with the options the entry's name, so that a changed source replaces its entry.
      options: all that `make()` depends on, its limits too: what it refuses was not stored under them.
      files: all that is read; an entry is good while their sizes and times of change are the same.
    """
    source = source.resolve()
    name = hashlib.sha256(json.dumps([str(source), options], sort_keys=True).encode()).hexdigest()[:32]
    entry = cache_folder() / "decoded" / f"{name}.npz"
    fingerprint = _fingerprint(files)
    stored = _read(entry)
    if stored is not None and str(stored.pop("fingerprint", "")) == fingerprint:
        return stored
    arrays = make()
    with contextlib.suppress(OSError):  # a full or read-only disk: the arrays are there all the same
        _write(entry, {**arrays, "fingerprint": np.asarray(fingerprint)})
    return arrays


def _fingerprint(files: Iterable[PathLike]) -> str:
    digest = hashlib.sha256(str(FORMAT).encode())
    for file in files:
        status = os.stat(file)
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _read(entry: pathlib.Path) -> Arrays | None:
    try:
        with np.load(entry, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # missing or damaged: decode again


def _write(entry: pathlib.Path, arrays: dict[str, Any]) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=entry.parent, suffix=".part", delete=False) as part:
        try:
            np.savez(part, **arrays)
            part.close()
            pathlib.Path(part.name).replace(entry)
        except BaseException:
            part.close()
            pathlib.Path(part.name).unlink()
            raise
