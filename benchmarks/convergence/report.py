"""The results in the terminal and as a self-contained HTML page."""

import base64
import datetime
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.convergence import verdicts
from benchmarks.convergence.parts import Picture
from benchmarks.convergence.results import Results
from benchmarks.timing import machine
from dlcore.evidence import tables
from dlcore.evidence.agreement import SEEDS
from dlcore.plots.files import save_figure

DPI = 130  # sharp at the width of the page
DIGITS = 4  # of numbers in tables
MOST_WRITTEN_OUT = 1e9  # larger ones as powers of ten
BULKY = {"claim", tables.EVIDENCE}  # columns of sentences


class Figure(NamedTuple):
    """A picture in the page. data: its PNG, base64."""

    number: int
    picture: Picture
    data: str


def show(results: Results, console: Console) -> None:
    """Print all tables; the verdicts last."""
    for title, table in results.tables.items():
        _print(console, title, table)
    if results.theory:
        _print(console, "What theory says, measured", tables.verdict_table(results.theory), lines=True)
    _print(console, results.plan.question, tables.verdict_table(results.verdicts), lines=True)
    for text in (verdicts.answer(results.verdicts), *verdicts.details(results.verdicts)):
        console.print(text, highlight=False)


def write(results: Results, folder: pathlib.Path) -> None:
    """Write the figures as PNG and SVG, and `report.html` with all of them inside."""
    figures = [
        Figure(number, picture, _saved(picture, folder)) for number, picture in enumerate(results.pictures, start=1)
    ]
    (folder / "report.html").write_text(page(results, figures), encoding="utf-8")


def page(results: Results, figures: Sequence[Figure]) -> str:
    """The HTML page."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "words": lambda name: str(name).replace("_", " "),
        "kind": _kind,
        "cells": cells,
        "is_number": pd.api.types.is_numeric_dtype,
    }
    template = environment.from_string((pathlib.Path(__file__).parent / "report.html.jinja").read_text("utf-8"))
    return template.render(
        results=results,
        figures=figures,
        of=tables,
        words=verdicts,
        seeds=SEEDS,
        machine=machine(),
        date=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    )


def cells(frame: pd.DataFrame) -> pd.DataFrame:
    """All cells as text; numbers in as many digits as a reader wants, unknown ones as a dash."""
    return frame.map(_cell)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "-"
        return f"{value:,.0f}" if 10 ** (DIGITS - 1) <= abs(value) < MOST_WRITTEN_OUT else f"{value:.{DIGITS}g}"
    return str(value)


def _kind(value: Any) -> str:
    """How an entry of a design is shown."""
    if isinstance(value, dict):
        return "numbers" if all(isinstance(entry, int | float) for entry in value.values()) else "mapping"
    if isinstance(value, list):
        return "nested" if any(isinstance(entry, dict | list) for entry in value) else "list"
    return "text"


def _saved(picture: Picture, folder: pathlib.Path) -> str:
    """Write the picture as PNG and SVG; the PNG in base64."""
    file = folder / f"{picture.name}.png"
    save_figure(picture.figure, file, dpi=DPI)
    return base64.b64encode(file.read_bytes()).decode()


def _print(console: Console, title: str, frame: pd.DataFrame, *, lines: bool = False) -> None:
    table = Table(title=title, title_justify="left", show_lines=lines, box=box.SIMPLE_HEAD, pad_edge=False)
    for name in frame.columns:
        right = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(
            str(name), justify="right" if right else "left", overflow="fold", ratio=1 if name in BULKY else None
        )
    for row in cells(frame).itertuples(index=False):
        table.add_row(*row)
    console.print(table)
