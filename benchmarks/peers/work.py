"""What a worker is given to do, and what it answers. Nothing but NumPy is imported, for all libraries alike."""

import json
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MOMENTUM, LARGEST_NORM, PENALTY = 0.9, 1.0, 1e-2


class Work(NamedTuple):
    """Training runs that all libraries are asked for; the steps of an epoch are whole batches.

    network: "mlp" (inputs - 128 - classes), "cnn" (conv 32 - pool - conv 64 - pool - dense 128 - classes) and "lstm"
      (256 units, the last output to the classes), all three by SGD with momentum 0.9, gradients clipped to a norm of 1,
      the test accuracy measured after each epoch; "logistic" by plain SGD, a penalty of 0.01 / 2 |weights|^2, and the
      accuracy of the training set at the end.
    seeds, rates: a study is all pairs of these.
    few: (seed, rate) of the runs that stand for all of them, where a library takes one after the other.
    few_epochs: of libraries that are so slow that they get fewer steps.
    margin: how far final accuracies may differ between libraries, as a share; of the mean over a library's runs.
    """

    network: str
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    few: tuple[tuple[int, float], ...]
    batch_size: int
    num_epochs: int
    margin: float
    few_epochs: int = 0

    @property
    def pairs(self) -> list[tuple[int, float]]:
        """(seed, rate) of a study's runs."""
        return [(seed, rate) for seed in self.seeds for rate in self.rates]


class Data(NamedTuple):
    """inputs float32 [N, ...] and labels int32 [N] of the training set, in whole batches, and of the test set."""

    inputs: np.ndarray
    labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray


class Finished(NamedTuple):
    """What a side has done in one turn.

    accuracies: (learning rate, final accuracy) of each run.
    num_steps: of one run.
    seconds: of parts of the turn, where the side takes them itself.
    """

    accuracies: list[tuple[float, float]]
    num_steps: int
    seconds: dict[str, float] = {}  # noqa: RUF012  # nobody writes into it


# A side is made, untimed, of the work and its data; called, it does the work.
Side = Callable[[Work, Data], Callable[[], Finished]]


class CannotError(Exception):
    """A library that is there cannot do this work; the message says why."""


def write(folder: pathlib.Path, work: Work, data: Data) -> None:
    """Into a folder, for workers to read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.json").write_text(json.dumps(work._asdict()))
    np.savez(folder / "data.npz", **data._asdict())


def read(folder: pathlib.Path) -> tuple[Work, Data]:
    """What `write` wrote."""
    fields = json.loads((folder / "work.json").read_text())
    lists = {name: tuple(fields[name]) for name in ("seeds", "rates")}
    work = Work(**{**fields, **lists, "few": tuple((seed, rate) for seed, rate in fields["few"])})
    with np.load(folder / "data.npz") as arrays:
        return work, Data(**arrays)


def steps(work: Work, data: Data, num_epochs: int = 0) -> int:
    """Optimizer steps of a run of so many epochs, those of the work by default."""
    return (num_epochs or work.num_epochs) * (len(data.inputs) // work.batch_size)
