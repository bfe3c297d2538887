"""Verdicts as tables: in the terminal, in the README, as CSV."""

import pathlib
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from benchmarks.convergence.results import Results
from dlcore.core.errors import ArgumentError
from dlcore.evidence.claims import Judged, Outcome, Verdict
from dlcore.evidence.plans import condition

SIGNS = {Outcome.SUPPORTED: "✓", Outcome.REFUTED: "✗", Outcome.CONDITIONAL: "±", Outcome.INCONCLUSIVE: "?"}
EVIDENCE = "conditions that hold, by part (from the smallest to the largest estimate)"
SMALLEST_P = 1e-4  # smaller ones are printed as smaller
BETWEEN_MARKERS = re.compile(r"(<!-- verdicts -->\n).*?(<!-- /verdicts -->)", re.DOTALL)


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


def answer(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in one paragraph."""
    words = {
        Outcome.SUPPORTED: "supported as stated",
        Outcome.CONDITIONAL: "true under some conditions and false under others",
        Outcome.REFUTED: "refuted",
        Outcome.INCONCLUSIVE: "not decided by these measurements",
    }
    texts = []
    for outcome, text in words.items():
        letters = [verdict.claim.name for verdict in verdicts if verdict.outcome is outcome]
        if letters:
            texts.append(f"{len(letters)} {'is' if len(letters) == 1 else 'are'} {text} ({', '.join(letters)})")
    found = [condition for verdict in verdicts for condition in conditions(verdict)]
    return (
        f"Of the {len(verdicts)} claims, {'; '.join(texts)}. Of the {len(found)} conditions under which they were "
        f"measured, {counts(found)}."
    )


def details(verdicts: Sequence[Verdict]) -> list[str]:
    """What holds of each claim, and what does not, by its parts."""
    words = {
        Outcome.SUPPORTED: "holds",
        Outcome.CONDITIONAL: "holds under some conditions",
        Outcome.REFUTED: "does not hold",
        Outcome.INCONCLUSIVE: "is not decided",
    }
    texts = []
    for verdict in verdicts:
        judged, outcomes = verdict.judged, verdict.outcomes
        sentences = []
        for outcome, text in words.items():
            mixed = outcome in (Outcome.CONDITIONAL, Outcome.INCONCLUSIVE)
            names = [
                name + (f" ({share_supported(judged[name])})" if mixed else "")
                for name, found in outcomes.items()
                if found is outcome
            ]
            if names:
                sentences.append(f"{text}: {'; '.join(names)}")
        texts.append(
            f"({verdict.claim.name}) {verdict.claim.statement} {'. '.join(_capital(each) for each in sentences)}."
        )
    return texts


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def counts(found: Sequence[Judged]) -> str:
    """How many conditions came out how."""
    numbers = {outcome: sum(each.outcome is outcome for each in found) for outcome in Outcome}
    return ", ".join(f"{number} are {outcome}" for outcome, number in numbers.items() if number)


def readme_table(results: Results) -> str:
    """A Markdown table with a row for each claim."""
    table = verdict_table(results.verdicts)
    lines = [f"| {' | '.join(table.columns)} |", "|---|---|---|---|---|"]
    for row in table.itertuples(index=False):
        cells = [" ".join(str(cell).split()).replace("|", "\\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def check_readme(path: pathlib.Path) -> str:
    """The text of a page with a place for the verdicts: to be called before anything is measured.

    Raises:
      ArgumentError: the page cannot be read, or has no such place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"cannot read {str(path)!r}: {error}; pass the path of a Markdown page.") from None
    if len(BETWEEN_MARKERS.findall(text)) != 1:
        raise ArgumentError(
            f"{str(path)!r} has no one place for the verdicts; put a line <!-- verdicts --> and a line <!-- "
            "/verdicts --> where the table belongs."
        )
    return text


def update_readme(path: pathlib.Path, table: str) -> None:
    """Put the table between the lines `<!-- verdicts -->` and `<!-- /verdicts -->` of a page, and nothing else there.

    Raises:
      ArgumentError: the page cannot be read, or has no such lines.
    """
    text = BETWEEN_MARKERS.sub(lambda match: f"{match[1]}\n{table}\n{match[2]}", check_readme(path))
    path.write_text(text, encoding="utf-8")
