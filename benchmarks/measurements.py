"""Files of measurements: for each part its numbers, each with all its repeats, and the machine they were taken on.

    {"machine": {...}, "network_study": {"dlcore_ms_per_run": {"median": 13.5, "repeats": [13.3, 13.5, 13.9]}, ...}}

A number that has no repeats, and each of older files, stands alone; a text says why there is no number.
"""

import json
import math
import os
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dlcore.core.errors import ArgumentError
from dlcore.engine.folders import check_parent, unwritable
from dlcore.engine.manifest import sync

Numbers = dict[str, float | np.ndarray | str]  # name to a number, to one of each repeat, or why there is none


class Measured(NamedTuple):
    """A number: the median of its repeats, which a number that was taken once, and an older file, do not have."""

    median: float
    repeats: tuple[float, ...] = ()


class Goal(NamedTuple):
    """What a number should be: ">=" or "<=" a value."""

    sign: str
    value: float

    def is_met(self, value: float) -> bool:
        """Whether a number is on the right side."""
        return value >= self.value if self.sign == ">=" else value <= self.value


class Measurements(NamedTuple):
    """A file: the machine, and each part's numbers."""

    machine: dict[str, Any]
    parts: dict[str, dict[str, Measured]]


def rounded(value: float) -> float:
    """To five significant digits."""
    return round(value, 4 - math.floor(math.log10(abs(value)))) if value and math.isfinite(value) else value


def written(value: float | np.ndarray | str) -> Any:
    """A value of `Numbers` as JSON has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        repeats = [float(each) for each in value]
        return {"median": rounded(statistics.median(repeats)), "repeats": [rounded(each) for each in repeats]}
    return rounded(float(value))


def parsed(value: Any) -> Measured | None:
    """A number as `written` wrote it, or as older files have it; None of a text."""
    if isinstance(value, str):
        return None
    if isinstance(value, dict):
        return Measured(float(value["median"]), tuple(float(each) for each in value["repeats"]))
    return Measured(float(value))


def read(path: pathlib.Path) -> Measurements:
    """A file of measurements.

    Raises:
      ArgumentError: no such file, or it is something else.
    """
    try:
        return from_document(json.loads(path.read_text()))
    except OSError as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error.strerror}. Name a file that --output wrote.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArgumentError(
            f"{str(path)!r} is damaged, or no file of measurements ({type(error).__name__}: {error}). Name a file that "
            "--output wrote."
        ) from error


def from_document(document: Mapping[str, Any]) -> Measurements:
    """What the JSON holds."""
    parts = {
        part: {name: number for name, value in numbers.items() if (number := parsed(value)) is not None}
        for part, numbers in document.items()
        if part != "machine"
    }
    return Measurements(dict(document["machine"]), parts)


def check_file(output: pathlib.Path) -> None:
    """Raise `ArgumentError` unless the file can be written, and is new or holds measurements."""
    try:
        check_parent(pathlib.Path(os.path.abspath(output)))
        if not os.path.lexists(output):
            return
        ours = output.is_file() and not output.is_symlink() and "machine" in json.loads(output.read_text())
    except (OSError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        ours = False
    if not ours:
        raise ArgumentError(f"{str(output)!r} is there and no file of measurements; choose another path, or remove it.")


def write(output: pathlib.Path, results: Mapping[str, Any]) -> None:
    """The file is the old one or the new one, never half of it."""
    new = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(_text(results))
        sync(new)
        new.replace(output)
    except OSError as error:
        raise unwritable(str(output), error) from error
    finally:
        new.unlink(missing_ok=True)


def _text(results: Mapping[str, Any]) -> str:
    """JSON with a number a line, its repeats beside it."""
    parts = []
    for part, numbers in results.items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in numbers.items())
        parts.append(f" {json.dumps(part)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def line(name: str, value: Any, goal: Goal | None = None) -> str:
    """A number as the commands print it: median, smallest and largest, and whether it is what it should be."""
    if isinstance(value, str):
        return f"    {name:32} {value}"
    number = parsed(value)
    assert number
    text = f"    {name:32} {number.median:10.4g}"
    if number.repeats:
        text += f"  [{min(number.repeats):.4g}, {max(number.repeats):.4g}]"
    if goal:
        text += f"  {goal.sign} {goal.value:g}: {'yes' if goal.is_met(number.median) else 'no'}"
    return text
