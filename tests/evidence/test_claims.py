"""What evidence says about a claim, over all cases."""

import pytest

from dlcore.evidence.claims import Evidence, Outcome, Verdict
from dlcore.evidence.intervals import Interval

S, R, C, Q = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE


def evidence(low, high, supports="above", bound="exact", threshold=1.0):
    """Evidence with that interval."""
    interval = Interval((low + high) / 2, low, high, 8, bound=bound)
    return Evidence("here", "ratio", interval, threshold, supports)


# Below, around and above the threshold 1; touching it decides nothing.
INTERVALS = {"below": (0.2, 0.8), "around": (0.8, 1.2), "above": (1.2, 1.8), "up_to": (0.2, 1.0), "from": (1.0, 1.8)}


@pytest.mark.parametrize(
    ("bound", "where", "above"),
    [
        *[("exact", where, {"below": R, "above": S}.get(where, Q)) for where in INTERVALS],
        *[("at least", where, {"above": S}.get(where, Q)) for where in INTERVALS],
        *[("at most", where, {"below": R}.get(where, Q)) for where in INTERVALS],
        *[("none", where, Q) for where in INTERVALS],
    ],
)
def test_outcome_of_evidence(bound, where, above):
    """Catches a verdict from the estimate, from the censored end, or for the wrong side."""
    below = {S: R, R: S, Q: Q}[above]
    assert evidence(*INTERVALS[where], "above", bound).outcome is above
    assert evidence(*INTERVALS[where], "below", bound).outcome is below


PARTS = {S: evidence(2, 3), R: evidence(0.1, 0.2), Q: evidence(0.5, 2)}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], Q),
        ([S], S),
        ([R], R),
        ([Q], Q),
        ([S, S], S),
        ([R, R], R),
        ([S, R], C),
        ([R, S, Q, Q, Q, Q], C),
        ([S, Q], S),
        ([R, Q], R),
        ([S, Q, Q], Q),
        ([Q, R, Q], Q),
        ([S, S, Q, Q], S),
        ([S, S, Q], S),
        ([R, R, Q, Q, Q], Q),
    ],
)
def test_outcome_of_a_verdict(parts, expected):
    """Catches a majority vote, and one decided condition that speaks for many undecided ones."""
    assert Verdict("claim", [PARTS[part] for part in parts], "").outcome is expected
    assert Verdict("claim", [PARTS[part] for part in reversed(parts)], "").outcome is expected


def test_outcomes_are_words():
    """Catches tables that print `Outcome.SUPPORTED`."""
    assert [str(outcome) for outcome in Outcome] == ["supported", "refuted", "conditional", "inconclusive"]
