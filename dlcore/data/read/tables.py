"""Tables: CSV, Parquet and pandas frames; pen strokes, which come as a table."""

import io
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import ArgumentError, DataError, suggest
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.read.files import PathLike, decoded, existing_file, library, read_bytes

if TYPE_CHECKING:
    import pandas as pd

Column = str | int
TargetKind = Literal["auto", "class", "number"]


def from_csv(
    path: PathLike, target: Column | Sequence[Column], *, header: bool = True, separator: str = ",", **options: Any
):
    """A table in a text file, plain or gzip; read by pandas.

    Args:
      path: UTF-8 text, one row a line.
      target: column to predict, by name or by position (-1 is the last); or several columns of numbers.
      header: whether the first line holds names; without it columns are called "0", "1", ...
      separator: between cells, e.g. a tab.
      options: as in `from_frame`.

    Raises:
      DataError: as `from_frame`; also text that is no table, or not UTF-8.
    """
    pd = library("pandas", "reading CSV")
    text = decoded(read_bytes(path), path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # rows longer than the header are only warned of
            frame = pd.read_csv(
                io.StringIO(text), header=0 if header else None, sep=separator, index_col=False, skipinitialspace=True,
                low_memory=False,
            )  # fmt: skip
    # pandas raises ParserError, EmptyDataError, ParserWarning, and others from Python's csv module.
    except Exception as error:
        raise DataError(
            f"{path} is no table: {error}. Check the separator ({separator!r}) and header={header}."
        ) from error
    return from_frame(frame, target, **_described(path, "CSV") | options)


def from_parquet(path: PathLike, target: Column | Sequence[Column], **options: Any) -> Dataset:
    """A table in a Parquet file; read by pandas with pyarrow.

    Args:
      target, options: as in `from_frame`.

    Raises:
      DataError: as `from_frame`; also a file that is not Parquet or damaged.
    """
    library("pandas", "reading Parquet")
    parquet = library("pyarrow.parquet", "reading Parquet")
    data = existing_file(path).read_bytes()
    try:
        # As pandas.read_parquet, but with all that can be checked: page checksums, offsets, UTF-8.
        table = parquet.read_table(io.BytesIO(data), page_checksum_verification=True)
        table.validate(full=True)
        frame = table.to_pandas()
    # pyarrow raises ArrowInvalid, OSError, KeyError, NotImplementedError, ... on damaged files.
    except Exception as error:
        raise DataError(f"{path} is no readable Parquet file: {error}. Copy or write it again.") from error
    return from_frame(frame, target, **_described(path, "Parquet") | options)


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
        inputs = pd.get_dummies(inputs, columns=[_column(inputs, name) for name in one_hot])
    if not len(inputs.columns):
        raise DataError(f"no column is left for the inputs besides {columns + others}; expects at least one.")
    is_class = targets.dtype.kind == "i"
    return from_arrays(
        np.stack([_numbers(inputs[name], name) for name in inputs.columns], axis=1).astype(np.float32),
        targets,
        validation=validation,
        test=test,
        seed=seed,
        stratify=(is_class and groups is None) if stratify is None else stratify,
        groups=frame[groups].to_numpy() if groups else None,
        target_names=names,
        **described,
    )


def from_pen_strokes(
    path: PathLike, *, validation: float = 0.0, test: float = 0.0, seed: int = 0, **described: Any
) -> Dataset:
    """Pen-written symbols in the format of UCI's pen digits: a line x, y, x, y, ..., label for each, no header.

    Returns:
      inputs float32 [N, points, 2] in [-1, 1], the order of the pen's way; the coordinates' common largest value,
      100 for pen digits, becomes 1. Class targets; stratified split.

    Raises:
      DataError: as `from_csv`; also an odd number of coordinates.
    Reference: Alimoglu and Alpaydin, Methods of combining multiple classifiers based on different representations
      for pen-based handwritten digit recognition, 1996.
    """
    options: dict[str, Any] = {
        "header": False,
        "target_kind": "class",
        "validation": validation,
        "test": test,
        "seed": seed,
    }
    table = from_csv(path, -1, **options, **described)
    num_values = table.train.inputs.shape[1]
    if num_values % 2:
        raise DataError(f"{path} has {num_values} numbers before the label; expects pairs x, y.")
    splits = {split: getattr(table, split) for split in table.splits}
    lowest = min(split.inputs.min() for split in splits.values())
    span = max(split.inputs.max() for split in splits.values()) - lowest
    if not span > 0:
        raise DataError(f"{path}: all coordinates are {lowest}; expects points of a pen's way.")

    def strokes(split: Split) -> Split:
        return Split((split.inputs.reshape(-1, num_values // 2, 2) - lowest) / span * 2 - 1, split.targets)

    fields: dict[str, Any] = {
        "name": table.name,
        "source": f"pen strokes {path}",
        "target_names": table.target_names,
        "normalization": f"coordinates {lowest:g} to {lowest + span:g} scaled to [-1, 1]",
    }
    return Dataset(**{name: strokes(split) for name, split in splits.items()}, **fields | described)


def _described(path: PathLike, kind: str) -> dict[str, Any]:
    return {"name": pathlib.Path(path).name.split(".")[0], "source": f"{kind} {path}"}


def _column(frame: "pd.DataFrame", name: Column) -> str:
    names = list(frame.columns)
    if isinstance(name, int) and not isinstance(name, bool):
        if not -len(names) <= name < len(names):
            raise DataError(f"there is no column at position {name}; the table has {len(names)} columns.")
        return names[name]
    if name not in names:
        raise DataError(f"there is no column {name!r}; {suggest(name, names)}")
    return str(name)


def _targets(frame: "pd.DataFrame", columns: list[str], kind: TargetKind) -> tuple[np.ndarray, tuple[str, ...]]:
    """(targets [N] or [N, columns], class names or column names)."""
    if kind not in ("auto", "class", "number"):
        raise ArgumentError(f"target_kind is {kind!r}; {suggest(kind, ('auto', 'class', 'number'))}")
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
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
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
