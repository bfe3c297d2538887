"""IDX, the format of MNIST: a magic number, the sizes, then the values, big-endian."""

import math
import pathlib
from typing import Any

import numpy as np

from dlcore.core.arguments import NONE, arguments, path
from dlcore.core.dataset import NAMES, Dataset
from dlcore.core.errors import DataError
from dlcore.data.arrange.splits import from_parts
from dlcore.data.parameters import BYTES, DESCRIBED, SPLITTING
from dlcore.data.read.files import MAX_BYTES, PathLike, existing_file, looks_like, read_at_most, unpacked

MAX_CLASSES = 1_000_000
DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@arguments(path=path, max_bytes=BYTES)
def read_idx(path: PathLike, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The array in an IDX file, plain or gzip.

    Raises:
      DataError: not IDX, damaged or truncated, more or fewer values than its header says.
    Reference: LeCun, Cortes, Burges, The MNIST database, "File formats".

    Example:
      >>> np.array([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1], np.uint8).tofile("labels.idx")  # 8: uint8; 1 dimension, of 3
      >>> dl.data.read_idx("labels.idx")
      array([7, 2, 1], dtype=uint8)
    """
    path = existing_file(path)
    with unpacked(path) as stream:
        magic = read_at_most(stream, 4, path)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not 1 <= magic[3] <= 8:
            raise DataError(
                f"{path} starts with the bytes {magic.hex(' ') or '(none)'}; an IDX file starts with 00 00, a type "
                f"(08 for uint8) and a number of dimensions (03 for images). "
                f"{looks_like(magic) or 'Is it another format?'}"
            )
        sizes = read_at_most(stream, 4 * magic[3], path)
        if len(sizes) < 4 * magic[3]:
            raise DataError(f"{path} ends inside its header. Copy or download it again.")
        shape, dtype = np.frombuffer(sizes, ">u4").tolist(), np.dtype(DTYPES[magic[2]])
        expected = math.prod(shape) * dtype.itemsize
        if expected > max_bytes:
            raise DataError(
                f"{path} says it holds {shape}, {expected} bytes; expects at most max_bytes={max_bytes}. Raise it if "
                "that is expected."
            )
        data = read_at_most(stream, expected + 1, path)
    if len(data) != expected:
        got = f"only {len(data)}" if len(data) < expected else "more"
        raise DataError(
            f"{path} says it holds {shape}, {expected} bytes of values, and has {got}. Copy it again; if it was cut on "
            "purpose, its header has to say so."
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@arguments(
    images=path, labels=path, test_images=path | NONE, test_labels=path | NONE, target_names=NAMES,
    max_bytes=BYTES, described=DESCRIBED, **SPLITTING,
)  # fmt: skip
def from_idx(
    images: PathLike,
    labels: PathLike,
    *,
    test_images: PathLike | None = None,
    test_labels: PathLike | None = None,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = True,
    target_names: tuple[str, ...] = (),
    max_bytes: int = MAX_BYTES,
    **described: Any,
) -> Dataset:
    """Images and labels in IDX files, as MNIST comes.

    Args:
      images: file of [N, height, width] or [N, ...]; integers stay integers.
      labels: file of [N].
      test_images, test_labels: files of the test split, if there are any.
      validation, test, seed, stratify: as in `from_arrays`.
      target_names: of the classes; by default the labels as text.
      max_bytes: most that each file may hold when unpacked.

    Raises:
      DataError: as `read_idx` and `from_arrays`; also different numbers of images and labels.

    Example:
      >>> np.array([0, 0, 8, 1, 0, 0, 0, 2, 0, 1], np.uint8).tofile("labels.idx")
      >>> np.array([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 9, 8, 7, 6, 5, 4], np.uint8).tofile("rows.idx")
      >>> dl.data.from_idx("rows.idx", "labels.idx").train.inputs
      array([[9, 8, 7],
             [6, 5, 4]], dtype=uint8)
    """
    if (test_images is None) != (test_labels is None):
        raise DataError("test_images and test_labels go together; one of them is missing.")
    parts = {"train": _pair(images, labels, max_bytes)}
    if test_images is not None and test_labels is not None:
        parts["test"] = _pair(test_images, test_labels, max_bytes)
    described = {"name": _stem(images), "source": f"IDX files {images}, {labels}"} | described
    if not target_names:
        highest = max(int(part[1].max()) for part in parts.values())
        if highest > MAX_CLASSES:
            raise DataError(
                f"{labels} holds label {highest}; expects class numbers up to {MAX_CLASSES}. Is it the right file?"
            )
        target_names = tuple(str(i) for i in range(highest + 1))
    return from_parts(
        parts, validation=validation, test=test, seed=seed, stratify=stratify, target_names=target_names, **described
    )


def _pair(images: PathLike, labels: PathLike, max_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = read_idx(images, max_bytes=max_bytes), read_idx(labels, max_bytes=max_bytes)
    if targets.ndim != 1 or targets.dtype.kind not in "iu" or targets.size == 0 or targets.min() < 0:
        raise DataError(
            f"{labels} holds {targets.dtype}{list(targets.shape)}; expects class labels, integers [N] from 0. "
            "Are images and labels in the right order?"
        )
    if len(inputs) != len(targets):
        raise DataError(
            f"{images} holds {len(inputs)} images, {labels} {len(targets)} labels; expects one label an image. "
            "Do they belong together (train with train, t10k with t10k)?"
        )
    return inputs, targets.astype(np.int32)


def _stem(path: PathLike) -> str:
    return pathlib.Path(path).name.split(".")[0]
