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
from dlcore.core.dataset import FIELDS, Dataset, one_array
from dlcore.core.errors import ArgumentError, DataError
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.parameters import BYTES, DATASET, DESCRIBED, SPLITTING, check_in_memory, keywords
from dlcore.data.read.columns import check_missing_text, check_twins, classes, is_numeric, numbers, refuse_others
from dlcore.data.read.files import MAX_TABLE, PathLike, library
from dlcore.data.read.leaks import check_classes_once, check_numbers_once
from dlcore.data.read.table import Column, table

if TYPE_CHECKING:
    import pandas as pd

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
    "max_bytes": BYTES,
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
    max_bytes: int = MAX_TABLE,
    **described: Any,
) -> Dataset:
    """A pandas frame: one column is the target, the others are inputs.

    Args:
      target: column to predict, by name or position; or several columns of numbers, for targets [N, columns].
      target_kind: "class" numbers the distinct values in order, "number" keeps them as float32; "auto" takes text,
        truth values and categories as classes, all numbers as numbers.
      drop: columns that are no inputs.
      one_hot: columns of categories, each to become one input per value.
      groups: column whose rows of one value stay in one split; no input.
      stratify: keep the classes' proportions; by default for classes that are not split by group.
      validation, test, seed: as in `from_arrays`.
      max_bytes: most that the inputs may take.

    Returns:
      float32 inputs [N, columns], their names in `input_names`. Levels of an index are columns like the others, without
      a position; an index of integers without a name only numbers the rows, one with a name that has another integer in
      each row is to be dropped or made a column, `frame.reset_index()`.

    Raises:
      DataError: an unknown column (near names listed), names twice, a column without a name, a missing or non-numeric
        cell (row and column named), numbers that float32 does not tell apart, an input that is the target once more,
        and as `from_arrays`.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"length": [5.1, 7.0], "width": [3.5, 3.2], "species": ["setosa", "virginica"]})
      >>> dl.data.from_frame(frame, "species", drop=["width"]).train.inputs.shape
      (2, 1)
    """
    found = table(frame)
    column = found.column
    rows: Any = found.frame
    targets_of = [column(name) for name in ([target] if isinstance(target, str | int) else target)]
    dropped, encoded = [column(name) for name in drop], list(dict.fromkeys(column(name) for name in one_hot))
    others = [*dropped, *([column(groups)] if groups else [])]
    _check_roles({"target": targets_of, "drop": dropped, "one_hot": encoded, "groups": others[len(dropped) :]})
    _check_missing(rows.drop(columns=dropped))
    is_class, targets, names = _targets(rows, targets_of, target_kind)
    inputs = rows.drop(columns=[*targets_of, *others])
    if not len(inputs.columns):
        raise DataError(f"no column is left for the inputs besides {targets_of + others}; expects at least one.")
    found.check_inputs([name for name in inputs.columns if name not in encoded])
    values, input_names = _inputs(inputs, encoded, max_bytes)
    plain = {name: values[:, at] for at, name in enumerate(input_names) if name in inputs.columns}
    if is_class:
        check_classes_once(plain, inputs[encoded], targets_of[0], targets, names)
    else:
        check_numbers_once(plain, names, targets)
    if not isinstance(target, str | int) and targets.ndim == 1:
        targets = targets[:, None]
    fields: dict[str, Any] = {
        "target_names": names,
        "input_names": input_names,
        "source": f"a pandas frame{found.note}",
    }
    if "source" in described:
        described = described | {"source": described["source"] + found.note}
    return from_arrays(
        values,
        targets,
        validation=validation,
        test=test,
        seed=seed,
        stratify=(is_class and groups is None) if stratify is None else stratify,
        groups=_group_values(rows[groups]) if groups else None,
        **fields | described,
    )


@arguments(frame=FRAME, dataset=DATASET, one_hot=COLUMNS, max_bytes=BYTES)
def inputs_from_frame(
    frame: "pd.DataFrame", dataset: Dataset, *, one_hot: Sequence[str] = (), max_bytes: int = MAX_TABLE
) -> np.ndarray:
    """Inputs of new rows, in the columns of a data set that was made from a table: for predictions.

    They are not normalized: apply what was fitted to the train split, as in the example.

    Args:
      frame: the columns of that table that are inputs, in any order; other columns are left out.
      dataset: as `from_frame` or `from_csv` made it, whose `input_names` say the columns.
      one_hot: as it was given there; a value that no new row has becomes a column of 0.
      max_bytes: most that the inputs may take.

    Returns:
      float32 [N, columns].

    Raises:
      DataError: a data set without input_names, a column that is not there, a value of a category that was not there,
        cells as in `from_frame`.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"size": [1.0, 3.0], "color": ["red", "blue"], "kind": ["a", "b"]})
      >>> data = dl.data.from_frame(frame, "kind", one_hot=["color"])
      >>> data.input_names
      ('size', 'color_blue', 'color_red')
      >>> new = dl.data.inputs_from_frame(pd.DataFrame({"color": ["red"], "size": [2.0]}), data, one_hot=["color"])
      >>> new.tolist()
      [[2.0, 0.0, 1.0]]
      >>> normalizer = dl.data.z_score()
      >>> normalizer.apply(normalizer.fit(data.train.inputs), new).tolist()
      [[0.0, -1.0, 1.0]]
    """
    if not dataset.input_names:
        raise DataError(
            f"{dataset.name} has no input_names; expects a data set of a table. Make it by dl.data.from_frame, or say "
            "Dataset(..., input_names=...)."
        )
    check_in_memory("inputs_from_frame", dataset)
    found = table(frame)
    encoded = list(dict.fromkeys(found.column(name) for name in one_hot))
    plain = [name for name in dataset.input_names if name in found.frame.columns and name not in encoded]
    flags = _of_categories(dataset, encoded)
    for name in dataset.input_names:
        if name not in plain and name not in flags:
            others = [each for each in found.frame.columns if each not in [*plain, *encoded]]
            near = [each for each in others if name.startswith(f"{each}_") and not is_numeric(found.frame[each])]
            advice = f"Encode the column as that data set did, one_hot=({near[0]!r},)." if near else "Add it."
            raise DataError(
                f"the new rows have no column {name!r}, an input of {dataset.name}; they have "
                f"{', '.join(found.frame.columns)}. {advice}"
            )
    chosen: Any = found.frame[[*plain, *encoded]]
    _check_missing(chosen, "Fill them as the rows of the data set were filled, or leave such rows out")
    values, names = _inputs(chosen, encoded, max_bytes)
    for name in names:
        if name not in dataset.input_names:
            raise DataError(
                f"the new rows make an input {name!r}; {dataset.name} has {', '.join(dataset.input_names)}. Leave the "
                "rows of that value out, or train with such rows."
            )
    columns = dict(zip(names, values.T, strict=True))
    absent = np.zeros(len(chosen), np.float32)
    return np.stack([columns.get(name, absent) for name in dataset.input_names], axis=1)


