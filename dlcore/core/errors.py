"""The errors dlcore raises itself. Each message says what was got, what is expected and how to fix it."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.core import Tracer


class DlcoreError(Exception):
    """Base of every error that dlcore raises on purpose."""


class ArgumentError(DlcoreError, ValueError):
    """An argument of a public function is out of its domain."""


class DataError(DlcoreError, ValueError):
    """A data set is not what a task needs: wrong shape, type, range or size."""


def check_name(kind: str, name: object, known: Iterable[str]) -> None:
    """Raise `ArgumentError` unless `name` is one of the known strings."""
    if not isinstance(name, str) or name not in set(known):
        raise ArgumentError(f"unknown {kind} {name!r}; {suggest(name, known)}")


def check_positive_integer(name: str, value: Any, meaning: str = "how many") -> None:
    """Raise `ArgumentError` unless `value` is an integer of 1 or more; a Boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        hint = " A traced value cannot set the shape of a program: pass it as a list, a static axis." * isinstance(
            value, Array
        )
        raise ArgumentError(f"{name} is {shown(value)}; expects a positive integer ({meaning}).{hint}")


def check_number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False
) -> None:
    """Raise `ArgumentError` unless `value` is a finite number in [low, high], or (low, high]; traced values pass."""
    if isinstance(value, Tracer):
        return
    number = isinstance(value, int | float | np.number | np.ndarray | Array) and not isinstance(value, bool)
    if (
        not number
        or np.ndim(value)
        or not math.isfinite(value)
        or not low <= value <= high
        or (open_low and value == low)
    ):
        above = f"above {low:g}" if open_low else f"{low:g} or more"
        bounds = [above] * math.isfinite(low) + [f"at most {high:g}"] * math.isfinite(high)
        raise ArgumentError(f"{name} is {shown(value)}; expects {', '.join(['a finite number', *bounds])}.")


def install_advice(extra: str) -> str:
    """What to type where a library of the extra `extra` is missing."""
    return f"Run pip install -e '.[{extra}]' in a checkout of dlcore."


def shown(value: object) -> str:
    """A value in a message: its first line, cut where it is long."""
    text = repr(value).splitlines()[0]
    return text if len(text) <= 80 else f"{text[:77]}..."


def suggest(name: object, known: Iterable[str]) -> str:
    """The known name that is near, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."


def described(tree: Any) -> str:
    """Dtypes and shapes of the arrays of a tree: "float32[8, 3]", or several of them."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return ", ".join(f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]" for leaf in arrays) or "nothing"
