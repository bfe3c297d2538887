"""Two text files whose lines translate each other."""

from typing import Any

import numpy as np

from dlcore.core.arguments import NONE, arguments, integer, path, sequence
from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import DataError
from dlcore.data.parameters import BYTES, DESCRIBED, UNIT, VOCABULARY_SIZE
from dlcore.data.prepare.tokens import Unit
from dlcore.data.prepare.vocabulary import made_of
from dlcore.data.read.files import MAX_BYTES, PathLike
from dlcore.data.read.text import read_lines
from dlcore.data.read.text_classes import check_lines

Paths = tuple[PathLike, PathLike]
PATHS = sequence(path, 2, 2, text="paths: (source file, target file)")


@arguments(
    train=PATHS, validation=PATHS | NONE, test=PATHS | NONE, length=integer(3, 1_000_000) | NONE, unit=UNIT,
    max_vocabulary=VOCABULARY_SIZE, max_bytes=BYTES, described=DESCRIBED,
)  # fmt: skip
def from_aligned_text(
    train: Paths,
    *,
    validation: Paths | None = None,
    test: Paths | None = None,
    length: int | None = None,
    unit: Unit = "word",
    max_vocabulary: int | None = None,
    max_bytes: int = MAX_BYTES,
    **described: Any,
) -> Dataset:
    """Sentence pairs: line i of one file translates line i of the other.

    Args:
      train, validation, test: (source file, target file) each, plain or gzip.
      length: of the padded sentences, in tokens with the marks; longer ones are cut. By default those of the longest
        source and the longest target sentence.
      max_vocabulary: size of each of the two vocabularies, made of the train sentences.
      max_bytes: most that each file may hold when unpacked.

    Returns:
      int32 inputs [N, source length], ended by `<end>`; targets [N, target length], between `<start>` and `<end>`.

    Raises:
      DataError: files with different numbers of lines, an empty line (named), also at the end; and as `read_text`.

    Example:
      >>> np.savetxt("a.en", ["a dog", "the dog sleeps"], fmt="%s")
      >>> np.savetxt("a.fr", ["un chien", "le chien dort"], fmt="%s")
      >>> data = dl.data.from_aligned_text(("a.en", "a.fr"))
      >>> data.target_vocabulary.decode(data.train.targets[1])
      'le chien dort'
    """
    named = {"train": train, "validation": validation, "test": test}
    lines = {split: _aligned(pair, max_bytes) for split, pair in named.items() if pair is not None}
    vocabularies = [made_of(side, unit, max_vocabulary) for side in lines["train"]]
    sides = []
    for position, vocabulary in enumerate(vocabularies):
        ids = {
            split: vocabulary.encode_lines(pair[position], length=length, start=position == 1, end=True)
            for split, pair in lines.items()
        }
        longest = max(rows.shape[1] for rows in ids.values())
        sides.append({split: np.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for split, rows in ids.items()})
    splits = {split: Split(sides[0][split], sides[1][split]) for split in lines}
    fields: dict[str, Any] = {
        "name": "aligned text",
        "source": f"aligned text {train[0]}, {train[1]}",
        "input_vocabulary": vocabularies[0],
        "target_vocabulary": vocabularies[1],
    }
    return Dataset(**splits, **fields | described)


def _aligned(paths: Paths, max_bytes: int) -> tuple[list[str], list[str]]:
    source, target = (read_lines(path, max_bytes=max_bytes) for path in paths)
    if len(source) != len(target):
        raise DataError(
            f"{paths[0]} has {len(source)} lines, {paths[1]} has {len(target)}; expects line i of one to translate "
            "line i of the other. Is a line missing, split, or empty at the end of one file?"
        )
    check_lines(source, paths[0])
    check_lines(target, paths[1])
    return source, target
