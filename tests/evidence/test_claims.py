"""What evidence says about a claim, over all cases."""

import itertools
import math

import pytest

import dlcore as dl
from dlcore.evidence import Outcome, SubClaim, Verdict, above, below, conjunction, exact, undetermined, within
from dlcore.evidence.claims import Claim, Evidence, Judged, counted, holm
from dlcore.evidence.intervals import Interval, Student

S, R, C, Q = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.CONDITIONAL, Outcome.INCONCLUSIVE


def around(estimate: float, error: float = 0.1) -> Interval:
    """A t interval with 7 degrees of freedom."""
    student = Student(estimate, error, 7)
    return Interval(estimate, *student.limits(0.95), 8, tails=student.tails)


def verdict(region, *intervals: Interval, level: float = 0.95) -> Verdict:
    """On one sub-claim, each interval a condition."""
    claim = Claim("claim", "It is so.", (SubClaim("part", "It is so.", "ratio", region),))
    return Verdict(claim, {"part": [Evidence(f"{i}", each) for i, each in enumerate(intervals)]}, level=level)


def outcome(region, interval: Interval) -> Outcome:
    """Of one condition by itself."""
    return verdict(region, interval).judged["part"][0].outcome


@pytest.mark.parametrize(
    ("estimate", "of_above", "of_below", "of_within"),
    [
        (0.5, R, S, R),
        (0.8, R, S, R),
        (0.9, Q, Q, Q),
        (1.0, Q, Q, Q),
        (1.5, S, R, S),
        (2.0, S, R, Q),
        (2.1, S, R, Q),
        (2.2, S, R, R),
        (3.0, S, R, R),
    ],
)
def test_outcome_of_a_condition(estimate, of_above, of_below, of_within):
    """Catches a verdict from the estimate, one for the wrong side, and a region that one edge is enough for."""
    found = around(estimate, 0.07)
    assert outcome(above(1.0), found) is of_above
    assert outcome(below(1.0), found) is of_below
    assert outcome(within(1.0, 2.0), found) is of_within


@pytest.mark.parametrize("shift", [-1e-6, 1e-6])
@pytest.mark.parametrize("make", [above, below])
def test_one_condition_is_decided_by_its_interval(make, shift):
    """Catches a level that is not that of the interval in the table."""
    found = around(1.0)
    edge = (found.low if make is above else found.high) + shift
    holds = (edge < found.low) if make is above else (edge > found.high)
    assert outcome(make(edge), found) is (S if holds else Q)


def test_margins():
    """Catches a refutation inside the margin, and a margin that widens what is supported."""
    region = above(1.0, margin=2.0)
    assert [outcome(region, around(x, 0.01)) for x in (1.1, 0.9, 0.55, 0.45)] == [S, Q, Q, R]
    region = within(1.0, 2.0, margin=2.0)
    assert [outcome(region, around(x, 0.01)) for x in (0.4, 0.6, 1.5, 3.0, 5.0)] == [R, Q, S, Q, R]
    assert str(region) == "from 1 to 2, refuted below 0.5 or above 4"
    assert (str(below(0.5)), str(above(2.0, margin=2.0))) == ("below 0.5", "above 2, refuted below 1")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: within(2.0, 1.0), "within: low is 2, high 1; expects low below high"),
        (lambda: above(1.0, margin=0.5), "above: margin is 0.5"),
        (lambda: below(math.nan), "below: high is nan"),
    ],
)
def test_regions_that_are_none(call, text):
    """Catches a region that nothing can lie in, and a margin that is a part instead of a factor."""
    with pytest.raises(dl.ArgumentError, match=text):
        call()


def test_what_is_not_known_decides_nothing():
    """Catches a p-value of nothing that is read as one of zero."""
    for region in (above(1.0), below(1.0), within(1.0, 2.0)):
        assert outcome(region, undetermined("why", 8)) is Q


def test_exact_values():
    """Catches an edge that counts as beyond it."""
    assert [outcome(above(1.0), exact(x)) for x in (0.5, 1.0, 2.0)] == [R, Q, S]
    assert [outcome(within(1.0, 2.0), exact(x)) for x in (0.5, 1.0, 1.5, 2.0, 3.0)] == [R, Q, S, Q, R]


