"""What every part of the main job is made of, and how much of it is measured on which seeds."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from dlcore.engine.threads import DaemonThreads
from dlcore.evidence.claims import Claim, Verdict

LANE_WIDTH = 8
MUCH = 2.0  # the smallest factor that "slow", "expensive" and "much faster" stand for
CLOSE = 4.0  # seconds between 1 / 2 and 2 are not told apart: other machines have other ones
# A design that is changed after a look at its results takes seeds that nobody has looked at: see `design.HISTORY`.
REVISION = 1


class Scale(NamedTuple):
    """How much is measured, and on which seeds.

    num_seeds: of judged runs. num_tuning_seeds: of the runs that learning rates are chosen by. quick: fewer problems,
    sizes and records. block: which seeds; no two blocks share any. studies: a folder that keeps every run as soon as it
    has ended, so that a job that was interrupted goes on; None keeps nothing.
    """

    num_seeds: int = 16
    num_tuning_seeds: int = 16
    quick: bool = False
    block: int = 1
    studies: pathlib.Path | None = None

    @property
    def num_blocks(self) -> int:
        """In which seconds are measured."""
        return 10 if self.quick else 20

    @property
    def seeds(self) -> np.ndarray:
        """Of the judged runs, [num_seeds]."""
        return self.first_seed + np.arange(self.num_seeds)

    @property
    def tuning_seeds(self) -> np.ndarray:
        """Of the runs that settings are chosen by, [num_tuning_seeds]; apart from the judged ones."""
        return self.first_seed + 5_000 + np.arange(self.num_tuning_seeds)

    @property
    def first_seed(self) -> int:
        """Judged ones begin here; a block has 10 000."""
        return 1_000_000 * REVISION + 10_000 * self.block

    @property
    def name(self) -> str:
        """Of the folder of its studies: revisions, blocks and the quick job compute other runs of other problems."""
        return f"revision-{REVISION}-block-{self.block}{'-quick' if self.quick else ''}"

    def store(self, *names: object) -> pathlib.Path | None:
        """Where a study is kept. names: of what it measures; one name, one program."""
        return self.studies and self.studies.joinpath(self.name, *map(str, names))


QUICK = Scale(num_seeds=8, num_tuning_seeds=3, quick=True)


class Picture(NamedTuple):
    """A figure of the report. name: of its file. caption: what it shows, of what. claims: which it belongs to."""

    name: str
    caption: str
    figure: Figure
    claims: tuple[str, ...] = ()


Measured = Mapping[str, xr.Dataset]


class Part(NamedTuple):
    """A part of the main job.

    name: of its measurements. title: what is measured. claims: which it judges. measure: data by name, of a scale.
    judge: what they say of each claim; never raises. draw: its figures. tables: title to what else a reader wants to
    see. clock: the data with the seconds of what was measured; called when nothing else runs.
    """

    name: str
    title: str
    claims: Sequence[Claim]
    measure: Callable[[Scale], Measured]
    judge: Callable[[Measured], Sequence[Verdict]]
    draw: Callable[[Measured], Sequence[Picture]] = lambda measured: ()
    tables: Callable[[Measured], Mapping[str, pd.DataFrame]] = lambda measured: {}
    clock: Callable[[Measured, Scale], Measured] = lambda measured, scale: measured


def side_by_side(tasks: Sequence[Callable[[], Any]], num_threads: int) -> list[Any]:
    """The results of tasks that take turns: while one compiles, which is one thread's work, another runs."""
    threads = DaemonThreads(num_threads)
    try:
        return [future.result() for future in [threads.submit(task) for task in tasks]]
    finally:
        threads.close()


# Okabe and Ito's palette, told apart by all readers; one color and one marker for one thing in all figures.
COLORS: dict[Any, str] = {1: "#D55E00", 8: "#E69F00", 64: "#009E73", 512: "#56B4E9", "full": "#000000"}
MARKERS: dict[Any, str] = {1: "o", 8: "^", 64: "s", 512: "D", "full": "X"}
# Of what is no batch size; other ones than those above.
HUES = ("#0072B2", "#CC79A7", "#8C6D31", "#7A5195")
LINES: dict[str, Any] = {"constant": "-", "decaying": "--"}


def label(batch_size: Any) -> str:
    """Legend text of a batch size."""
    return "full batch" if batch_size == "full" else "single samples" if batch_size == 1 else f"batch {batch_size}"
