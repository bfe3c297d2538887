"""NumPy's .npz files: arrays by name. Object arrays, which are pickled, are refused."""

import os
import pathlib
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcore.core import values
from dlcore.core.arguments import NONE, arguments, as_array, mapping, path, sequence, text
from dlcore.core.dataset import SPLITS, Dataset
from dlcore.core.errors import DataError, suggest
from dlcore.data.arrange.splits import from_parts, streamed
from dlcore.data.parameters import BYTES, DESCRIBED, SPLITTING, STREAMING
from dlcore.data.read import archives
from dlcore.data.read.files import MAX_BYTES, PathLike, existing_file

# Names that files in use have, by split: ours, Keras' mnist.npz, MedMNIST's.
KEYS = {
    "train": (("train_inputs", "train_targets"), ("inputs", "targets"), ("x_train", "y_train"), ("X", "y"),
              ("x", "y"), ("train_images", "train_labels")),
    "validation": (("validation_inputs", "validation_targets"), ("x_validation", "y_validation"), ("x_val", "y_val"),
                   ("val_images", "val_labels")),
    "test": (("test_inputs", "test_targets"), ("x_test", "y_test"), ("test_images", "test_labels")),
}  # fmt: skip


PIECE = 1 << 26  # bytes that are checked at a time
PAIR_OF_KEYS = sequence(text, 2, 2, text="names: (inputs, targets)")


@arguments(
    path=path, keys=mapping(PAIR_OF_KEYS, keys=SPLITS) | NONE, max_bytes=BYTES, described=DESCRIBED, **SPLITTING
)  # fmt: skip
def from_npz(
    path: PathLike,
    keys: Mapping[str, tuple[str, str]] | None = None,
    *,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = False,
    max_bytes: int = MAX_BYTES,
    **described: Any,
) -> Dataset:
    """Arrays in an .npz file.

    Args:
      path: as `np.savez` writes it.
      keys: split to the names of its inputs and targets, e.g. `{"train": ("images", "labels")}`; by default names in
        common use: inputs/targets, x_train/y_train and x_test/y_test, X/y, train_images/train_labels, ...; what is
        left out then is named in `source`.
      validation, test, seed, stratify: as in `from_arrays`, for splits that are not in the file.
      max_bytes: most to be unpacked.

    Raises:
      DataError: not an .npz file, damaged, object arrays, names that are not there, and as `from_arrays`.

    Example:
      >>> np.savez("digits.npz", x_train=np.zeros((6, 4)), y_train=np.arange(6), x_test=np.ones((2, 4)), y_test=[0, 1])
      >>> data = dl.data.from_npz("digits.npz")
      >>> data.splits, data.train.inputs.shape
      (('train', 'test'), (6, 4))
    """
    path = existing_file(path)
    arrays, chosen = _read(path, max_bytes), keys is not None
    if keys is None:
        keys = {split: pair for split in SPLITS for pair in reversed(KEYS[split]) if set(pair) <= set(arrays)}
        if "train" not in keys:
            raise DataError(
                f"{path} holds {', '.join(arrays) or 'no arrays'}; expects inputs and targets, x_train and "
                "y_train, or X and y. Name yours: keys={'train': ('images', 'labels')}."
            )
    parts = {}
    for split, pair in keys.items():
        for name in pair:
            if name not in arrays:
                raise DataError(f"{path} has no array {name!r} for {split}; {suggest(name, arrays)}")
        parts[split] = (arrays[pair[0]], _column_as_vector(arrays[pair[1]]))
    left_out = [] if chosen else [name for name in arrays if all(name not in pair for pair in keys.values())]
    note = f", without its arrays {', '.join(left_out)}" if left_out else ""
    described = {"name": path.stem, "source": f"NPZ {path}{note}"} | described
    return from_parts(parts, validation=validation, test=test, seed=seed, stratify=stratify, **described)


@arguments(paths=sequence(path, 1, text="paths"), keys=PAIR_OF_KEYS, options=STREAMING)
def stream_npz(paths: Sequence[PathLike], *, keys: tuple[str, str] = ("inputs", "targets"), **options: Any) -> Dataset:
    """Uncompressed .npz files that together are one data set; rows are read when a batch needs them.

    Floats and 64-bit integers are read once before, to see that they are finite and fit.

    Args:
      paths: files that `np.savez` wrote, in order.
      keys: names of the inputs [n, ...] and the targets [n, ...] in each; `source` names what else they hold.
      options: validation, test, seed, stratify and fields of `Dataset`, as in `from_arrays`.

    Raises:
      DataError: compressed files, missing arrays, shards that do not fit together, and as `from_arrays`.

    Example:
      >>> for number in range(2):
      ...     np.savez(f"{number}.npz", inputs=np.full((3, 4), number), targets=np.arange(3))
      >>> dl.data.stream_npz(["0.npz", "1.npz"]).train.inputs[2:4].tolist()
      [[0, 0, 0, 0], [1, 1, 1, 1]]
    """
    shards = [existing_file(path) for path in paths]
    source, labels = NpzShards(shards, keys[0]), NpzShards(shards, keys[1])
    source.check_values()
    if len(source) != len(labels):
        raise DataError(
            f"the shards hold {len(source)} inputs and {len(labels)} targets; expects one target for each input."
        )
    targets = _column_as_vector(np.concatenate([np.asarray(part) for part in labels.parts]))
    described: dict[str, Any] = {
        "name": shards[0].stem,
        "source": f"{len(shards)} NPZ shards from {shards[0]}, streamed{_others(shards, keys)}",
    } | options
    return streamed(source, targets, {"train": np.arange(len(source))}, **described)