def test_a_bound_decides_on_one_side():
    """Catches a censored end that refutes."""
    reached = dl.evidence.paired_ratio([math.nan] * 8, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], limit_a=20, limit_b=20)
    assert reached.bound == "at least"
    assert [outcome(above(x), reached) for x in (2.0, 100.0)] == [S, Q]
    assert [outcome(below(x), reached) for x in (2.0, 100.0)] == [R, Q]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], Q),
        ([S], S),
        ([R], R),
        ([Q], Q),
        ([C], C),
        ([S, S], S),
        ([R, R], R),
        ([S, R], C),
        ([S, Q], Q),
        ([R, Q], Q),
        ([S, R, Q], C),
        ([C, Q], C),
        ([C, S], C),
        ([S, S, S, S, Q], Q),
        ([S, S, S, S, R], C),
    ],
)
def test_conjunction(parts, expected):
    """Catches a majority vote, and one decided part that speaks for undecided ones."""
    for order in itertools.permutations(parts):
        assert conjunction(order) is expected


def test_holm_of_a_known_example():
    """Catches Bonferroni, and adjusted values that fall: Holm 1979 by `p.adjust` of R."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.5, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def chance(p_value: float) -> Interval:
    """Larger than 0 with that two-sided p-value."""
    return Interval(1.0, 0.0, 2.0, 8, tails=lambda x: (p_value / 2, 1 - p_value / 2))


def test_conditions_share_the_error_of_their_claim():
    """Catches conditions that are judged each by itself: of many, one is supported by chance."""
    assert verdict(above(0.0), chance(0.02)).outcome is S
    found = verdict(above(0.0), chance(0.02), chance(0.03), chance(0.9))
    judged = found.judged["part"]
    assert [each.p_value for each in judged] == pytest.approx([0.06, 0.06, 0.9])
    assert [each.outcome for each in judged] == [Q, Q, Q]
    assert verdict(above(0.0), chance(0.02), chance(0.03), level=0.9).outcome is S


def test_sub_claims_share_the_error_too():
    """Catches a correction inside each sub-claim only."""
    parts = tuple(SubClaim(name, "It is so.", "ratio", above(0.0)) for name in "ab")
    found = Verdict(Claim("claim", "", parts), {name: [Evidence("", chance(0.03))] for name in "ab"})
    assert found.outcomes == {"a": Q, "b": Q}


def test_exact_values_do_not_count():
    """Catches results without error that make others harder to decide, and a table of p-values for them."""
    found = verdict(above(0.0), chance(0.04), *[exact(1.0)] * 10)
    assert found.outcome is S
    assert found.judged["part"][0].p_value == pytest.approx(0.04)
    assert verdict(above(0.0), chance(0.04), undetermined("why")).judged["part"][0].outcome is Q


def test_outcome_of_a_claim():
    """Catches sub-claims that are counted by their conditions, or left out where they were not measured."""
    parts = tuple(SubClaim(name, "It is so.", "ratio", above(1.0)) for name in ("one", "two"))
    claim = Claim("claim", "Both are so.", parts)
    good, bad, none = (Evidence("", exact(x)) for x in (2.0, 0.5, 1.0))
    cases = {
        ((good,), (good, good)): S,
        ((bad,), (bad,)): R,
        ((good, good, good), (bad,)): C,
        ((good, bad), (good,)): C,
        ((good,), (none,)): Q,
        ((good,), ()): Q,
    }
    for (one, two), expected in cases.items():
        assert Verdict(claim, {"one": one, "two": two}).outcome is expected
    missing = Verdict(claim, {"one": [good]})
    assert missing.outcomes == {"one": S, "two": Q}
    assert missing.summary == "one: 1 of 1 (2); two: not measured"


def test_summary():
    """Catches counts that do not say what the others are."""
    found = verdict(above(1.0), exact(2.0), exact(2.0), exact(0.5), undetermined("why"))
    assert found.summary == "part: 2 of 4 (0.5 to 2, 1 refuted, 1 inconclusive)"
    assert counted([S, S]) == "2 of 2"
    assert counted([R, R]) == "2 of 2 refuted"
    assert isinstance(found.judged["part"][0], Judged)


def test_evidence_for_nothing():
    """Catches a name with a typing error: its evidence would be left out without a word."""
    claim = Claim("claim", "", (SubClaim("part", "", "", above(1.0)),))
    with pytest.raises(dl.ArgumentError, match=r"evidence for \['prat'\]; the parts of the claim are \['part'\]"):
        _ = Verdict(claim, {"prat": []}).outcome


def test_outcomes_are_words():
    """Catches tables that print `Outcome.SUPPORTED`."""
    assert [str(each) for each in Outcome] == ["supported", "refuted", "conditional", "inconclusive"]
