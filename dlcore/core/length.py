"""How long a run is, and when it records."""

import math
from typing import Any, NamedTuple

import numpy as np

from dlcore.core.dataset import Dataset, in_memory
from dlcore.core.errors import ArgumentError


class Length(NamedTuple):
    """In optimizer steps.

    total, interval: of the run, and between records. epoch: of an epoch. examples: of the train split. size: of a
    batch. full: whether each step takes the whole split. keeps_rest: whether an epoch ends with a smaller batch.
    """

    total: int
    interval: int
    epoch: int
    examples: int
    size: int
    full: bool
    keeps_rest: bool

    @property
    def num_records(self) -> int:
        """After step 0."""
        return -(-self.total // self.interval)

    @property
    def rest(self) -> int:
        """Steps before the last record where they are fewer than before the others, else 0."""
        return self.total % self.interval

    @property
    def alignment(self) -> int:
        """The step is a multiple of this at every record, also of a run that goes on from the end of another."""
        return math.gcd(self.interval, self.total)

    def coordinates(self, begin: int) -> dict[str, np.ndarray]:
        """Steps, epochs and examples at each record of a run that begins at step `begin`, the one there included."""
        steps = begin + np.minimum(self.interval * np.arange(self.num_records + 1), self.total)
        return {"step": steps, "epoch": steps / self.epoch, "examples": self._examples(steps)}

    def _examples(self, steps: np.ndarray) -> np.ndarray:
        if not self.keeps_rest:
            return steps * self.size
        return steps // self.epoch * self.examples + steps % self.epoch * self.size


def length_of(
    data: Dataset, batch_size: Any, num_epochs: int | None, num_steps: int | None, record_every: Any, last_batch: str
) -> Length:
    """The length that the arguments of a training ask for; `ArgumentError` where they do not fit together."""
    examples = data.train.num_rows
    full = batch_size == "full"
    size = examples if full else int(batch_size)
    if full and "train" not in in_memory(data):
        raise ArgumentError('batch_size is "full", the train split is streamed; expects a number of examples per step.')
    if size > examples:
        raise ArgumentError(
            f"batch_size is {size}, the train split has {examples} examples; expects at most as many. "
            'Use batch_size="full" for all of them.'
        )
    if (num_epochs is None) == (num_steps is None):
        raise ArgumentError(
            f"num_epochs is {num_epochs!r} and num_steps is {num_steps!r}; expects exactly one of them, the length of "
            "the run."
        )
    keeps_rest = last_batch == "keep" and examples % size > 0
    epoch = examples // size + keeps_rest
    total = num_steps or (num_epochs or 0) * epoch
    interval = min(epoch if record_every == "epoch" else record_every, total)
    if keeps_rest and (total % epoch or interval % epoch):
        raise ArgumentError(
            f'last_batch is "keep": the run has {total} steps and is recorded every {interval}; expects multiples of '
            f"{epoch}, whole epochs. Use num_epochs=... and record_every='epoch', or last_batch='drop'."
        )
    return Length(total, interval, epoch, examples, size, full, keeps_rest)
