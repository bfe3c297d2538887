"""Questions answered by measurement: what an experiment is, and how much of it is measured on which seeds."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, sequence, text
from dlcore.core.errors import ArgumentError
from dlcore.evidence.claims import Claim, Outcome, Verdict
from dlcore.evidence.plans import Plan, Revision

SCALES = ("quick", "default", "full")
SEEDS_OF_BLOCK, SEEDS_OF_REVISION = 10_000, 1_000_000
MOST_BLOCKS = SEEDS_OF_REVISION // SEEDS_OF_BLOCK - 1

Value = TypeVar("Value")


class Scale(NamedTuple):
    """How much of an experiment is measured, on which seeds, and where its runs are kept.

    name: "quick" to see it work, "default" for the verdicts, "full" for more than they need. block: which seeds; no two
    blocks share any. revision: of the plan; a design that is changed after a look at its results takes seeds that
    nobody has looked at. studies: a folder that keeps every run as soon as it has ended; None keeps nothing.

    Example:
      >>> scale = dl.evidence.Scale("quick", block=2)
      >>> scale.of({"quick": 4, "default": 32}), scale.seeds(3) - scale.first_seed
      (4, array([0, 1, 2]))
    """

    name: Literal["quick", "default", "full"] = "default"
    block: int = 1
    revision: int = 1
    studies: pathlib.Path | None = None

    def of(self, values: Mapping[str, Value]) -> Value:
        """The value at this scale, of `{"quick": ..., "default": ...}`; "full" is as "default" where it is missing."""
        return values[self.name if self.name in values else "default"]

    def seeds(self, count: int) -> np.ndarray:
        """Of the judged runs, [count]."""
        return self.first_seed + np.arange(count)

    def tuning_seeds(self, count: int) -> np.ndarray:
        """Of the runs that settings are chosen by, [count]; apart from the judged ones."""
        return self.first_seed + SEEDS_OF_BLOCK // 2 + np.arange(count)

    @property
    def first_seed(self) -> int:
        """Judged ones begin here; a block has 10 000."""
        return SEEDS_OF_REVISION * self.revision + SEEDS_OF_BLOCK * self.block

    def store(self, *names: object) -> pathlib.Path | None:
        """Where a study is kept, for `dl.sweep(store=...)`. names: of what it measures; one name, one study."""
        folder = f"revision-{self.revision}-block-{self.block}-{self.name}"
        return self.studies and self.studies.joinpath(folder, *map(str, names))


@arguments(date=text, changes=sequence(text))
def piloted(date: str, *changes: str) -> tuple[Revision, ...]:
    """Revisions of a plan that was piloted on blocks of seeds from 90 to 99, which are never judged.

    Args:
      date: of all of them.
      changes: what was changed since the first plan, and why, one text for each change.

    Example:
      >>> [revision.number for revision in dl.evidence.piloted("2026-11-26", "Twice as many seeds.")]
      [1, 2]
    """
    texts = ("First plan, after pilots on blocks 90 to 99, which are never judged.", *changes)
    return tuple(Revision(number, date, change) for number, change in enumerate(texts, start=1))


class Picture(NamedTuple):
    """A figure. name: of its file. caption: what it shows, of what, for a reader who sees nothing else.

    Example:
      >>> import matplotlib.pyplot as plt
      >>> picture = dl.evidence.Picture("loss", "Loss of eight runs against steps.", plt.figure())
      >>> picture.name
      'loss'
      >>> plt.close(picture.figure)
    """

    name: str
    caption: str
    figure: Any


Measured = Mapping[str, xr.Dataset]


class Experiment(NamedTuple):
    """A question answered by measurement.

    claims: written down before it. design: sizes, thresholds of choice, rules of tuning: what the plan's digest is of,
    besides the claims. measure: data by name, of a scale. judge: what they say of each claim, in the order of claims;
    never raises. draw: its figures. answers: claim to outcome to what a student should remember of it, in words.
    history: all revisions of the plan, the first one first. pages: what to look at besides: file
    name to a function of the data that makes its HTML.

    Example:
      >>> def measure(scale):
      ...     return {"ratios": scale.seeds(scale.of({"quick": 3, "default": 30})) * 0 + 2.0}
      >>> experiment = dl.evidence.Experiment(
      ...     question="Is it so?", claims=(), design={"runs": 30}, measure=measure, judge=lambda data: [],
      ...     draw=lambda data: [], answers={}, history=dl.evidence.piloted("2026-11-26"))
      >>> scale = dl.evidence.Scale("quick")
      >>> experiment.plan(scale).design["scale"], len(experiment.measure(scale)["ratios"])
      ('quick', 3)
    """

    question: str
    claims: tuple[Claim, ...]
    design: Mapping[str, Any]
    measure: Callable[[Scale], Measured]
    judge: Callable[[Measured], Sequence[Verdict]]
    draw: Callable[[Measured], Sequence[Picture]]
    answers: Mapping[str, Mapping[Outcome, str]]
    history: tuple[Revision, ...]
    pages: Mapping[str, Callable[[Measured], str]] = {}

    def plan(self, scale: Scale) -> Plan:
        """What is claimed and how it is measured at that scale, on its seeds."""
        added = {"scale": scale.name, "block": scale.block, "seeds": f"from {scale.first_seed} on"}
        if taken := sorted(added.keys() & self.design.keys()):
            raise ArgumentError(f"the design has the entries {taken}, which the plan adds; expects other names.")
        return Plan(self.question, self.claims, {**self.design, **added}, self.history)
