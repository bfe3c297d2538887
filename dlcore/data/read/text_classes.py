"""A text file for each class, one example a line."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcore.core.arguments import NONE, arguments, mapping, path
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.parameters import DESCRIBED, FRACTION, SEED, SIZE, UNIT, VOCABULARY_SIZE
from dlcore.data.prepare.vocabulary import Unit, made_of
from dlcore.data.read.files import PathLike
from dlcore.data.read.text import read_lines


@arguments(
    files=mapping(path), length=SIZE | NONE, unit=UNIT, max_vocabulary=VOCABULARY_SIZE, validation=FRACTION,
    test=FRACTION, seed=SEED, described=DESCRIBED,
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
    **described: Any,
) -> Dataset:
    """A text file for each class, one example a line.

    Args:
      files: class name to file, e.g. `{"negative": "reviews.neg", "positive": "reviews.pos"}`.
      length: of the padded lines, in tokens; longer ones are cut. By default that of the longest.
      max_vocabulary: size of a word vocabulary.
      validation, test, seed: as in `from_arrays`; stratified.

    Returns:
      int32 ids [N, length], class targets [N]. The vocabulary is made of all lines, without their labels.

    Raises:
      DataError: fewer than two files, an empty line (named), and as `read_text` and `from_arrays`.

    Example:
      >>> np.savetxt("bad.txt", ["a bore", "a bad film"], fmt="%s")
      >>> np.savetxt("good.txt", ["a good film"], fmt="%s")
      >>> dl.data.from_text_classes({"bad": "bad.txt", "good": "good.txt"}).train.targets
      array([0, 0, 1], dtype=int32)
    """
    lines = {name: read_lines(file) for name, file in files.items()}
    if len(lines) < 2:
        raise DataError(f"{len(lines)} classes; expects a file for each of two or more classes.")
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
        stratify=True,
        **fields | described,
    )


def check_lines(lines: Sequence[str], path: PathLike) -> None:
    """Raise `DataError` where a line is empty."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(
                f"{path}: line {number} is empty; expects text on each line. Remove it (in both files, if aligned)."
            )
