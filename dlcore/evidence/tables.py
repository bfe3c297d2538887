"""Verdicts as tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from dlcore.evidence.claims import Judged, Outcome, Verdict
from dlcore.evidence.plans import condition

SIGNS = {Outcome.SUPPORTED: "✓", Outcome.REFUTED: "✗", Outcome.CONDITIONAL: "±", Outcome.INCONCLUSIVE: "?"}
EVIDENCE = "conditions that hold, by part (from the smallest to the largest estimate)"
SMALLEST_P = 1e-4  # smaller ones are printed as smaller


def signed(outcome: Outcome) -> str:
    """The outcome with its sign, which tells it from others without a color."""
    return f"{SIGNS[outcome]} {outcome}"


def conditions(verdict: Verdict) -> list[Judged]:
    """All conditions of a claim."""
    return flat(verdict.judged)


def flat(judged: Mapping[str, Sequence[Judged]]) -> list[Judged]:
    """The conditions of all sub-claims."""
    return [condition for found in judged.values() for condition in found]


def share_supported(found: Sequence[Judged]) -> str:
    """`k of m` conditions."""
    return f"{sum(each.outcome is Outcome.SUPPORTED for each in found)} of {len(found)}" if found else "not measured"


def p_text(judged: Judged) -> str:
    """The adjusted p-value, where the interval could be wrong."""
    if judged.evidence.interval.bound in ("exact", "none"):
        return "-"
    return f"< {SMALLEST_P:g}" if judged.p_value < SMALLEST_P else f"{judged.p_value:.2g}"


def verdict_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row for each claim."""
    columns = ["", "claim", "verdict", "conditions", EVIDENCE]
    rows = [
        (v.claim.name, v.claim.statement, signed(v.outcome), share_supported(conditions(v)), v.summary)
        for v in verdicts
    ]
    return pd.DataFrame(rows, columns=columns)


def condition_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row for each condition: where it was measured, what, with which interval, and what that says."""
    rows = []
    for verdict in verdicts:
        for part in verdict.claim.parts:
            for judged in verdict.judged[part.name]:
                where = {"claim": verdict.claim.name, "part": part.name}
                rows.append(where | condition(judged) | {"quantity": part.quantity, "holds": str(part.holds)})
    return pd.DataFrame(rows)


def counts(found: Sequence[Judged]) -> str:
    """How many conditions came out how."""
    numbers = {outcome: sum(each.outcome is outcome for each in found) for outcome in Outcome}
    return ", ".join(f"{number} are {outcome}" for outcome, number in numbers.items() if number)


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table; a pipe in a cell stays one."""
    lines = [f"| {' | '.join(map(str, table.columns))} |", f"|{'---|' * len(table.columns)}"]
    for row in table.itertuples(index=False):
        cells = [" ".join(str(cell).split()).replace("|", "\\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
