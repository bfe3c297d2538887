"""Tables in memory: pandas frames."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlcore.core.arguments import (
    MOST,
    NONE,
    Constraint,
    RefusedError,
    arguments,
    boolean,
    integer,
    one_of,
    sequence,
    text,
)
from dlcore.core.dataset import FIELDS, Dataset
from dlcore.core.errors import ArgumentError, DataError, suggest
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.parameters import DESCRIBED, SPLITTING, keywords
from dlcore.data.read.files import PathLike, library

if TYPE_CHECKING:
    import pandas as pd

Column = str | int
TargetKind = Literal["auto", "class", "number"]


def _accept_frame(value: Any) -> Any:
    if not isinstance(value, library("pandas", "reading tables").DataFrame):
        raise RefusedError
    return value


FRAME = Constraint("a pandas.DataFrame", _accept_frame)
COLUMN = text | integer(-MOST)
COLUMNS = sequence(COLUMN, text="columns, by name or position")
TARGET = COLUMN | sequence(COLUMN, 1, text="columns, by name or position")
KEYWORDS = {
    "target_kind": one_of("auto", "class", "number"),
    "drop": COLUMNS,
    "one_hot": COLUMNS,
    "groups": text | NONE,
    **SPLITTING,
    "stratify": boolean | NONE,
}
OPTIONS = keywords("options of from_frame and fields of Dataset", KEYWORDS | FIELDS)


@arguments(frame=FRAME, target=TARGET, described=DESCRIBED, **KEYWORDS)
def from_frame(
    frame: "pd.DataFrame",
    target: Column | Sequence[Column],
    *,
    target_kind: TargetKind = "auto",
    drop: Sequence[str] = (),
    one_hot: Sequence[str] = (),
    groups: str | None = None,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool | None = None,
    **described: Any,
) -> Dataset:
    """A pandas frame: one column is the target, the others are inputs.

    Args:
      target: column to predict, by name or position; or several columns of numbers, for targets [N, columns].
      target_kind: "class" numbers the distinct values in order, "number" keeps them as float32; "auto" takes text,
        truth values and whole numbers as classes, others as numbers.
      drop: columns that are no inputs.
      one_hot: columns of categories, each to become one input per value.
      groups: column whose rows of one value stay in one split; no input.
      stratify: keep the classes' proportions; by default for classes that are not split by group.
      validation, test, seed: as in `from_arrays`.

    Returns:
      float32 inputs [N, columns].

    Raises:
      DataError: an unknown column (near names listed), a missing or non-numeric cell (row and column named), and as
        `from_arrays`.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"length": [5.1, 7.0], "width": [3.5, 3.2], "species": ["setosa", "virginica"]})
      >>> dl.data.from_frame(frame, "species", drop=["width"]).train.inputs.shape
      (2, 1)
    """
    pd = library("pandas", "reading tables")
    frame = frame.reset_index(drop=True).rename(columns=str)
    if not len(frame) or not frame.columns.is_unique:
        raise DataError(
            f"the table has {len(frame)} rows, columns {list(frame.columns)}; expects rows, and unique names."
        )
    columns = [_column(frame, name) for name in ([target] if isinstance(target, str | int) else target)]
    others = [_column(frame, name) for name in (*drop, *([groups] if groups else []))]
    _check_missing(frame.drop(columns=[_column(frame, name) for name in drop]))
    targets, names = _targets(frame, columns, target_kind)
    if not isinstance(target, str | int) and targets.ndim == 1:
        targets = targets[:, None]
    inputs = frame.drop(columns=[*columns, *others])
    if one_hot:
        categories = list(dict.fromkeys(_column(inputs, name) for name in one_hot))
        try:
            inputs = pd.get_dummies(inputs, columns=categories)
        except TypeError as error:
            raise DataError(f"one of the columns {categories} holds no categories: {error}.") from error
        if not inputs.columns.is_unique:
            raise DataError(f"one_hot={categories} makes columns that are there already: rename those first.")
    if not len(inputs.columns):
        raise DataError(f"no column is left for the inputs besides {columns + others}; expects at least one.")
    is_class = targets.dtype.kind == "i"
    fields: dict[str, Any] = {"target_names": names}
    return from_arrays(
        np.stack([_numbers(inputs[name], name) for name in inputs.columns], axis=1).astype(np.float32),
        targets,
        validation=validation,
        test=test,
        seed=seed,
        stratify=(is_class and groups is None) if stratify is None else stratify,
        groups=frame[groups].to_numpy() if groups else None,
        **fields | described,
    )


def described(path: PathLike, kind: str) -> dict[str, Any]:
    """Name and source of a data set that was read from a file."""
    return {"name": pathlib.Path(path).name.split(".")[0], "source": f"{kind} {path}"}


def _column(frame: "pd.DataFrame", name: Column) -> str:
    names = list(frame.columns)
    if isinstance(name, int):
        if not -len(names) <= name < len(names):
            raise DataError(f"there is no column at position {name}; the table has {len(names)} columns.")
        return names[name]
    if name not in names:
        raise DataError(f"there is no column {name!r}; {suggest(name, names)}")
    return str(name)


def _targets(frame: "pd.DataFrame", columns: list[str], kind: TargetKind) -> tuple[np.ndarray, tuple[str, ...]]:
    """(targets [N] or [N, columns], class names or column names)."""
    if len(columns) > 1 or kind == "number" or (kind == "auto" and frame[columns[0]].dtype.kind == "f"):
        if kind == "class":
            raise ArgumentError(f"target_kind='class' with the targets {columns}; expects one column of classes.")
        numbers = np.stack([_numbers(frame[name], name) for name in columns], axis=1).astype(np.float32)
        return (numbers, tuple(columns)) if len(columns) > 1 else (numbers[:, 0], tuple(columns))
    try:
        values, labels = np.unique(frame[columns[0]].to_numpy(), return_inverse=True)
    except TypeError as error:
        raise DataError(
            f"column {columns[0]!r} mixes kinds of values ({error}); expects all text or all numbers."
        ) from error
    return labels.astype(np.int32), tuple(str(value) for value in values)


def _check_missing(frame: "pd.DataFrame") -> None:
    missing = frame.isna().to_numpy()
    if missing.any():
        row, column = (int(i) for i in np.argwhere(missing)[0])
        raise DataError(
            f"row {row}, column {frame.columns[column]!r} is missing, and {int(missing.sum()) - 1} more cells; "
            "rows count "
            "from 0 without the header. Fill or drop them, e.g. from_frame(pd.read_csv(path).dropna(), ...)."
        )


def _numbers(column: Any, name: str) -> np.ndarray:
    pd = library("pandas", "reading tables")
    if column.dtype.kind in "mMc":
        raise DataError(
            f"column {name!r} holds {column.dtype}; expects real numbers. Convert it first, e.g. dates to days, or "
            f"leave it out with drop=({name!r},)."
        )
    try:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError as error:
        raise DataError(f"column {name!r} holds integers that fit no float: {error}. Rescale them first.") from error
    wrong = ~np.isfinite(numbers.astype(np.float32)) if np.abs(numbers).max() < 3e38 else ~(np.abs(numbers) < 3e38)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"row {row}, column {name!r} holds {_shown(column.iloc[row])}; expects a finite number. Rows count "
            "from 0 without the "
            f"header. Leave the column out with drop=({name!r},), or encode categories with one_hot=({name!r},)."
        )
    return numbers


def _shown(cell: Any) -> str:
    return repr(cell.item() if isinstance(cell, np.generic) else cell)
