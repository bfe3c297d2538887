"""Large arrays of a study, each once in its store, by content: those of its programs, and those of its code."""

import pathlib

import numpy as np

from dlcore.engine.dtypes import digest
from dlcore.engine.durable import parts

FOLDER = "constants"


def keep(store: pathlib.Path, array: np.ndarray) -> str:
    """Write an array, unless it is there; its digest.

    Raises what `parts.commit` does.
    """
    name = digest(array)
    file = _file(store, name)
    if not file.exists():
        parts.commit(file, {"value": array}, {"facts": []})
    return name


def kept(store: pathlib.Path, name: str) -> np.ndarray:
    """The array with that digest.

    Raises what `parts.read` does.
    """
    return parts.read(_file(store, name)).arrays["value"]


def _file(store: pathlib.Path, name: str) -> pathlib.Path:
    return store / FOLDER / f"{name}.npz"
