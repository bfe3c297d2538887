"""Vocabularies of characters or words; token ids padded to one length, and their masks."""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from dlcore.core.arguments import (
    MOST,
    NONE,
    Constraint,
    RefusedError,
    arguments,
    array,
    as_array,
    boolean,
    integer,
    sequence,
    text,
)
from dlcore.core.errors import ArgumentError, DataError
from dlcore.data.parameters import MAX_IDS, SIZE, TEXTS, UNIT, VOCABULARY_SIZE, check_size

PAD, UNKNOWN, START, END = range(4)
SPECIAL = ("<pad>", "<unknown>", "<start>", "<end>")

Unit = Literal["character", "word"]
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


def _accept_rows(value: Any) -> list[np.ndarray]:
    rows = value if isinstance(value, list | tuple) else as_array(value)
    if not isinstance(rows, list | tuple) and rows.ndim != 2:
        raise RefusedError
    return [_accept_row(row) for row in rows]


def _accept_row(value: Any) -> np.ndarray:
    row = np.asarray(as_array(value))
    if row.ndim != 1 or (row.size and row.dtype.kind not in "biu"):
        raise RefusedError
    if row.size and not -MOST <= row.min() <= row.max() <= MOST:
        raise RefusedError("Ids are 32-bit integers.")
    return row


ROWS = Constraint("a list of sequences of integers", _accept_rows)
IDS = Constraint("token ids, integers [length]", _accept_row, error=DataError)


@dataclasses.dataclass(frozen=True, repr=False)
class Vocabulary:
    """Tokens and their ids, the same for all texts of a data set.

    Ids 0 to 3 are `<pad>`, `<unknown>`, `<start>` and `<end>`; the id of a token is its position in `tokens`.

    Args:
      tokens: all of them, the four special ones first.
      unit: "character", or "word": lower-case words and single punctuation marks.
    """

    tokens: tuple[str, ...]
    unit: Unit

    def __post_init__(self):
        tokens = sequence(text, len(SPECIAL), text="strings").check("Vocabulary: tokens", self.tokens)
        if tokens[: len(SPECIAL)] != SPECIAL:
            raise ArgumentError(f"Vocabulary: tokens begin with {tokens[: len(SPECIAL)]}; expects {SPECIAL} first.")
        object.__setattr__(self, "tokens", tokens)
        UNIT.check("Vocabulary: unit", self.unit)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"{len(self)} {self.unit}s"

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """Token to id."""
        return {token: number for number, token in enumerate(self.tokens)}

    @arguments(text=text)
    def encode(self, text: str) -> np.ndarray:
        """Ids of a text, int32 [length]; tokens it does not have become `<unknown>`."""
        return np.asarray([self.ids.get(token, UNKNOWN) for token in tokenize(text, self.unit)], np.int32)

    @arguments(lines=sequence(text, text="strings"), length=SIZE | NONE, start=boolean, end=boolean)
    def encode_lines(
        self, lines: Sequence[str], *, length: int | None = None, start: bool = False, end: bool = False
    ) -> np.ndarray:
        """Ids of each line, padded: int32 [lines, length].

        Args:
          length: longer lines are cut (an end mark is kept); by default that of the longest line.
          start, end: put the mark `<start>` before, `<end>` after each line.
        """
        room = None if length is None else max(length - start - end, 0)
        rows = [[START] * start + self.encode(line)[:room].tolist() + [END] * end for line in lines]
        return _padded("encode_lines", rows, length, PAD)

    def decode(self, ids: Any) -> str:
        """The text of ids [length], without padding, start and what follows an end; words joined by spaces."""
        known = IDS.check("decode: ids", ids)
        if known.size and not 0 <= known.min() <= known.max() < len(self):
            raise DataError(f"decode: ids go from {known.min()} to {known.max()}; expects those of {self!r}.")
        numbers = known.tolist()
        if END in numbers:
            numbers = numbers[: numbers.index(END)]
        tokens = [self.tokens[number] for number in numbers if number not in (PAD, START)]
        return ("" if self.unit == "character" else " ").join(tokens)


@arguments(texts=TEXTS, min_count=integer())
def characters(texts: str | Iterable[str], *, min_count: int = 1) -> Vocabulary:
    """Vocabulary of all characters in the texts, in the order of their code points.

    Args:
      min_count: rarer characters are `<unknown>`.

    Raises:
      DataError: no character is left.

    Example:
      >>> vocabulary = dl.data.characters("to be")
      >>> vocabulary.encode("beat")  # there is no "a": 1
      array([5, 6, 1, 8], dtype=int32)
    """
    counts = Counter(c for text in texts for c in text)
    return _vocabulary(sorted(token for token, count in counts.items() if count >= min_count), "character")


@arguments(texts=TEXTS, max_size=VOCABULARY_SIZE, min_count=integer())
def words(texts: str | Iterable[str], *, max_size: int | None = None, min_count: int = 1) -> Vocabulary:
    """Vocabulary of the words in the texts, the most frequent first.

    Args:
      max_size: of the vocabulary, with its four special tokens.
      min_count: rarer words are `<unknown>`.

    Raises:
      DataError: no word is left.

    Example:
      >>> dl.data.words(["To be,", "or not to be"]).tokens[4:]
      ('be', 'to', ',', 'not', 'or')
    """
    counts = Counter(token for text in texts for token in tokenize(text, "word"))
    ranked = sorted((token for token, count in counts.items() if count >= min_count), key=lambda t: (-counts[t], t))
    return _vocabulary(ranked[: None if max_size is None else max_size - len(SPECIAL)], "word")


def tokenize(text: str, unit: Unit) -> list[str]:
    """Characters, or words in lower case and punctuation marks one by one."""
    if unit == "character":
        return list(text)
    return _WORD.findall(text.lower())


@arguments(rows=ROWS, length=SIZE | NONE, value=integer(-MOST))
def pad(rows: Sequence[Any], *, length: int | None = None, value: int = PAD) -> np.ndarray:
    """Sequences of different length as one array [N, length], cut or filled up at the end.

    Args:
      rows: sequences of integers.
      length: by default that of the longest row.
      value: what fills up.

    Example:
      >>> dl.data.pad([[4, 5, 6], [7]])
      array([[4, 5, 6],
             [7, 0, 0]], dtype=int32)
    """
    return _padded("pad", rows, length, value)


@arguments(ids=array(text="token ids"))
def mask(ids: Any) -> Any:
    """Where tokens are real, not padding: bool of the shape of `ids`. Works on NumPy and JAX arrays.

    >>> dl.data.mask(np.array([[4, 5, 0]]))
    array([[ True,  True, False]])
    """
    return ids != PAD


def made_of(lines: Sequence[str], unit: Unit, max_size: int | None) -> Vocabulary:
    """The vocabulary of these lines in this unit."""
    return characters(lines) if unit == "character" else words(lines, max_size=max_size)


def _padded(name: str, rows: Sequence[Any], length: int | None, value: int) -> np.ndarray:
    length = max((len(row) for row in rows), default=0) if length is None else length
    check_size(name, len(rows), length, most=MAX_IDS)
    padded = np.full((len(rows), length), value, np.int32)
    for target, row in zip(padded, rows, strict=True):
        target[: min(len(row), length)] = row[:length]
    return padded


def _vocabulary(tokens: Sequence[str], unit: Unit) -> Vocabulary:
    if not tokens:
        raise DataError(f"no {unit} is frequent enough for the vocabulary; expects text. Lower min_count.")
    return Vocabulary((*SPECIAL, *tokens), unit)
