"""CIFAR's binary version: records of label bytes and 3 x 32 x 32 pixels. The Python version is pickled; not read."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlcore.core.arguments import arguments, boolean, integer, path
from dlcore.core.dataset import NAMES, Dataset
from dlcore.core.errors import DataError
from dlcore.data.arrange.splits import from_parts
from dlcore.data.parameters import BYTES, DESCRIBED, FRACTION, SEED
from dlcore.data.read import archives
from dlcore.data.read.cache import cached
from dlcore.data.read.files import MAX_BYTES, PathLike, existing, read_bytes

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
NUM_PIXELS = 3 * 32 * 32


@arguments(
    path=path, validation=FRACTION, seed=SEED, stratify=boolean, label_bytes=integer(1, 2), cache=boolean,
    target_names=NAMES, max_bytes=BYTES, described=DESCRIBED,
)  # fmt: skip
def from_cifar(
    path: PathLike,
    *,
    validation: float = 0.0,
    seed: int = 0,
    stratify: bool = True,
    label_bytes: int = 1,
    cache: bool = True,
    target_names: tuple[str, ...] = (),
    max_bytes: int = MAX_BYTES,
    **described: Any,
) -> Dataset:
    """CIFAR-10 or CIFAR-100 in the binary version.

    Args:
      path: `cifar-10-binary.tar.gz`, or the folder in it with `data_batch_1.bin`, ..., `test_batch.bin`.
      validation, seed, stratify: as in `from_arrays`.
      label_bytes: before each image; 1 for CIFAR-10, 2 for CIFAR-100, whose last one, the fine class, is used.
      cache: keep an archive's arrays in the user's cache folder.
      target_names: by default those in the archive's `batches.meta.txt`, or the numbers.
      max_bytes: most that the archive, or each file of the folder, may hold when unpacked.

    Returns:
      uint8 [N, 32, 32, 3].

    Raises:
      DataError: no such files, a file that is not whole records, a label that has no name, an unsafe archive.
    Reference: Krizhevsky, Learning multiple layers of features from tiny images, 2009.

    Example:
      >>> dl.data.from_cifar("cifar-10-binary.tar.gz").train.inputs.shape  # doctest: +SKIP
      (50000, 32, 32, 3)
      >>> np.zeros((2, 3073), np.uint8).tofile("data_batch_1.bin")
      >>> dl.data.from_cifar(".").train.inputs.shape
      (2, 32, 32, 3)
    """
    path = existing(path)

    def make() -> dict[str, np.ndarray]:
        return _load(path, label_bytes, max_bytes)

    options = {"kind": "cifar", "max_bytes": max_bytes, "label_bytes": label_bytes}
    arrays = cached(make, path, [path], options) if cache and path.is_file() else make()
    parts = {split: (arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test")
             if f"{split}_images" in arrays}  # fmt: skip
    highest = max(int(part[1].max()) for part in parts.values())
    names = target_names or tuple(arrays["classes"].tolist()) or tuple(str(i) for i in range(highest + 1))
    if highest >= len(names):
        raise DataError(f"{path} holds label {highest}; expects labels below {len(names)}, the number of class names.")
    described = {"name": path.name.split(".")[0], "source": f"CIFAR binary {path}"} | described
    return from_parts(parts, validation=validation, seed=seed, stratify=stratify, target_names=names, **described)


def read_cifar(data: bytes, name: object, *, label_bytes: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 32, 32, 3] and labels int32 [N] of one binary file."""
    record = label_bytes + NUM_PIXELS
    if not data or len(data) % record:
        other = 3 - label_bytes
        fits = data and len(data) % (other + NUM_PIXELS) == 0
        fix = f"Pass label_bytes={other}, of which it holds whole records." if fits else "Copy it again."
        raise DataError(
            f"{name} has {len(data)} bytes; expects whole records of {record} (label, then 3 x 32 x 32 pixels). {fix} "
            "Only the binary version is read, not the Python or Matlab one."
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    images = rows[:, label_bytes:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, label_bytes - 1].astype(np.int32)


def _load(path: pathlib.Path, label_bytes: int, max_bytes: int) -> dict[str, np.ndarray]:
    files = _files(path, max_bytes)
    split_of = {name: "test" if name.startswith("test") else "train" for name in files if name.endswith(".bin")}
    if "train" not in split_of.values():
        raise DataError(f"{path} has no training batches; expects data_batch_1.bin ... and test_batch.bin.")
    arrays = {"classes": np.asarray(_class_names(files), dtype=np.str_)}
    for split in sorted(set(split_of.values())):
        batches = [read_cifar(files[name], f"{path}: {name}", label_bytes=label_bytes)
                   for name in sorted(files) if split_of.get(name) == split]  # fmt: skip
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = (
            np.concatenate(part) for part in zip(*batches, strict=True)
        )
    return arrays


def _files(path: pathlib.Path, max_bytes: int) -> dict[str, bytes]:
    if path.is_dir():
        return {file.name: read_bytes(file, max_bytes=max_bytes) for file in _binaries(path)}
    return {pathlib.PurePosixPath(name).name: data for name, data in archives.tar_members(path, max_bytes=max_bytes)}


def _binaries(folder: pathlib.Path) -> list[pathlib.Path]:
    return [file for file in folder.iterdir() if file.suffix in (".bin", ".txt")]


def _class_names(files: dict[str, bytes]) -> Sequence[str]:
    for name in ("fine_label_names.txt", "batches.meta.txt"):
        if name in files:
            return files[name].decode("utf-8", errors="replace").split()
    return ()
