"""Text: to predict what comes next, to classify lines, to translate aligned lines."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import ArgumentError, DataError
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.prepare.vocabulary import Unit, Vocabulary, characters, words
from dlcore.data.read.files import MAX_BYTES, PathLike, decoded, read_bytes

Paths = tuple[PathLike, PathLike]


def read_text(path: PathLike, *, max_bytes: int = MAX_BYTES) -> str:
    """A UTF-8 file, plain or gzip, as one string; carriage returns before line ends are dropped.

    Raises:
      DataError: no such file, empty, not UTF-8 (with the byte's offset), a damaged gzip.
    """
    return decoded(read_bytes(path, max_bytes=max_bytes), path).replace("\r\n", "\n")


def read_lines(path: PathLike, *, max_bytes: int = MAX_BYTES) -> list[str]:
    """The lines of a text file, without line ends; those at the end of the file that are empty are dropped."""
    # str.splitlines would also split at form feeds and Unicode separators inside a line.
    return read_text(path, max_bytes=max_bytes).rstrip("\n").split("\n")


def from_text(
    path: PathLike,
    *,
    length: int,
    stride: int | None = None,
    unit: Unit = "character",
    predict: Literal["sequence", "last"] = "sequence",
    max_vocabulary: int | None = None,
    validation: float = 0.0,
    test: float = 0.0,
    **described: Any,
) -> Dataset:
    """A text file, to predict each character or word from those before it; see `next_token`."""
    described = {"name": pathlib.Path(path).name.split(".")[0], "source": f"text {path}"} | described
    return next_token(
        read_text(path),
        length=length,
        stride=stride,
        unit=unit,
        predict=predict,
        max_vocabulary=max_vocabulary,
        validation=validation,
        test=test,
        **described,
    )


def next_token(
    text: str,
    *,
    length: int,
    stride: int | None = None,
    unit: Unit = "character",
    predict: Literal["sequence", "last"] = "sequence",
    max_vocabulary: int | None = None,
    validation: float = 0.0,
    test: float = 0.0,
    **described: Any,
) -> Dataset:
    """Windows of a text, to predict each token from those before it.

    The splits are consecutive parts of the text, train first, so that no window lies in two of them.

    Args:
      length: tokens of a window.
      stride: from the start of a window to the next; by default the length.
      predict: "sequence" for the inputs moved by one, targets [N, length]; "last" for the next token only, [N].
      max_vocabulary: size of a word vocabulary; it is made of the train part.
      validation, test: share of the text.

    Returns:
      int32 inputs [N, length], targets [N, length] or [N]; the vocabulary in both vocabulary fields.

    Raises:
      DataError: a part with fewer than `length + 1` tokens.
    """
    if length < 1 or (stride is not None and stride < 1) or predict not in ("sequence", "last"):
        raise ArgumentError(
            f"length={length}, stride={stride}, predict={predict!r}; expects positive numbers, and sequence or last."
        )
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(
            f"validation={validation} and test={test}; expects fractions of the text that sum to less than 1."
        )
    ends = np.round(len(text) * np.cumsum([1 - validation - test, validation, test])).astype(int)
    starts = [0, *ends[:-1]]
    parts = {
        split: text[start:end]
        for split, share, start, end in zip(
            ("train", "validation", "test"), (1, validation, test), starts, ends, strict=True
        )
        if share > 0
    }
    # All characters get an id, so that none of the test part is unknown; words only those of the train part.
    vocabulary = characters(text) if unit == "character" else words(parts["train"], max_size=max_vocabulary)
    splits = {
        split: _windows(vocabulary.encode(part), length, stride or length, predict, split)
        for split, part in parts.items()
    }
    fields: dict[str, Any] = {"name": "text", "source": "text given by the caller", "target_names": vocabulary.tokens}
    return Dataset(**splits, input_vocabulary=vocabulary, target_vocabulary=vocabulary, **fields | described)


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
      DataError: an empty line (named), and as `read_text` and `from_arrays`.
    """
    lines = {name: read_lines(path) for name, path in files.items()}
    if len(lines) < 2:
        raise DataError(f"{len(lines)} classes; expects a file for each of two or more classes.")
    for name, path in files.items():
        _check_lines(lines[name], path)
    everything = [line for part in lines.values() for line in part]
    vocabulary = _made_of(everything, unit, max_vocabulary)
    targets = np.repeat(np.arange(len(lines), dtype=np.int32), [len(part) for part in lines.values()])
    fields: dict[str, Any] = {"name": "text classes", "source": f"text {', '.join(map(str, files.values()))}"}
    return from_arrays(
        vocabulary.encode_lines(everything, length=length),
        targets,
        validation=validation,
        test=test,
        seed=seed,
        stratify=True,
        target_names=tuple(files),
        input_vocabulary=vocabulary,
        **fields | described,
    )


def from_aligned_text(
    train: Paths,
    *,
    validation: Paths | None = None,
    test: Paths | None = None,
    length: int | None = None,
    unit: Unit = "word",
    max_vocabulary: int | None = None,
    **described: Any,
) -> Dataset:
    """Sentence pairs: line i of one file translates line i of the other.

    Args:
      train, validation, test: (source file, target file) each, plain or gzip.
      length: of the padded sentences, in tokens with the marks; longer ones are cut. By default those of the longest
        source and the longest target sentence.
      max_vocabulary: size of each of the two vocabularies, made of the train sentences.

    Returns:
      int32 inputs [N, source length], ended by `<end>`; targets [N, target length], between `<start>` and `<end>`.

    Raises:
      DataError: files with different numbers of lines, an empty line (named), and as `read_text`.
    """
    named = {"train": train, "validation": validation, "test": test}
    lines = {split: _aligned(pair) for split, pair in named.items() if pair is not None}
    vocabularies = [_made_of(side, unit, max_vocabulary) for side in lines["train"]]
    sides = []
    for position, vocabulary in enumerate(vocabularies):
        ids = {
            split: vocabulary.encode_lines(pair[position], length=length, start=position == 1, end=True)
            for split, pair in lines.items()
        }
        longest = max(rows.shape[1] for rows in ids.values())
        sides.append({split: np.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for split, rows in ids.items()})
    splits = {split: Split(sides[0][split], sides[1][split]) for split in lines}
    fields: dict[str, Any] = {"name": "aligned text", "source": f"aligned text {train[0]}, {train[1]}"}
    return Dataset(**splits, input_vocabulary=vocabularies[0], target_vocabulary=vocabularies[1], **fields | described)


def english(*, length: int = 32, validation: float = 0.1, test: float = 0.1, **options: Any) -> Dataset:
    """English prose from Python's own help texts, half a million characters, to predict the next; see `next_token`.

    No file, no network; the text differs a little from one version of Python to the next.
    """
    fields: dict[str, Any] = {"name": "english", "source": "CPython pydoc_data.topics"}
    return next_token(english_text(), length=length, validation=validation, test=test, **fields | options)


def english_text() -> str:
    """The help texts of Python's language reference as one string, topics in the order of their names."""
    from pydoc_data import topics

    return "\n".join(text for _, text in sorted(topics.topics.items()))


def _windows(ids: np.ndarray, length: int, stride: int, predict: str, split: str) -> Split:
    if len(ids) <= length:
        raise DataError(
            f"the {split} part has {len(ids)} tokens; expects at least length + 1 = {length + 1}. Shorten the windows."
        )
    windows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::stride]
    return Split(windows[:, :-1], windows[:, 1:] if predict == "sequence" else windows[:, -1])


def _made_of(lines: Sequence[str], unit: Unit, max_size: int | None) -> Vocabulary:
    return characters(lines) if unit == "character" else words(lines, max_size=max_size)


def _aligned(paths: Paths) -> tuple[list[str], list[str]]:
    source, target = (read_lines(path) for path in paths)
    if len(source) != len(target):
        raise DataError(
            f"{paths[0]} has {len(source)} lines, {paths[1]} has {len(target)}; expects line i of one to translate "
            "line i of the other. Is a line missing or split?"
        )
    for lines, path in zip((source, target), paths, strict=True):
        _check_lines(lines, path)
    return source, target


def _check_lines(lines: Sequence[str], path: PathLike) -> None:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(
                f"{path}: line {number} is empty; expects text on each line. Remove it (in both files, if aligned)."
            )
