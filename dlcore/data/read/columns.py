"""A column of a table as numbers or as classes, or what it is instead and what makes numbers of it."""

import datetime
import decimal
import itertools
import math
import numbers as numbers_abc
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dlcore.core import precision
from dlcore.core.errors import DataError
from dlcore.data.read.files import library

CURRENCY = r"[$\u20ac\u00a3\u00a5\u20b9\u20a9]"
# 1,234 or -12.5 % or $5 or 3 kg; not (5) or 5k, of which taking the signs away makes another number
NUMBER_LIKE = re.compile(rf"[-+]?{CURRENCY}?\s*[-+]?[0-9][0-9.,' \u00a0_]*\s*(%|{CURRENCY}|[A-Za-z]{{2,4}})?")
MISSING = ("", "nan", "NaN", "None", "<NA>", "NaT", "null", "?")
DATE_LIKE = re.compile(r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{4})([T ].*)?")
CODE = re.compile(r"0[0-9]+")  # 007, which as a number is 7
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")  # soft hyphen, joiners and marks of no width
WHOLE = re.compile(r"[-+]?\d+")
FIXES = {
    "M": "Make numbers of times: (frame[{0!r}] - frame[{0!r}].min()).dt.total_seconds().",
    "m": "Make numbers of durations: frame[{0!r}].dt.total_seconds().",
    "c": "Give its parts: frame[{0!r}].to_numpy().real and .imag.",
    "period": "Make numbers of periods: (frame[{0!r}].dt.start_time - frame[{0!r}].dt.start_time.min()).dt.days.",
    "interval": "Take a number of each: frame[{0!r}].array.mid.",
    "bytes": "Make text of it: frame[{0!r}].str.decode('utf-8').",
    "list": "Take a part of each cell: frame[{0!r}].str[0].",
    "object": "Make text of it: frame[{0!r}].astype(str).",
    "dictionary": "Make columns of it: pd.json_normalize(frame[{0!r}].tolist()).",
    "datetime": "Make times of them, pd.to_datetime(frame[{0!r}]), and numbers: (t - t.min()).dt.total_seconds().",
    "timedelta": "Make numbers of durations: pd.to_timedelta(frame[{0!r}]).dt.total_seconds().",
    "complex": "Give its parts: np.real(frame[{0!r}].tolist()) and np.imag(...).",
}


def numbers(column: Any, name: str, *, target: bool = False) -> np.ndarray:
    """float32 [N] of a column of finite numbers, or a `DataError` with a row and what to do."""
    pd = library("pandas", "reading tables")
    refuse_others(column, name, target=target)
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    elif isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object).infer_objects()
    _check_codes(column, name, target)
    try:
        numeric = pd.to_numeric(column, errors="coerce")
        with np.errstate(over="ignore"):  # long doubles
            values = numeric.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError as error:
        raise DataError(
            f"column {name!r} holds integers that fit no float: {error}. Leave it out with drop=({name!r},)."
        ) from error
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r} holds no numbers: {error}. Leave it out with drop=({name!r},).") from error
    with np.errstate(over="ignore"):
        wrong = ~np.isfinite(values.astype(np.float32))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"row {row}, column {name!r} holds {_shown(column.iloc[row])}; expects a finite number. Rows count "
            f"from 0 without the header. {_advice(column.iloc[row], name, target)}"
        )
    if (words := _lost(column, numeric, values)) is not None:
        other = "take it for classes, target_kind='class'" if target else f"leave it out, drop=({name!r},)"
        raise DataError(
            f"column {name!r} holds {words}; models compute in float32. In pandas subtract the minimum, "
            f"frame[{name!r}] - frame[{name!r}].min(), or {other}. If that precision will do, round it: "
            f"frame[{name!r}].astype('float32')."
        )
    return np.asarray(values, np.float32)


def _check_codes(column: Any, name: str, target: bool) -> None:
    """Raise `DataError` where text such as 007 and 7 would be one number."""
    if column.dtype.kind != "O":
        return
    cells = {cell for cell in column.unique().tolist() if isinstance(cell, str)}
    for cell in filter(CODE.fullmatch, sorted(cells)):
        others = {cell.lstrip("0") or "0", cell[1:]} - {cell}
        if same := others & cells:
            other = "take it for classes, target_kind='class'" if target else f"encode it, one_hot=({name!r},)"
            raise DataError(
                f"column {name!r} holds {cell!r} and {min(same)!r}, one number; expects numbers, or codes that are "
                f"kept apart: {other}. If they are numbers, say so in pandas: frame[{name!r}].astype(float)."
            )


