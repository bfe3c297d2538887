"""Data larger than memory (extra `data`): data sets whose train split stays in files, and grain iterators over them."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import ArgumentError, DataError
from dlcore.core.streamed import Source, Streamed
from dlcore.data.arrange.splits import from_parts
from dlcore.data.read.files import PathLike, existing, existing_file, library
from dlcore.data.read.images import Color, ImageFiles, image_files
from dlcore.data.read.npz import NpzShards


def stream_image_folder(
    path: PathLike, *, size: tuple[int, int] | None = None, color: Color = "auto", **options: Any
) -> Dataset:
    """An image folder whose train images are decoded when a batch needs them; other splits are in memory.

    Args:
      path, size, color: as in `from_image_folder`.
      options: validation, test, seed, stratify and fields of `Dataset`, as there.
    """
    path = existing(path)
    files = image_files(path)
    described: dict[str, Any] = {
        "name": path.stem,
        "source": f"image folder {path}, streamed",
        "target_names": files.classes,
        "stratify": True,
    } | options
    parts = {split: np.flatnonzero([name == split for name in files.splits]) for split in dict.fromkeys(files.splits)}
    return _streamed(_Images(files, size, color), files.labels, parts, **described)


def stream_npz(paths: Sequence[PathLike], *, keys: tuple[str, str] = ("inputs", "targets"), **options: Any) -> Dataset:
    """Uncompressed .npz files that together are one data set; rows are read when a batch needs them.

    Args:
      paths: files that `np.savez` wrote, in order.
      keys: names of the inputs [n, ...] and the targets [n, ...] in each.
      options: validation, test, seed, stratify and fields of `Dataset`, as in `from_arrays`.

    Raises:
      DataError: compressed files, missing arrays, shards that do not fit together, and as `from_arrays`.
    """
    shards = [existing_file(path) for path in paths]
    source, labels = NpzShards(shards, keys[0]), NpzShards(shards, keys[1])
    if len(source) != len(labels):
        raise DataError(
            f"the shards hold {len(source)} inputs and {len(labels)} targets; expects one target for each input."
        )
    targets = np.concatenate([np.asarray(part) for part in labels.parts])
    described: dict[str, Any] = {
        "name": shards[0].stem,
        "source": f"{len(shards)} NPZ shards from {shards[0]}, streamed",
    } | options
    return _streamed(source, targets, {"train": np.arange(len(source))}, **described)


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
    """
    grain = library("grain", "data larger than memory")
    count = jax.process_count() if process_count is None else process_count
    index = jax.process_index() if process_index is None else process_index
    share = len(dataset.train.inputs) // max(count, 1)
    if not 0 <= index < count or not 1 <= batch_size <= share:
        raise ArgumentError(
            f"process {index} of {count} has {share} rows, batch_size is {batch_size}; expects an index below the "
            "count, and a batch of 1 to that many rows."
        )
    rows = grain.MapDataset.source(_Rows(dataset.train))[: share * count][index::count]
    return iter(rows.shuffle(seed=seed).batch(batch_size, drop_remainder=True).repeat(num_epochs).to_iter_dataset())


def save_position(iterator: Any, path: PathLike) -> None:
    """Store where a `batches` iterator stands, as JSON, atomically."""
    path = pathlib.Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(iterator.get_state()))
    part.replace(path)


def load_position(iterator: Any, path: PathLike) -> None:
    """Set a `batches` iterator made with the same arguments to where another one was stored; it goes on exactly there.

    Raises:
      DataError: no such file, or not a stored position.
    """
    path = existing_file(path)
    try:
        iterator.set_state(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no position of this iterator: {error}. Was it stored by save_position?") from error


class _Images:
    """Decoded images by number."""

    def __init__(self, files: ImageFiles, size: tuple[int, int] | None, color: Color):
        self.files, self.size = files, size
        self.color: Color = color

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.files.decode(row, self.size, self.color)


class _Rows:
    """Rows of a split by number, for grain."""

    def __init__(self, split: Split):
        self.split = split

    def __len__(self) -> int:
        return len(self.split.inputs)

    def __getitem__(self, row: int) -> Split:
        return Split(self.split.inputs[row], self.split.targets[row])


def _streamed(
    rows: Source,
    targets: np.ndarray,
    parts: dict[str, np.ndarray],
    *,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = False,
    **described: Any,
) -> Dataset:
    """Split the rows' numbers like rows in memory, then stream those of train and read the others."""
    numbers = {split: (part, targets[part]) for split, part in parts.items()}
    options = {"validation": validation, "test": test, "seed": seed, "stratify": stratify}
    chosen = from_parts(numbers, **options, **described)
    everything = Streamed(rows)
    splits = {
        split: Split(everything[getattr(chosen, split).inputs], getattr(chosen, split).targets)
        for split in chosen.splits
        if split != "train"
    }
    train = Split(Streamed(rows, chosen.train.inputs), chosen.train.targets)
    return Dataset(**{**splits, "train": train}, **described)
