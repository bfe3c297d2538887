"""Verdicts in words: in the terminal, in the README."""

from collections.abc import Sequence

from benchmarks.convergence.results import Results
from dlcore.evidence.claims import Outcome, Verdict
from dlcore.evidence.tables import conditions, counts, markdown, share_supported, verdict_table


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


def readme_table(results: Results) -> str:
    """A Markdown table with a row for each claim."""
    return markdown(verdict_table(results.verdicts))