def _lost(column: Any, numeric: Any, values: np.ndarray) -> str | None:
    """What float32 does not tell apart, in words; of integers as they were written, also where float64 rounds them."""
    if numeric.dtype.kind == "b" or column.dtype == np.float32:
        return None
    exact = numeric.to_numpy() if numeric.dtype.kind in "iu" else values
    if (found := precision.lost(np.asarray(exact))) is not None:
        return found[1]
    if column.dtype.kind != "O" or np.abs(values).max() < precision.EXACT:
        return None
    whole = sorted({int(str(cell)) for cell in column if WHOLE.fullmatch(str(cell))})
    same = (pair for pair in itertools.pairwise(whole) if np.float32(pair[0]) == np.float32(pair[1]))
    return next((f"{low} and {high}, which are one number in float32" for low, high in same), None)


def is_numeric(column: Any) -> bool:
    """Whether a column holds numbers: not text, truth values or categories."""
    pd = library("pandas", "reading tables")
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column.dtype):
        return False
    if column.dtype == object:
        return pd.api.types.infer_dtype(column, skipna=False) not in ("string", "boolean", "mixed", "mixed-integer")
    return not pd.api.types.is_string_dtype(column.dtype)


def classes(column: Any, name: str, *, asked: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """(int32 labels [N], names): numbers and text of numbers in order of size, text by letters, categories in theirs.

    Args:
      asked: whether the column was said to hold classes; else text that looks like amounts is refused.
    """
    pd = library("pandas", "reading tables")
    if isinstance(column.dtype, pd.CategoricalDtype):
        _check_levels(column, name)
        check_twins(column.cat.categories, name)
        if column.cat.ordered:
            return column.cat.codes.to_numpy().astype(np.int32), tuple(map(str, column.cat.categories))
    if column.dtype.kind != "M":
        refuse_others(column, name, target=True)
    cells = column.tolist()
    kinds = {_kind(cell) for cell in cells}
    if len(kinds) > 1:
        raise DataError(
            f"column {name!r} mixes kinds of values ({', '.join(sorted(kinds))}); expects all text or all numbers. "
            f"Make text of them: frame[{name!r}].astype(str)."
        )
    if kinds == {"text"}:
        _check_text(cells, name, asked)
        numeric = all(WHOLE.fullmatch(cell) for cell in cells)
        distinct = _distinct(column, key=(lambda cell: (int(cell), cell)) if numeric else None)
        words = distinct
    else:
        distinct = _distinct(column)
        infinite = [cell for cell in distinct if not isinstance(cell, int | str) and not math.isfinite(cell)]
        if kinds == {"number"} and infinite:
            raise DataError(
                f"column {name!r} holds {infinite[-1]!r}; expects finite numbers, or text. Drop these rows."
            )
        whole = kinds == {"number"} and all(cell == int(cell) for cell in distinct)
        words = [str(int(cell)) if whole else str(cell) for cell in distinct]
    number = {cell: position for position, cell in enumerate(distinct)}
    return np.asarray([number[cell] for cell in cells], np.int32), tuple(words)


def _distinct(column: Any, key: Callable[[Any], Any] | None = None) -> list[Any]:
    """Values of a column, sorted by the key; categories as they are."""
    if hasattr(column, "cat"):
        return column.cat.categories.tolist()
    return sorted(set(column.tolist()), key=key)


def refuse_others(column: Any, name: str, *, target: bool = False) -> None:
    """Raise `DataError` for a column of what are neither numbers nor text: times, complex numbers, lists, bytes."""
    pd = library("pandas", "reading tables")
    kind = column.dtype.kind
    if isinstance(column.dtype, pd.PeriodDtype | pd.IntervalDtype):
        kind = "period" if isinstance(column.dtype, pd.PeriodDtype) else "interval"
    elif kind == "O" and not pd.api.types.is_string_dtype(column):
        kind = next(filter(None, map(_other, column.tolist())), "")
    if kind in FIXES:
        what = column.dtype if column.dtype != object else f"cells of kind {kind}"
        raise DataError(
            f"column {name!r} holds {what}; expects real numbers. {FIXES[kind].format(name)}"
            + f" Or leave it out with drop=({name!r},)." * (not target)
        )


def _other(cell: Any) -> str:
    """The kind of a cell that is neither a number nor text, or ""."""
    if isinstance(cell, complex | np.complexfloating):
        return "complex"
    if isinstance(cell, bytes | bytearray):
        return "bytes"
    if isinstance(cell, datetime.date | np.datetime64):
        return "datetime"
    if isinstance(cell, datetime.timedelta | np.timedelta64):
        return "timedelta"
    if isinstance(cell, dict):
        return "dictionary"
    if isinstance(cell, list | tuple | np.ndarray):
        return "list"
    return "" if isinstance(cell, str | numbers_abc.Real | decimal.Decimal | np.generic) else "object"


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "text"
    return "truth values" if isinstance(cell, bool | np.bool_) else _other(cell) or "number"


def _check_levels(column: Any, name: str) -> None:
    used = set(column.cat.codes.tolist())
    unused = [level for code, level in enumerate(column.cat.categories) if code not in used]
    if unused:
        raise DataError(
            f"column {name!r} has {len(unused)} categories without rows, {unused[0]!r} first; expects a row of each "
            f"class. frame[{name!r}].cat.remove_unused_categories() leaves them out."
        )


def check_missing_text(cells: Iterable[Any], name: str) -> None:
    """Raise `DataError` where a cell of a column of text is missing and written as text, as by `astype(str)`."""
    for row, cell in enumerate(cells):
        if isinstance(cell, str) and cell.strip() in MISSING:
            raise DataError(
                f"row {row}, column {name!r} holds {cell!r}; expects a value, and not text for a missing one. Make it "
                f"missing and drop the row: frame[frame[{name!r}] != {cell!r}]; or give it a name, "
                f"frame[{name!r}].replace({cell!r}, 'unknown')."
            )


def _check_text(cells: list[str], name: str, asked: bool) -> None:
    check_missing_text(cells, name)
    if not asked and all(map(DATE_LIKE.fullmatch, cells)):
        raise DataError(
            f"column {name!r} holds text that looks like dates, {cells[0]!r}; expects numbers, or classes by "
            f"target_kind='class'. {FIXES['datetime'].format(name)}"
        )
    if not asked and all(map(NUMBER_LIKE.fullmatch, cells)) and not all(map(WHOLE.fullmatch, cells)):
        raise DataError(
            f"column {name!r} holds text that looks like numbers, {cells[0]!r}; expects numbers, or classes by "
            f"target_kind='class'. {_to_numbers(cells[0], name)}"
        )
    check_twins(cells, name)


def check_twins(cells: Iterable[Any], name: str) -> None:
    """Raise `DataError` where two texts look alike: other spaces, invisible signs, accents written in other ways."""
    seen: dict[str, str] = {}
    for cell in dict.fromkeys(cell for cell in cells if isinstance(cell, str)):
        looks = " ".join(INVISIBLE.sub("", unicodedata.normalize("NFC", cell)).split())
        if seen.setdefault(looks, cell) != cell:
            raise DataError(
                f"column {name!r} holds {seen[looks]!a} and {cell!a}; expects categories that differ by more than "
                f"spaces and what is not seen. Write them alike in pandas: frame[{name!r}].str.normalize('NFC')"
                f".str.replace(r'{INVISIBLE.pattern}', '', regex=True).str.split().str.join(' ')."
            )


def _advice(cell: Any, name: str, target: bool) -> str:
    if isinstance(cell, str) and NUMBER_LIKE.fullmatch(cell):
        return _to_numbers(cell, name)
    if isinstance(cell, str) and cell.strip() in MISSING:
        return f"Where it stands for a missing value, drop the row: frame[frame[{name!r}] != {cell!r}]."
    if isinstance(cell, str) and DATE_LIKE.fullmatch(cell):
        return FIXES["datetime"].format(name)
    if target:
        return "Take it for classes, target_kind='class', or drop the row."
    if isinstance(cell, str):
        return f"Leave the column out with drop=({name!r},), or encode categories with one_hot=({name!r},)."
    return f"Leave the column out with drop=({name!r},), or drop the row."


def _to_numbers(cell: str, name: str) -> str:
    """How pandas makes numbers of text such as 1,234 or 12 %."""
    column = f"frame[{name!r}]"
    strip = "" if re.fullmatch(r"[-+]?[\d.,]+", cell) else ".str.replace(r'[^0-9.,+-]', '', regex=True)"
    point = f"{column}{strip}.str.replace(',', '').astype(float)"
    comma = f"{column}{strip}.str.replace('.', '').str.replace(',', '.').astype(float)"
    return f"Make numbers of it in pandas, then from_frame: {point}" + (
        f"; with a decimal comma {comma}." if "," in cell else "."
    )


def _shown(cell: Any) -> str:
    return repr(cell.item() if isinstance(cell, np.generic) else cell)
