"""CSV and the like: a table in a text file."""

import collections
import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcore.core.arguments import Constraint, RefusedError, arguments, boolean, path
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.read.columns import CODE
from dlcore.data.read.files import MAX_TABLE, PathLike, decoded, library, read_bytes
from dlcore.data.read.frame import OPTIONS, TARGET, described, from_frame
from dlcore.data.read.table import Column

if TYPE_CHECKING:
    import pandas as pd


def _accept_separator(value: Any) -> Any:
    if not (isinstance(value, str) and value.isascii() and len(value) == 1):
        raise RefusedError(
            "Read others in pandas: dl.data.from_frame(pd.read_csv(path, sep='::', engine='python'), ...)."
        )
    return value


SEPARATOR = Constraint("a string of one character of ASCII, e.g. ';'", _accept_separator)


@arguments(path=path, target=TARGET, header=boolean, separator=SEPARATOR, options=OPTIONS)
def from_csv(
    path: PathLike, target: Column | Sequence[Column], *, header: bool = True, separator: str = ",", **options: Any
) -> Dataset:
    """A table in a text file, plain or gzip; read by pandas.

    Args:
      path: UTF-8 text, one row a line; blank lines and the spaces around cells do not count. Columns of codes such as
        007 are text where they are classes, groups or in one_hot.
      target: column to predict, by name or by position (-1 is the last); or several columns of numbers.
      header: whether the first line holds names; without it columns are called "0", "1", ...
      separator: between cells, one character, e.g. a tab.
      options: as in `from_frame`; `max_bytes` is also the most that the file may hold when unpacked, and that its cells
        may take as numbers of 8 bytes.

    Raises:
      DataError: as `from_frame`; also text that is no table, or not UTF-8; names that are numbers, or twice there.

    Example:
      >>> table = [[5.1, 3.5, 0], [4.9, 3.0, 0], [7.0, 3.2, 1]]
      >>> np.savetxt("irises.csv", table, delimiter=",", header="length,width,species", comments="", fmt="%g")
      >>> data = dl.data.from_csv("irises.csv", "species", target_kind="class")
      >>> data.input_names, data.target_names
      (('length', 'width'), ('0', '1'))
    """
    library("pandas", "reading CSV")
    max_bytes = options.get("max_bytes", MAX_TABLE)
    text = decoded(read_bytes(path, max_bytes=max_bytes), path)
    cells = text.count(separator) + text.count("\n") + 1
    if 8 * cells > max_bytes:
        raise DataError(f"{path} holds {cells} cells; expects at most max_bytes={max_bytes}, 8 bytes each. Raise it.")
    data = text.encode()  # a text stream would take four times as much memory
    names = _names(data, separator, path) if header else None
    frame = _parsed(data, separator, path, header=0 if header else None)
    if names is not None:
        _check_names(names, frame, path)
        frame.columns = names
    else:
        _check_no_names(frame, path)
    border = rf'[\s"{re.escape(separator)}]'
    if re.search(rf"(?<!(?!{border}).){CODE.pattern}(?={border}|$)", text):
        are_numbers = set() if options.get("target_kind") == "class" else _positions(target, frame)
        _keep_codes(
            frame, are_numbers, lambda **chosen: _parsed(data, separator, path, header=0 if header else None, **chosen)
        )
    for position, dtype in enumerate(frame.dtypes):
        if dtype == "str":
            frame.isetitem(position, frame.iloc[:, position].str.strip())
    return from_frame(frame, target, **described(path, "CSV") | options)


def _parsed(data: bytes, separator: str, path: PathLike, **options: Any) -> "pd.DataFrame":
    pd = library("pandas", "reading CSV")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # rows longer than the header are only warned of
            return pd.read_csv(
                io.BytesIO(data), sep=separator, index_col=False, skipinitialspace=True, low_memory=False, **options
            )
    # pandas raises ParserError, EmptyDataError, ParserWarning, and others from Python's csv module.
    except Exception as error:
        raise DataError(
            f"{path} is no table: {error}. Check the separator ({separator!r}), the lines before the names, and the "
            "separators at the ends of rows."
        ) from error


def _names(data: bytes, separator: str, path: PathLike) -> list[str]:
    """What the first line holds, as it is: pandas would rename what is there twice."""
    first = _parsed(data, separator, path, header=None, nrows=1, dtype=str, keep_default_na=False)
    names = [str(name).strip() for name in first.iloc[0]]
    return [name or f"Unnamed: {position}" for position, name in enumerate(names)]  # as pandas calls them


