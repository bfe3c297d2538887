"""Inputs that are the target once more, under another name: what a network would learn to copy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcore.core.errors import DataError
from dlcore.data.read.files import library

FEWEST_ROWS = 3  # two values fall in with each other by chance
ROWS_LOOKED_AT = 1000  # before all are
ROWS_OF_A_CLASS = 10  # so many on average that a column of other meaning would not follow the classes exactly


def check_numbers_once(inputs: Mapping[str, np.ndarray], names: Sequence[str], targets: np.ndarray) -> None:
    """Raise `DataError` where an input [N] is a copy of a target [N, names]."""
    for name, values in inputs.items():
        for target, column in zip(names, targets.reshape(len(targets), -1).T, strict=True):
            _refuse_named_again(name, target)
            if _varies(column) and np.array_equal(values, column):
                _refuse(name, "is a copy of", target)


def check_classes_once(
    inputs: Mapping[str, np.ndarray],
    encoded: Any,
    target: str,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Raise `DataError` where an input is the classes once more: their names, their numbers, others in their place.

    Args:
      inputs: columns [N] of numbers. encoded: columns of categories.
    """
    amounts = _amounts(class_names)
    texts = {name: encoded[name].astype(str).to_numpy() for name in encoded.columns}
    pd = library("pandas", "reading tables")
    columns = {**inputs, **{name: pd.factorize(values)[0] for name, values in texts.items()}}
    for name, values in columns.items():
        _refuse_named_again(name, target)
        if not _varies(labels):
            continue
        copied = name in texts and np.array_equal(texts[name], np.asarray(class_names, object)[labels])
        if copied or (name in inputs and amounts is not None and np.array_equal(values, amounts[labels])):
            _refuse(name, "is a copy of", target)
        kinds = len(np.unique(labels))
        many = len(labels) >= ROWS_OF_A_CLASS * kinds or (_related(name, target) and kinds < len(labels))
        if many and (np.rint(values) == values).all() and _same_parts(values, labels, kinds):
            _refuse(name, "stands for the classes of", target)


def _refuse_named_again(name: str, target: str) -> None:
    if re.fullmatch(re.escape(target) + r"\.\d+", name):
        _refuse(name, "is called as pandas calls a second column of the name of", target)


def _refuse(name: str, what: str, target: str) -> None:
    raise DataError(
        f"the input {name!r} {what} the target {target!r}; expects inputs from which the target is not read off. Leave "
        f"it out with drop=({name!r},); if it is meant, give arrays: dl.data.from_arrays."
    )


def _varies(target: np.ndarray) -> bool:
    return len(target) >= FEWEST_ROWS and bool((target != target[0]).any())


def _amounts(class_names: Sequence[str]) -> np.ndarray | None:
    """The numbers that classes are called by, if they are."""
    try:
        return np.asarray(class_names).astype(np.float32)
    except ValueError:
        return None


def _same_parts(values: np.ndarray, labels: np.ndarray, kinds: int) -> bool:
    """Whether rows have one value where they have one class, and only there."""
    if len(np.unique(values[:ROWS_LOOKED_AT])) > kinds:
        return False
    numbered = np.unique(values, return_inverse=True)[1]
    return numbered.max() == kinds - 1 and len(np.unique(numbered * (int(labels.max()) + 1) + labels)) == kinds


def _related(name: str, target: str) -> bool:
    """Whether one name is the other with something before or after it: species_id."""
    short, long = sorted((name.lower(), target.lower()), key=len)
    return bool(re.search(rf"(^|[^a-z0-9]){re.escape(short)}($|[^a-z0-9])", long))