def _of_categories(dataset: Dataset, encoded: Sequence[str]) -> list[str]:
    """Inputs that say whether a column of categories has a value: called after it, and of two values."""
    inputs = one_array(dataset, "inputs", "inputs_from_frame")
    return [
        name
        for name, column in zip(dataset.input_names, np.moveaxis(inputs, -1, 0), strict=True)
        if name.startswith(tuple(f"{each}_" for each in encoded)) and len(np.unique(column)) <= 2
    ]


def described(path: PathLike, kind: str) -> dict[str, Any]:
    """Name and source of a data set that was read from a file."""
    return {"name": pathlib.Path(path).name.split(".")[0], "source": f"{kind} {path}"}


def _check_roles(roles: dict[str, list[str]]) -> None:
    """Raise `DataError` for a column that is asked to be two things."""
    taken: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if taken.setdefault(name, role) != role or (role == "target" and names.count(name) > 1):
                raise DataError(
                    f"column {name!r} is in {taken[name]} and in {role}; expects one of them. Take it out of the other."
                )


def _targets(frame: Any, columns: list[str], kind: TargetKind) -> tuple[bool, np.ndarray, tuple[str, ...]]:
    """(whether they are classes, targets [N] or [N, columns], names of the classes or of the columns)."""
    if len(columns) > 1 and kind == "class":
        raise ArgumentError(f"target_kind='class' with the targets {columns}; expects one column of classes.")
    if len(columns) > 1 or kind == "number" or (kind == "auto" and is_numeric(frame[columns[0]])):
        values = np.stack([numbers(frame[name], name, target=True) for name in columns], axis=1)
        return False, values if len(columns) > 1 else values[:, 0], tuple(columns)
    return True, *classes(frame[columns[0]], columns[0], asked=kind == "class")


def _inputs(inputs: Any, encoded: list[str], max_bytes: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(float32 [N, columns], their names): numbers first, then a column of 0 and 1 for each value of the encoded."""
    pd = library("pandas", "reading tables")
    for name in encoded:
        refuse_others(inputs[name], name)
        check_missing_text(inputs[name].unique(), name)
        check_twins(inputs[name].unique(), name)
    plain = [name for name in inputs.columns if name not in encoded]
    width = len(plain) + sum(inputs[name].nunique() for name in encoded)
    if width * len(inputs) * 4 > max_bytes:
        raise DataError(
            f"the inputs would have {width} columns and {len(inputs)} rows; expects at most max_bytes={max_bytes}, 4 "
            "bytes each. Encode columns of fewer values, or raise max_bytes."
        )
    columns = {name: numbers(inputs[name], name) for name in plain}
    for name in encoded:
        dummies = pd.get_dummies(inputs[[name]], columns=[name])
        for called in dummies.columns:
            if called in columns:
                raise DataError(
                    f"one_hot={encoded} makes a second column {called!r}: rename the one that is there first."
                )
            columns[called] = dummies[called].to_numpy(np.float32)
    return np.stack(list(columns.values()), axis=1), tuple(columns)


def _group_values(column: Any) -> np.ndarray:
    """Groups as numbers or text, whatever pandas kept them in."""
    values = column.to_numpy()
    return values if values.dtype.kind in "biufUM" else column.astype(str).to_numpy(str)


def _check_missing(frame: "pd.DataFrame", advice: str = "") -> None:
    missing = frame.isna().to_numpy()
    empty = [name for name, column in zip(frame.columns, missing.T, strict=True) if column.all()]
    if empty and len(frame) > 1:
        raise DataError(
            f"column {empty[0]!r} is missing in all rows. {advice or f'Leave it out with drop=({empty[0]!r},)'}."
        )
    if missing.any():
        row, column = (int(i) for i in np.argwhere(missing)[0])
        name, more = frame.columns[column], int(missing.sum()) - 1
        others = f", and {more} more cell{'s' * (more > 1)}" * (more > 0)
        advice = advice or (
            "Fill or drop them in pandas, from_frame(frame.dropna(), ...), or leave the column out with "
            f"drop=({name!r},)"
        )
        raise DataError(
            f"row {row}, column {name!r} is missing{others}; rows count from 0 without the header. {advice}."
        )
