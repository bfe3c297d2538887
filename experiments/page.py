"""The table of all verdicts, from the files that experiments have written."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dlcore.core.errors import ArgumentError
from dlcore.evidence.claims import Outcome
from dlcore.evidence.tables import markdown, signed
from experiments.catalog import part_of
from experiments.execution import VERDICT


def documents(folder: pathlib.Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the experiments of those names have written into a folder of all, by name.

    Raises:
      ArgumentError: one is missing, or damaged.
    """
    found = {}
    for name in names:
        file = folder / name / VERDICT
        try:
            found[name] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ArgumentError(
                f"cannot read {str(file)!r}: {error}. Expects a folder that `python -m experiments run` has written."
            ) from None
    return found


def line(document: Mapping[str, Any]) -> str:
    """Question, verdicts, how many conditions hold, seconds."""
    claims = document["claims"]
    outcomes = ", ".join(f"{claim['name']} {claim['outcome']}" for claim in claims)
    supported, judged = (sum(claim[key] for claim in claims) for key in ("supported", "judged"))
    seconds = document["provenance"]["seconds"]
    return f"{document['plan']['question']} {outcomes}; {supported} of {judged} conditions; {seconds:.1f} s"


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row for each claim."""
    rows = []
    for name, document in found.items():
        for number, claim in enumerate(document["claims"]):
            question = f"[{document['plan']['question']}]({part_of(name)}/{name}.py)" if number == 0 else ""
            verdict = signed(Outcome(claim["outcome"]))
            share = f"{claim['supported']} of {claim['judged']}"
            rows.append((question, claim["statement"], verdict, share, document["answers"][claim["name"]]))
    columns = ["question", "statement", "verdict", "conditions that hold", "what to remember"]
    return markdown(pd.DataFrame(rows, columns=columns))
