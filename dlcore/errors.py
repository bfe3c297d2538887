"""The errors dlcore raises itself. Each message says what was got, what is expected and how to fix it."""

import difflib
from collections.abc import Iterable


class DlcoreError(Exception):
    """Base of every error that dlcore raises on purpose."""


class ArgumentError(DlcoreError, ValueError):
    """An argument of a public function is out of its domain."""


class DataError(DlcoreError, ValueError):
    """A data set is not what a task needs: wrong shape, type, range or size."""


def suggest(name: object, known: Iterable[str]) -> str:
    """`; did you mean 'relu'?` when `name` is close to a known name, else a list of what is known."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
