"""The errors dlcore raises itself. Each message says what was got, what is expected and how to fix it."""

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

MOST_NAMES = 40  # that are listed where none is near


class DlcoreError(Exception):
    """Base of every error that dlcore raises on purpose.

    Below it are `ArgumentError` and `DataError`, for what is refused, mostly before anything is computed;
    `FailedCellsError`, at the end of a study with a store; and two for worker processes that failed or died.

    Example:
      >>> try:
      ...     dl.models.mlp([4, 0])
      ... except dl.DlcoreError as error:
      ...     print(type(error).__name__, error, sep=": ")
      ArgumentError: mlp: widths is [4, 0]; expects ...
    """


class ArgumentError(DlcoreError, ValueError):
    """An argument of a public function is out of its domain, or does not fit the others; a `ValueError`.

    Below it are errors of a store that holds another study than the one that is to go on.
    """


class DataError(DlcoreError, ValueError):
    """Arrays, a data set or files are not what is needed: wrong shape, type, range or size; a `ValueError`.

    Below it are errors of files of a store that are missing or damaged.
    """


class FailedCellsError(DlcoreError, RuntimeError):
    """Some cells of a study failed, and the others are in its store; a `RuntimeError`, by `dl.sweep` when all are done.

    Attributes:
      results: what `dlcore.sweep` would have returned, the failed cells missing.
    """

    results: Any = None


def install_advice(extra: str) -> str:
    """What to type where a library of the extra `extra` is missing."""
    return f"Run pip install -e '.[{extra}]' in a checkout of dlcore."


def shown(value: object) -> str:
    """A value in a message: its first line, cut where it is long."""
    text = repr(value).splitlines()[0]
    return text if len(text) <= 80 else f"{text[:77]}..."


def suggest(name: object, known: Iterable[str]) -> str:
    """The known name that is near, or all of them, or the first if they are many."""
    known = sorted(known)
    lower = {each.lower(): each for each in reversed(known)}
    more = f", and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    parts = [each for each in lower if each.endswith(f"_{name}".lower())]  # "auc" of "validation_auc"
    near = difflib.get_close_matches(str(name).lower(), lower, n=1) or parts[-1:]
    return f"did you mean {lower[near[0]]!r}?" if near else f"known: {', '.join(known[:MOST_NAMES])}{more}."


@contextlib.contextmanager
def noted(text: Callable[[], str]) -> Iterator[None]:
    """Whatever the user's own code raises inside, as it is, with a line of ours below it; errors of ours pass."""
    try:
        yield
    except DlcoreError:
        raise
    except Exception as error:
        error.add_note(text())
        raise


def described(tree: Any) -> str:
    """Dtypes and shapes of the arrays of a tree: "float32[8, 3]", or several of them."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return ", ".join(f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]" for leaf in arrays) or "nothing"
