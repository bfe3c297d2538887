"""Claims as conjunctions of sub-claims, and the verdicts that follow from measured intervals."""

import enum
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from dlcore.core.arguments import arguments, instance, number, sequence
from dlcore.core.errors import ArgumentError
from dlcore.evidence.intervals import Interval, digits

Key = TypeVar("Key")

SPAN_DIGITS = 2  # of estimates in a sentence

EDGE = number()
MARGIN = number(1)


class Outcome(enum.StrEnum):
    """What the evidence says.

    Example:
      >>> dl.evidence.Outcome.SUPPORTED == "supported"
      True
    """

    SUPPORTED = "supported"
    REFUTED = "refuted"
    CONDITIONAL = "conditional"
    INCONCLUSIVE = "inconclusive"


class Region(NamedTuple):
    """Where a quantity must lie for a sub-claim to hold, and where it must lie to be refuted.

    low, high: it holds from low to high. margin: a factor (of positive quantities) around the region within which
    nothing is refuted, for quantities that are not measured well enough to be told apart from its edge; 1 is none.

    Example:
      >>> region = dl.evidence.within(0.8, 1.25, margin=2.0)
      >>> print(region)
      from 0.8 to 1.25, refuted below 0.4 or above 2.5
      >>> region.p_supported(dl.evidence.exact(1.0)), region.p_refuted(dl.evidence.exact(1.0))
      (0.0, 1.0)
    """

    low: float = -math.inf
    high: float = math.inf
    margin: float = 1.0

    def __str__(self) -> str:
        low, high = (f"{edge:g}" for edge in (self.low, self.high))
        if math.isinf(self.high):
            text = f"above {low}"
        elif math.isinf(self.low):
            text = f"below {high}"
        else:
            text = f"from {low} to {high}"
        refuted = [f"below {self.low / self.margin:g}"] * math.isfinite(self.low)
        refuted += [f"above {self.high * self.margin:g}"] * math.isfinite(self.high)
        return text if self.margin == 1 else f"{text}, refuted {' or '.join(refuted)}"

    def p_supported(self, interval: Interval) -> float:
        """One-sided p-value against the quantity lying outside."""
        return max(interval.p_below(self.low), interval.p_above(self.high))

    def p_refuted(self, interval: Interval) -> float:
        """One-sided p-value against the quantity lying inside, or within the margin."""
        return min(interval.p_above(self.low / self.margin), interval.p_below(self.high * self.margin))


@arguments(low=EDGE, margin=MARGIN)
def above(low: float, *, margin: float = 1.0) -> Region:
    """The quantity is larger than `low`; refuted where it is smaller than `low / margin`.

    Example:
      >>> print(dl.evidence.above(2.0, margin=2.0))
      above 2, refuted below 1
    """
    return Region(low=low, margin=margin)


@arguments(high=EDGE, margin=MARGIN)
def below(high: float, *, margin: float = 1.0) -> Region:
    """The quantity is smaller than `high`; refuted where it is larger than `high * margin`.

    Example:
      >>> print(dl.evidence.below(0.5))
      below 0.5
    """
    return Region(high=high, margin=margin)


@arguments(low=EDGE, high=EDGE, margin=MARGIN)
def within(low: float, high: float, *, margin: float = 1.0) -> Region:
    """The quantity is the same as a value, up to what does not matter: from `low` to `high`.

    Raises:
      ArgumentError: `low` is not smaller than `high`.

    Example:
      >>> print(dl.evidence.within(0.8, 1.25))
      from 0.8 to 1.25
    """
    if not low < high:
        raise ArgumentError(f"within: low is {low:g}, high {high:g}; expects low below high.")
    return Region(low, high, margin)


class SubClaim(NamedTuple):
    """A statement about one quantity that a measurement can contradict.

    name: short. statement: in words. quantity: what is measured, with its unit. holds: where it must lie; the smallest
    effect that matters, written down before the measurement. reads: what an estimate is in a sentence, in place of {};
    empty where it says nothing there.

    Example:
      >>> part = dl.evidence.SubClaim("speed", "It is faster.", "slow over fast", dl.evidence.above(1.0), "{} times")
      >>> print(part.holds)
      above 1
    """

    name: str
    statement: str
    quantity: str
    holds: Region
    reads: str = "{}"


class Claim(NamedTuple):
    """A statement in the words of its source: the conjunction of its sub-claims.

    Example:
      >>> faster = dl.evidence.SubClaim("faster", "It is faster.", "seconds, slow over fast", dl.evidence.above(1.0))
      >>> claim = dl.evidence.Claim("speed", "The fast one is fast.", (faster,))
      >>> [part.name for part in claim.parts]
      ['faster']
    """

    name: str
    statement: str
    parts: tuple[SubClaim, ...]


class Evidence(NamedTuple):
    """The quantity of a sub-claim, measured under one condition.

    note: what a reader has to know of how it was measured, or nothing.

    Example:
      >>> ratios = dl.evidence.geometric_mean_interval([2.0, 2.2, 1.9])
      >>> print(dl.evidence.Evidence("two cores", ratios).interval)
      2.03 [1.69, 2.44] (n=3)
    """

    condition: str
    interval: Interval
    note: str = ""


class Check(NamedTuple):
    """What is true by definition, and was looked at: it is shown and never counted.

    Example:
      >>> check = dl.evidence.Check("A run repeats to the bit.", True, "0 of 8 differ")
      >>> check.holds
      True
    """

    statement: str
    holds: bool
    measured: str


class Judged(NamedTuple):
    """A condition and what it says.

    p_value: two-sided, of the side that it is on, adjusted for the number of conditions of the claim.
    """

    evidence: Evidence
    p_value: float
    outcome: Outcome