def _others(shards: Sequence[pathlib.Path], keys: tuple[str, str]) -> str:
    """What `source` says of arrays that are not read."""
    names: dict[str, None] = {}
    for shard in shards:
        archive, members = archives.open_zip(shard, max_bytes=archives.ANY)
        archive.close()
        names |= dict.fromkeys(member.filename.removesuffix(".npy") for member in members)
    others = [name for name in names if name not in keys]
    return f", without their arrays {', '.join(others)}" if others else ""


def _read(path: pathlib.Path, max_bytes: int) -> dict[str, np.ndarray]:
    archive, _ = archives.open_zip(path, max_bytes=max_bytes)
    archive.close()
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    # NumPy and zipfile raise ValueError, BadZipFile, KeyError, EOFError, SyntaxError, ... on damaged files.
    except Exception as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path} holds Python objects, which are pickled and can run code when read; refused. "
                "Save arrays of numbers."
            ) from error
        raise DataError(f"{path} is no readable NPZ file: {error}. Copy or write it again.") from error


def _column_as_vector(array: np.ndarray) -> np.ndarray:
    """Labels stored as a column [N, 1] (Keras' CIFAR, MedMNIST) as [N]."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iu" else array


def mapped(path: PathLike, name: str) -> np.ndarray:
    """One array of an uncompressed .npz file, mapped into memory: rows are read from disk when they are asked for.

    Raises:
      DataError: no such array, a compressed or unsafe file, an object array.
    """
    path = existing_file(path)
    archive, members = archives.open_zip(path, max_bytes=archives.ANY)  # nothing of it is unpacked
    with archive:
        found = {_array_of(member): member for member in members}
        if name not in found:
            raise DataError(f"{path} has no array {name!r}; {suggest(name, found)}")
        if found[name].compress_type != zipfile.ZIP_STORED:
            raise DataError(
                f"{path}: {name!r} is compressed, so its rows cannot be read one by one. Write it with np.savez."
            )
        try:
            with path.open("rb") as stream:
                stream.seek(found[name].header_offset + 26)
                lengths = struct.unpack("<HH", stream.read(4))  # of the name and the extra field before the data
                stream.seek(sum(lengths), 1)
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = read(stream)
                if dtype.hasobject or not shape:
                    raise DataError(f"{path}: {name!r} is {dtype}{list(shape)}; expects rows of numbers, not objects.")
                order = "F" if fortran else "C"
                return np.memmap(path, dtype, "r", stream.tell(), shape, order=order)
        except DataError:
            raise
        # NumPy raises ValueError, OSError, SyntaxError, ... on damaged headers.
        except Exception as error:
            raise DataError(f"{path}: {name!r} is no readable array: {error}. Copy or write it again.") from error


class NpzShards:
    """One array of several uncompressed .npz files, mapped, not read.

    Args:
      paths: files that `np.savez` wrote, in order.
      name: of the array in each.
    """

    def __init__(self, paths: Sequence[Any], name: str):
        self._paths, self._name = [os.path.abspath(path) for path in paths], name
        self.parts = [mapped(path, name) for path in paths]
        if not self.parts:
            raise DataError("there are no shards; expects at least one .npz file.")
        for file, part in zip(self._paths, self.parts, strict=True):
            first = self.parts[0]
            if (part.dtype, part.shape[1:]) != (first.dtype, first.shape[1:]):
                raise DataError(
                    f"{file}: {name!r} is {part.dtype}{list(part.shape)}, that of {self._paths[0]} "
                    f"{first.dtype}{list(first.shape)}; expects rows of one shape and dtype. Write the shards alike."
                )
        self._ends = np.cumsum([len(part) for part in self.parts])

    def check_values(self) -> None:
        """Read all once, in pieces, and raise `DataError` for what is not finite or fits no dtype that JAX takes.

        Inside a step it would be too late: JAX wraps what its callbacks raise.
        """
        for file, part in zip(self._paths, self.parts, strict=True):
            if part.dtype.kind not in "biuf" or (part.dtype.kind in "biu" and part.dtype.itemsize <= 4):
                continue
            size = max(1, PIECE // max(1, part[:1].nbytes))
            for start in range(0, len(part), size):
                where = f"{file}: {self._name!r} after row {start}"
                values.canonical(as_array(part[start : start + size]), where, copy=False)

    @property
    def fingerprint(self) -> str:
        """Sizes and checksums of the array in all files, as the files list them; nothing else is read."""
        found = []
        for file in self._paths:
            archive, members = archives.open_zip(existing_file(file), max_bytes=archives.ANY)
            with archive:
                found += [(member.file_size, member.CRC) for member in members if _array_of(member) == self._name]
        return f"npz {found}"

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle names the files, and does not hold what is in them."""
        return NpzShards, (self._paths, self._name)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> np.ndarray:
        shard = int(np.searchsorted(self._ends, row, side="right"))
        part = self.parts[shard]
        return np.asarray(part[row - int(self._ends[shard]) + len(part)])


def _array_of(member: zipfile.ZipInfo) -> str:
    """Name of the array that a file in an .npz holds."""
    return member.filename.removesuffix(".npy")
