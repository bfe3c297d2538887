"""A text file for each class, one example a line."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcore.core.arguments import NONE, arguments, boolean, mapping, path
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.parameters import BYTES, DESCRIBED, FRACTION, SEED, SIZE, UNIT, VOCABULARY_SIZE
from dlcore.data.prepare.tokens import Unit, composed, has_words
from dlcore.data.prepare.vocabulary import made_of
from dlcore.data.read.files import MAX_BYTES, PathLike, existing
from dlcore.data.read.text import read_lines


@arguments(
    files=mapping(path), length=SIZE | NONE, unit=UNIT, max_vocabulary=VOCABULARY_SIZE, validation=FRACTION,
    test=FRACTION, seed=SEED, stratify=boolean, max_bytes=BYTES, described=DESCRIBED,
)  # fmt: skip
def from_text_classes(
    files: Mapping[str, PathLike],
    *,
    length: int | None = None,
    unit: Unit = "word",
    max_vocabulary: int | None = None,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = True,
    max_bytes: int = MAX_BYTES,
    **described: Any,
) -> Dataset:
    """A text file for each class, one example a line.

    Args:
      files: class name to file, e.g. `{"negative": "reviews.neg", "positive": "reviews.pos"}`.
      length: of the padded lines, in tokens; longer ones are cut. By default that of the longest.
      max_vocabulary: size of a word vocabulary.
      validation, test, seed, stratify: as in `from_arrays`.
      max_bytes: most that each file may hold when unpacked.

    Returns:
      int32 ids [N, length], class targets [N]. The vocabulary is made of all lines, without their labels.

    Raises:
      DataError: fewer than two files, a file for two classes, an empty line (named), also at the end of a file; and as
        `read_text` and `from_arrays`.

    Example:
      >>> np.savetxt("bad.txt", ["a bore", "a bad film"], fmt="%s")
      >>> np.savetxt("good.txt", ["a good film"], fmt="%s")
      >>> dl.data.from_text_classes({"bad": "bad.txt", "good": "good.txt"}).train.targets
      array([0, 0, 1], dtype=int32)
    """
    _check_files(files)
    lines = {name: read_lines(file, max_bytes=max_bytes) for name, file in files.items()}
    for name, file in files.items():
        check_lines(lines[name], file)
    everything = [line for part in lines.values() for line in part]
    vocabulary = made_of(everything, unit, max_vocabulary)
    targets = np.repeat(np.arange(len(lines), dtype=np.int32), [len(part) for part in lines.values()])
    fields: dict[str, Any] = {
        "name": "text classes",
        "source": f"text {', '.join(map(str, files.values()))}",
        "target_names": tuple(files),
        "input_vocabulary": vocabulary,
    }
    return from_arrays(
        vocabulary.encode_lines(everything, length=length),
        targets,
        validation=validation,
        test=test,
        seed=seed,
        stratify=stratify,
        **fields | described,
    )


def check_lines(lines: Sequence[str], path: PathLike) -> None:
    """Raise `DataError` where a line has nothing to be seen."""
    for number, line in enumerate(lines, 1):
        if not has_words(line):
            raise DataError(
                f"{path}: line {number} is empty; expects text on each line. Remove it (in both files, if aligned)."
            )


def _check_files(files: Mapping[str, PathLike]) -> None:
    """Two classes or more, each with a name and a file of its own."""
    if len(files) < 2:
        raise DataError(f"{len(files)} classes; expects a file for each of two or more classes.")
    names: dict[str, str] = {}
    paths: dict[pathlib.Path, str] = {}
    for name, file in files.items():
        other = names.setdefault(composed(name), name), paths.setdefault(existing(file).resolve(), name)
        if other[0] != name:
            raise DataError(f"the classes {other[0]!a} and {name!a} have the same name in two forms of Unicode.")
        if other[1] != name:
            raise DataError(f"{file} is the file of {other[1]!r} and of {name!r}; expects one for each class.")