class Verdict(NamedTuple):
    """A claim with its evidence.

    evidence: name of a sub-claim to its conditions; a sub-claim that is missing was not measured. level: 1 minus the
    probability that any condition of the claim is decided wrongly.

    Example:
      >>> faster = dl.evidence.SubClaim("faster", "It is faster.", "seconds, slow over fast", dl.evidence.above(1.0))
      >>> claim = dl.evidence.Claim("speed", "The fast one is fast.", (faster,))
      >>> ratios = dl.evidence.geometric_mean_interval([2.0, 2.2, 1.9])
      >>> verdict = dl.evidence.Verdict(claim, {"faster": [dl.evidence.Evidence("two cores", ratios)]})
      >>> verdict.outcome.value
      'supported'
    """

    claim: Claim
    evidence: Mapping[str, Sequence[Evidence]]
    checks: Sequence[Check] = ()
    level: float = 0.95

    @property
    def judged(self) -> dict[str, list[Judged]]:
        """Sub-claim to its conditions; Holm's procedure over all conditions of the claim that could be wrong.

        Reference: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 1979.
        """
        regions = {part.name: part.holds for part in self.claim.parts}
        if unknown := [name for name in self.evidence if name not in regions]:
            raise ArgumentError(f"Verdict: evidence for {unknown}; the parts of the claim are {list(regions)}.")
        names = [(part.name, i) for part in self.claim.parts for i in range(len(self.evidence.get(part.name, ())))]
        sides: dict[tuple[str, int], Outcome] = {}
        chances: dict[tuple[str, int], float] = {}
        for name, i in names:
            interval = self.evidence[name][i].interval
            supported, refuted = regions[name].p_supported(interval), regions[name].p_refuted(interval)
            sides[name, i] = Outcome.SUPPORTED if supported < refuted else Outcome.REFUTED
            chances[name, i] = min(1.0, 2 * min(supported, refuted))
        adjusted = chances | holm({key: chance for key, chance in chances.items() if self._may_be_wrong(*key)})
        found: dict[str, list[Judged]] = {part.name: [] for part in self.claim.parts}
        for name, i in names:
            outcome = sides[name, i] if adjusted[name, i] <= 1 - self.level else Outcome.INCONCLUSIVE
            found[name].append(Judged(self.evidence[name][i], adjusted[name, i], outcome))
        return found

    def _may_be_wrong(self, name: str, position: int) -> bool:
        return self.evidence[name][position].interval.bound != "exact"

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Sub-claim to what its conditions say together."""
        return {name: conjunction([condition.outcome for condition in found]) for name, found in self.judged.items()}

    @property
    def outcome(self) -> Outcome:
        """What the sub-claims say together."""
        return conjunction(list(self.outcomes.values()))

    @property
    def summary(self) -> str:
        """Of each sub-claim, how many conditions hold, and from where to where the estimates go."""
        judged = self.judged
        texts = []
        for part in self.claim.parts:
            found = judged[part.name]
            estimates = span([condition.evidence.interval for condition in found])
            outcomes = [each.outcome for each in found]
            notes = [part.reads.format(estimates)] * bool(estimates and part.reads) + others(outcomes)
            text = f"{part.name}: {counted(outcomes)}"
            texts.append(text + (f" ({', '.join(notes)})" if notes else ""))
        return "; ".join(texts)


@arguments(outcomes=sequence(instance(Outcome), text="outcomes"))
def conjunction(outcomes: Sequence[Outcome]) -> Outcome:
    """What a statement is whose parts came out so.

    Conditional as soon as one part holds and another does not, whatever the undecided ones are; inconclusive if one is
    undecided otherwise, or if there is none.

    Example:
      >>> supported, refuted = dl.evidence.Outcome.SUPPORTED, dl.evidence.Outcome.REFUTED
      >>> print(dl.evidence.conjunction([supported, refuted]))
      conditional
    """
    kinds = set(outcomes)
    if Outcome.CONDITIONAL in kinds or {Outcome.SUPPORTED, Outcome.REFUTED} <= kinds:
        return Outcome.CONDITIONAL
    if Outcome.INCONCLUSIVE in kinds or not kinds:
        return Outcome.INCONCLUSIVE
    return kinds.pop()


def counted(outcomes: Sequence[Outcome]) -> str:
    """`k of m` conditions that hold; or what all of them are."""
    if not outcomes:
        return "not measured"
    if len(set(outcomes)) == 1 and outcomes[0] is not Outcome.SUPPORTED:
        return f"{len(outcomes)} of {len(outcomes)} {outcomes[0]}"
    return f"{outcomes.count(Outcome.SUPPORTED)} of {len(outcomes)}"


def others(outcomes: Sequence[Outcome]) -> list[str]:
    """What those conditions are that do not hold, where some are another thing."""
    kinds = [kind for kind in (Outcome.REFUTED, Outcome.INCONCLUSIVE) if kind in outcomes]
    return [f"{outcomes.count(kind)} {kind}" for kind in kinds] if len(set(outcomes)) > 1 else []


def span(intervals: Sequence[Interval]) -> str:
    """From the smallest to the largest estimate; of a censored one, its bound. Nothing where nothing is known."""
    known = {"at least": lambda each: each.low, "at most": lambda each: each.high}
    values = [known.get(each.bound, lambda each: each.estimate)(each) for each in intervals if each.bound != "none"]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return ""
    low, high = (digits(value, SPAN_DIGITS) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Adjusted p-values: that any of those that are `alpha` or less is wrong has a probability of at most `alpha`."""
    adjusted, largest = {}, 0.0
    for rank, key in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        adjusted[key] = largest
    return adjusted
