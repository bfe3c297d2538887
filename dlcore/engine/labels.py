"""Labels of static values: the user's own where they can be, readable and distinct where not."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlcore.core.arguments import concrete


def labels(values: Sequence[Any]) -> np.ndarray:
    """One label for each value: numbers, strings and None are their own; other things get distinct names.

    Equal values get equal labels.
    """
    values = [concrete(value) for value in values]
    for kind in (bool, int, int | float):
        if all(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) for value in values):
            return np.asarray(values)
    named = [value if isinstance(value, bool | int | float | str | None) else name_of(value) for value in values]
    found = np.empty(len(values), object)
    found[:] = [_distinct(position, values, named) for position in range(len(values))]
    return found.astype(str) if all(isinstance(label, str) for label in found) else found


def name_of(value: Any) -> str:
    """What a function, an optimizer, a data set or another object is called, in a few words."""
    if isinstance(value, functools.partial):
        given = [*map(name_of, value.args), *(f"{name}={name_of(each)}" for name, each in value.keywords.items())]
        return f"{name_of(value.func)}({', '.join(given)})"
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    if isinstance(name, str) and name:
        return name.strip("<>")
    if hasattr(value, "_fields") or type(value).__repr__ is object.__repr__ or len(str(value)) > 60:
        return type(value).__name__
    return str(value)


def _distinct(position: int, values: Sequence[Any], named: Sequence[Any]) -> Any:
    """The name at a position, with its number among different values of that name."""
    name = named[position]
    if not isinstance(name, str) or isinstance(values[position], str):
        return name
    alike = [i for i, other in enumerate(named) if isinstance(other, str) and other == name]
    different: list[Any] = []
    for i in alike:
        if not any(same(values[i], value) for value in different):
            different.append(values[i])
    if len(different) == 1:
        return name
    taken = {other for other in named if isinstance(other, str)}
    numbered = (f"{name} {n}" for n in itertools.count(1))
    distinct = itertools.islice((each for each in numbered if each not in taken), len(different))
    return next(label for label, value in zip(distinct, different, strict=True) if same(value, values[position]))


def same(a: Any, b: Any) -> bool:
    """Whether two static values are one: the same object, or equal numbers, strings, and tuples and lists of them."""
    if a is b or type(a) is not type(b):
        return a is b
    if type(a) in (tuple, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool | int | float | str | bytes) and repr(a) == repr(b)