def _check_names(names: list[str], frame: "pd.DataFrame", path: PathLike) -> None:
    """Raise `DataError` where the first line looks like a row, a comment or a line of another separator."""
    numbers = [name for name in names if _is_number(name)]
    if numbers and not _counts(names, numbers):
        raise DataError(
            f"{path}: the first line names a column {numbers[0]!r}; expects names, not numbers. If it is a row, pass "
            "header=False; if columns are called so, read it in pandas: dl.data.from_frame(pd.read_csv(path), ...)."
        )
    if names[0].startswith("#") and names[0] != "#":  # which by itself is a name for numbers
        raise DataError(
            f"{path}: the first line starts with {names[0]!r}; expects names. If it is a comment, leave it out in "
            "pandas: dl.data.from_frame(pd.read_csv(path, comment='#'), ...); if it is a name, read it there as one: "
            "dl.data.from_frame(pd.read_csv(path), ...)."
        )
    other = next((other for other in ",;\t|" if len(names) == 1 and other in names[0]), None)
    if other is not None:
        raise DataError(f"{path}: all names are one, {names[0]!r}; expects several columns. Pass separator={other!r}.")
    twice, count = collections.Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"{path}: two columns are called {twice!r}; expects names of their own. Rename one in the file, or read it "
            f"in pandas, which calls the second {twice + '.1'!r}: dl.data.from_frame(pd.read_csv(path), ...)."
        )
    _check_names_once(names, frame, path)


def _check_names_once(names: list[str], frame: "pd.DataFrame", path: PathLike) -> None:
    """Raise `DataError` where a row is the names again, or, of text alone, the names may be a row."""
    all_text = all(dtype == "str" for dtype in frame.dtypes)
    again = [(frame.iloc[:, position] == name).to_numpy() for position, name in enumerate(names) if all_text]
    if not again or not np.any(again):
        return
    if np.all(again, axis=0).any():
        row = int(np.argmax(np.all(again, axis=0)))
        raise DataError(
            f"{path}: row {row} holds the names once more, column {names[0]!r} also holds {names[0]!r}; expects names "
            "in the first line, and only there. If they are there twice, take the second line out; if they are a row, "
            "pass header=False."
        )
    name = names[int(np.argmax(np.any(again, axis=1)))]
    raise DataError(
        f"{path}: column {name!r} also holds {name!r}, and all columns are text; expects names in the first line. If "
        "that line is a row, pass header=False; if it holds names, read it in pandas: "
        "dl.data.from_frame(pd.read_csv(path), ...)."
    )


def _keep_codes(frame: "pd.DataFrame", numbers: set[int], parsed: Callable[..., "pd.DataFrame"]) -> None:
    """Columns with cells such as 007 as text again, besides those that are to be numbers."""
    places = [place for place, dtype in enumerate(frame.dtypes) if dtype.kind in "iuf" and place not in numbers]
    if places:
        for place, (_, cells) in zip(places, parsed(usecols=places, dtype=str).items(), strict=True):
            cells = cells.str.strip()
            if cells.str.fullmatch(CODE.pattern).any():
                frame.isetitem(place, cells)


def _positions(columns: Any, frame: "pd.DataFrame") -> set[int]:
    """Where columns are that are given by name or position; those that are not there are left out."""
    names = [str(name) for name in frame.columns]
    columns = [columns] if isinstance(columns, str | int) else columns
    places = [names.index(each) if each in names else None if isinstance(each, str) else each for each in columns]
    return {place % len(names) for place in places if place is not None}


def _check_no_names(frame: "pd.DataFrame", path: PathLike) -> None:
    """Raise `DataError` where the first row is text above numbers."""
    pd = library("pandas", "reading CSV")
    for position, dtype in enumerate(frame.dtypes):
        if dtype != "str" or len(frame) < 3:
            continue
        numeric = pd.to_numeric(frame.iloc[:, position], errors="coerce").notna()
        if not numeric.iloc[0] and numeric.iloc[1:].all():
            raise DataError(
                f"{path}: the first line holds {frame.iat[0, position]!r} above numbers, and header=False is given; "
                "expects rows alone. If that line holds names, leave header=False out."
            )


def _counts(names: list[str], numbers: list[str]) -> bool:
    """Whether names that are numbers are those that pandas gives to columns without names: 0, 1, 2, ..."""
    places = all(name not in numbers or name == str(place) for place, name in enumerate(names))
    return places or (len(numbers) > 2 and numbers == [str(number) for number in range(len(numbers))])


def _is_number(name: str) -> bool:
    try:
        return bool(np.isfinite(float(name)))
    except ValueError:
        return False
