"""Grain iterators over a data set, for training loops of one's own (extra `data`)."""

import json
import os
import pathlib
from typing import Any

import jax

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, integer, path
from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import ArgumentError, DataError, shown
from dlcore.data.parameters import DATASET, SEED
from dlcore.data.read.files import PathLike, existing_file, library


def _accept_iterator(value: Any) -> Any:
    if isinstance(value, type) or not (hasattr(value, "get_state") and hasattr(value, "set_state")):
        raise RefusedError
    return value


ITERATOR = Constraint("an iterator made by dl.data.batches", _accept_iterator)


@arguments(
    dataset=DATASET, batch_size=integer(), seed=SEED, num_epochs=integer() | NONE, process_index=integer(0) | NONE,
    process_count=integer() | NONE,
)  # fmt: skip
def batches(
    dataset: Dataset,
    *,
    batch_size: int,
    seed: int,
    num_epochs: int | None = None,
    process_index: int | None = None,
    process_count: int | None = None,
) -> Any:
    """A grain iterator over the train split, for a training loop of one's own: `Split` after `Split` of NumPy arrays.

    Each process gets an equal part of the rows, another order each epoch. Rows that do not fill a batch are left out.
    Batches are read ahead in threads. `save_position` and `load_position` keep its place.

    Args:
      seed: of the order.
      num_epochs: None for no end.
      process_index, process_count: which part; by default those of `jax.distributed`.

    Raises:
      ArgumentError: a batch larger than a process' part, an index outside the count.

    Example:
      >>> made = dl.data.batches(dl.data.iris(), batch_size=40, seed=0, num_epochs=1)
      >>> [batch.inputs.shape for batch in made]
      [(40, 4), (40, 4), (40, 4)]
    """
    grain = library("grain", "data larger than memory")
    count = jax.process_count() if process_count is None else process_count
    index = jax.process_index() if process_index is None else process_index
    share = dataset.train.num_rows // count
    if index >= count or batch_size > share:
        raise ArgumentError(
            f"batches: process {index} of {count} has {share} rows, batch_size is {batch_size}; expects an index below "
            "the count, and a batch of 1 to that many rows."
        )
    rows = grain.MapDataset.source(_Rows(dataset.train))[: share * count][index::count]
    return iter(rows.shuffle(seed=seed).batch(batch_size, drop_remainder=True).repeat(num_epochs).to_iter_dataset())


@arguments(iterator=ITERATOR, path=path)
def save_position(iterator: Any, path: PathLike) -> None:
    """Store where a `batches` iterator stands, as JSON, atomically.

    Raises:
      DataError: a file that cannot be written.

    Example:
      >>> made = dl.data.batches(dl.data.iris(), batch_size=40, seed=0)
      >>> _ = next(made)
      >>> dl.data.save_position(made, "position.json")
    """
    try:
        path = pathlib.Path(path).expanduser()
        if path.exists() and not path.is_file():  # a device would be replaced by a file
            raise OSError("it is there and no file")
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(iterator.get_state()))
        part.replace(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"no position can be stored at {shown(str(path))}: {error}. Make its folder first.") from error


@arguments(iterator=ITERATOR, path=path)
def load_position(iterator: Any, path: PathLike) -> None:
    """Set a `batches` iterator made with the same arguments to where another one was stored; it goes on exactly there.

    Raises:
      DataError: no such file, or not a stored position.

    Example:
      >>> first, second = (dl.data.batches(dl.data.iris(), batch_size=40, seed=0) for _ in range(2))
      >>> _ = next(first)
      >>> dl.data.save_position(first, "position.json")
      >>> dl.data.load_position(second, "position.json")
      >>> bool((next(first).inputs == next(second).inputs).all())
      True
    """
    path = existing_file(path)
    try:
        iterator.set_state(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no position of this iterator: {error}. Was it stored by save_position?") from error


class _Rows:
    """Rows of a split by number, for grain."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self) -> int:
        return self.split.num_rows

    def __getitem__(self, row: int) -> Split:
        return self.split.select(row)
