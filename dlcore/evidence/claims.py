"""`Experiment`: a question, claims with thresholds fixed beforehand, and verdicts that follow from intervals."""

import enum
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import xarray as xr

from dlcore.evidence.intervals import Interval


class Outcome(enum.StrEnum):
    """What the evidence says about a claim."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    CONDITIONAL = "conditional"
    INCONCLUSIVE = "inconclusive"


class Claim(NamedTuple):
    """A statement that a measurement can contradict.

    name: short label. statement: in the words of its source. test: what is measured and when it counts as supported,
    written down before the measurement.
    """

    name: str
    statement: str
    test: str


class Evidence(NamedTuple):
    """One measured quantity under one condition, next to the threshold that decides.

    condition: where it was measured. quantity: what, with its unit. supports: on which side of the threshold the whole
    interval must lie for the claim to hold there.
    """

    condition: str
    quantity: str
    interval: Interval
    threshold: float
    supports: Literal["above", "below"]

    @property
    def outcome(self) -> Outcome:
        """Supported or refuted if the interval lies on one side of the threshold, else inconclusive."""
        above = self.interval.bound in ("exact", "at least") and self.interval.low > self.threshold
        below = self.interval.bound in ("exact", "at most") and self.interval.high < self.threshold
        if not above and not below:
            return Outcome.INCONCLUSIVE
        return Outcome.SUPPORTED if above == (self.supports == "above") else Outcome.REFUTED


class Verdict(NamedTuple):
    """A claim with all its evidence. summary: the finding in one sentence."""

    claim: Claim
    evidence: Sequence[Evidence]
    summary: str

    @property
    def outcome(self) -> Outcome:
        """Conditional if it holds under one condition and fails under another; else what the decided ones say.

        Inconclusive if no condition decides, or if fewer than half of them do.
        """
        decided = [evidence.outcome for evidence in self.evidence if evidence.outcome is not Outcome.INCONCLUSIVE]
        if len(set(decided)) == 2:
            return Outcome.CONDITIONAL
        if 2 * len(decided) < len(self.evidence) or not decided:
            return Outcome.INCONCLUSIVE
        return decided[0]


class Experiment(NamedTuple):
    """A question answered by measurement.

    measure: `measure(**settings) -> Dataset`; its keyword defaults are the configuration.
    judge: `judge(Dataset) -> verdicts`, one for each claim. plot: `plot(Dataset) -> figure`.
    """

    question: str
    claims: Sequence[Claim]
    measure: Callable[..., xr.Dataset]
    judge: Callable[[xr.Dataset], Sequence[Verdict]]
    plot: Callable[[xr.Dataset], Any]
