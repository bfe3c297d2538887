"""A frame as it comes: its names, and what pandas keeps in its index instead of a column."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlcore.core.errors import DataError, suggest

if TYPE_CHECKING:
    import pandas as pd

Column = str | int
UNNAMED = re.compile(r"(Unnamed: \d+(_level_\d+)?)?|__index_level_\d+__")
ROW_NUMBERS = ("index", "level_0")  # how pandas calls an index without a name once it is a column


class Table(NamedTuple):
    """frame: columns with string names, rows numbered. labels: as the columns were called before.

    doubtful: columns that are no inputs as they are, with the reason, and what makes them some. note: what was left
      out, or "".
    """

    frame: "pd.DataFrame"
    labels: list
    doubtful: dict[str, tuple[str, str]]
    note: str

    def column(self, name: Column) -> str:
        """Name of a column given by name, or position (levels of the index have none), or a `DataError`."""
        if isinstance(name, str):
            if name not in self.frame.columns:
                raise DataError(f"there is no column {name!r}; {suggest(name, self.frame.columns)}")
            return name
        names = [str(label) for label in self.labels]
        if name in self.labels and (not -len(names) <= name < len(names) or names[name] != str(name)):
            raise DataError(
                f"{name} is the label of a column, and not its position, as which it would be taken; expects a name or "
                f"a position. Pass {str(name)!r} for that column."
            )
        if not -len(names) <= name < len(names):
            raise DataError(f"there is no column at position {name}; the table has {len(names)} columns.")
        return names[name]

    def check_inputs(self, names: Sequence[str]) -> None:
        """Raise `DataError` for the first column that nobody would want as an input."""
        for name in names:
            if name in self.doubtful:
                reason, otherwise = self.doubtful[name]
                raise DataError(
                    f"column {name!r} {reason}; expects inputs that say something about a row. Leave it out with "
                    f"drop=({name!r},), or, if it is meant, {otherwise}."
                )


def table(frame: "pd.DataFrame") -> Table:
    """The frame with its index among the columns, unless that only numbers the rows.

    Raises:
      DataError: no rows, two columns of one name, an index called as a column.
    """
    labels = list(frame.columns)
    _check_unique([str(name) for name in labels])
    frame, index, note = _without_index(_decoded(frame.set_axis([str(name) for name in labels], axis=1)))
    if not len(frame) or not len(frame.columns):
        raise DataError(f"the table has {len(frame)} rows, columns {list(frame.columns)}; expects some of both.")
    doubtful = {}
    for name in frame.columns:
        renamed = f"rename it: frame.rename(columns={{{name!r}: 'another name'}})"
        if name in index and index[name] is None:
            doubtful[name] = "has no name, as an index has none", "name the index: frame.rename_axis(...)"
        elif UNNAMED.fullmatch(name):
            doubtful[name] = "has no name, as a saved index has none", renamed
        elif name in (*ROW_NUMBERS, *index) and _counts(frame[name]):
            doubtful[name] = (
                "numbers the rows",
                "make a column of it: frame.reset_index()" if name in index else renamed,
            )
        elif len(index) == 1 and name in index and _identifies(frame[name]):
            doubtful[name] = "is an index of another number for each row", "make a column of it: frame.reset_index()"
    return Table(frame, labels, doubtful, note)


def _decoded(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Columns of Arrow's dictionaries, which pandas takes for neither text nor categories, as their values."""
    names = [name for name, dtype in frame.dtypes.items() if str(dtype).startswith("dictionary<")]
    return frame.astype(dict.fromkeys(names, object))


def _without_index(frame: "pd.DataFrame") -> tuple["pd.DataFrame", dict[str, str | None], str]:
    """(frame, the levels of its index that became columns: name to what they were called, what was left out)."""
    index = frame.index
    if index.nlevels == 1 and index.name is None and index.dtype.kind in "iu":
        numbered = np.array_equal(index.to_numpy(), np.arange(len(index)))
        return frame.reset_index(drop=True), {}, "" if numbered else ", without its index of row numbers"
    default = ["index"] if index.nlevels == 1 else [f"level_{level}" for level in range(index.nlevels)]
    names = [each if given is None else str(given) for given, each in zip(index.names, default, strict=True)]
    taken = [name for name in names if name in frame.columns or names.count(name) > 1]
    if taken:
        raise DataError(
            f"the index of the table is called {taken[0]!r}, as one of its columns or levels; expects names of their "
            "own. Drop the index in pandas, frame.reset_index(drop=True), or rename it, frame.rename_axis(...)."
        )
    called = {name: given if given is None else str(given) for name, given in zip(names, index.names, strict=True)}
    return frame.reset_index(names=names), called, ""


def _check_unique(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name.strip() in seen:
            raise DataError(
                f"the table has the columns {seen[name.strip()]!r} and {name!r}; expects names that differ by more "
                "than spaces. Rename one, or keep the first of each: frame.loc[:, "
                "~frame.columns.astype(str).str.strip().duplicated()]."
            )
        seen[name.strip()] = name


def _identifies(column: Any) -> bool:
    """Whether a column of integers has another one in each row."""
    return column.dtype.kind in "iu" and len(column) > 2 and column.is_unique


def _counts(column: Any) -> bool:
    """Whether a column goes up by 1 from row to row."""
    if column.dtype.kind not in "iu" or column.isna().any():
        return False
    return len(column) > 2 and bool((np.diff(column.to_numpy().astype(np.int64)) == 1).all())
