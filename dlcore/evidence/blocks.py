"""Whether other seeds give the same verdicts, in the terminal."""

import json
import pathlib
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from dlcore.evidence.agreement import MISSING, agreement
from dlcore.evidence.tables import SIGNS


def show(files: Sequence[pathlib.Path], console: Console, *, title: str = "Verdicts by block of seeds") -> bool:
    """Print each claim's verdict in each file, the items that differ, and how many agree; whether all do.

    Raises:
      ArgumentError: fewer than two files, a file of something else, or plans that differ.
    """
    found = agreement(files)
    whole = found.reset_index().query("part == ''")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("claim", *map(_label, files), "agree"):
        table.add_column(name)
    for row in whole.drop(columns=["group", "part", "condition"]).itertuples(index=False):
        table.add_row(row[0], *map(_signed, row[1:-1]), "yes" if row[-1] else "no")
    console.print(table)
    for _, claim, part, condition, *outcomes, agrees in found.reset_index().itertuples(index=False):
        if not agrees:
            named = ", ".join(filter(None, (claim, part, condition)))
            console.print(f"differs: {named}: {', '.join(outcomes)}", soft_wrap=True, highlight=False, markup=False)
    agreeing, items = np.count_nonzero(found["agrees"]), len(found)
    share = f" ({agreeing / items:.1%})" if items else ""
    console.print(f"items that agree: {agreeing} of {items}{share}", highlight=False)
    return agreeing == items


def _label(file: pathlib.Path) -> str:
    block = json.loads(file.read_text(encoding="utf-8"))["provenance"].get("block")
    return str(file) if block is None else f"block {block}"


def _signed(outcome: str) -> str:
    signs = {str(known): sign for known, sign in SIGNS.items()} | {MISSING: "-"}
    return f"{signs[outcome]} {outcome}"
