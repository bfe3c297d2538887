"""A study as it was written down before it was measured, and its verdicts as JSON that names that plan."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlcore.core.arguments import ANYTHING, NONE, arguments, concrete, instance, mapping, sequence
from dlcore.core.errors import ArgumentError, shown
from dlcore.evidence.claims import Claim, Judged, Outcome, SubClaim, Verdict


class Revision(NamedTuple):
    """A change of a plan. change: what was changed, and what had been seen before.

    Example:
      >>> dl.evidence.Revision(2, "2026-11-27", "Twice as many seeds: the intervals were too wide.").number
      2
    """

    number: int
    date: str
    change: str


class Plan(NamedTuple):
    """What is asked and how it is answered, fixed before the measurement.

    claims: with the regions that decide them. design: sizes, targets, seeds, rules of tuning; numbers, text, sequences
    and mappings. history: all revisions, the first one first.

    Example:
      >>> plan = dl.evidence.Plan("Is it so?", (), {"sizes": [1, 8]}, dl.evidence.piloted("2026-11-26"))
      >>> plan.digest == plan._replace(design={"sizes": [1, 9]}).digest
      False
    """

    question: str
    claims: tuple[Claim, ...]
    design: Mapping[str, Any]
    history: tuple[Revision, ...]

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all of it: another one as soon as a threshold, a size or a seed changes."""
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it; what is not finite becomes text."""
        return plain(self, "design")


def digest_of(plan: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of JSON with sorted keys and no spaces."""
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any, name: str) -> Any:
    """Tuples with names, arrays and non-finite numbers as JSON holds them; NaN is null, infinity is text.

    Raises:
      ArgumentError: there is something else in what is called `name`.
    """
    value = concrete(value)
    if value is None or isinstance(value, str | bool | int):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else f"{value:g}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        value = dict(zip(value._fields, value, strict=True))  # pyright: ignore
    if isinstance(value, Mapping):
        return {str(key): plain(entry, name) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry, name) for entry in value]
    raise ArgumentError(f"{name} holds {shown(value)}; expects numbers, text, sequences and mappings.")


@arguments(
    plan=instance(Plan),
    verdicts=sequence(instance(Verdict), text="verdicts"),
    theory=sequence(instance(Verdict), text="verdicts"),
    provenance=mapping(ANYTHING) | NONE,
)
def verdict_json(
    plan: Plan,
    verdicts: Sequence[Verdict],
    *,
    theory: Sequence[Verdict] = (),
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Verdicts down to each condition, with the plan that they answer, as JSON holds them.

    Args:
      plan: what was to be measured.
      verdicts: one of each claim.
      theory: verdicts of what follows from theory, kept apart.
      provenance: versions, machine, seeds.

    Returns:
      "plan" and its "plan_digest"; "claims" and "theory", each with its sub-claims and their conditions. "judged" is a
      number of conditions, "supported" how many of them hold. Unknown numbers are None, infinite ones text.

    Raises:
      ArgumentError: `provenance` or the plan's design holds something other than numbers, text, sequences and mappings.

    Example:
      >>> plan = dl.evidence.Plan("Is it so?", (), {"sizes": [1, 8]}, ())
      >>> document = dl.evidence.verdict_json(plan, [], provenance={"block": 1})
      >>> list(document), document["plan_digest"] == plan.digest
      (['plan_digest', 'plan', 'provenance', 'claims', 'theory'], True)
    """
    return {
        "plan_digest": plan.digest,
        "plan": plan.to_json(),
        "provenance": plain(provenance or {}, "provenance"),
        "claims": [_claim(verdict) for verdict in verdicts],
        "theory": [_claim(verdict) for verdict in theory],
    }


def _claim(verdict: Verdict) -> dict[str, Any]:
    judged, outcomes = verdict.judged, verdict.outcomes
    return {
        "name": verdict.claim.name,
        "statement": verdict.claim.statement,
        "outcome": str(verdict.outcome),
        **_numbers([condition for part in judged.values() for condition in part]),
        "level": verdict.level,
        "parts": [_part(part, outcomes[part.name], judged[part.name]) for part in verdict.claim.parts],
        "checks": [plain(check, "checks") for check in verdict.checks],
    }


def _part(part: SubClaim, outcome: Outcome, judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "name": part.name,
        "statement": part.statement,
        "quantity": part.quantity,
        "region": plain(part.holds, "region"),
        "outcome": str(outcome),
        **_numbers(judged),
        "conditions": [plain(condition(each), "conditions") for each in judged],
    }


def condition(judged: Judged) -> dict[str, Any]:
    """A condition as a row of a table."""
    interval = judged.evidence.interval
    return {
        "condition": judged.evidence.condition,
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "count": interval.count,
        "level": interval.level,
        "bound": interval.bound,
        "reason": interval.reason,
        "p_value": judged.p_value,
        "outcome": str(judged.outcome),
        "note": judged.evidence.note,
    }


def _numbers(judged: Sequence[Judged]) -> dict[str, int]:
    return {"supported": sum(each.outcome is Outcome.SUPPORTED for each in judged), "judged": len(judged)}
