"""Vocabularies of characters or words; token ids padded to one length, and their masks."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jax.core import Tracer

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
)
from dlcore.core.errors import ArgumentError, DataError
from dlcore.data.parameters import MAX_IDS, SIZE, TEXT, TEXTS, UNIT, VOCABULARY_SIZE, check_size
from dlcore.data.prepare.tokens import Unit, composed, tokenize

PAD, UNKNOWN, START, END = range(4)
SPECIAL = ("<pad>", "<unknown>", "<start>", "<end>")


def _accept_rows(value: Any) -> list[np.ndarray]:
    if isinstance(value, Tracer):
        raise RefusedError("Traced values are arrays already: pad them with jnp.pad.")
    rows = value if isinstance(value, list | tuple) else as_array(value)
    if not isinstance(rows, list | tuple) and rows.ndim != 2:
        raise RefusedError
    return [_accept_row(row) for row in rows]


def _accept_row(value: Any) -> np.ndarray:
    found = as_array(value)
    if isinstance(found, Tracer):
        raise RefusedError("Traced values are known only when the program runs.")
    row = np.asarray(found)
    if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
        raise RefusedError("Round floats, or write zeros and ones as integers." if row.dtype.kind in "bf" else "")
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
      unit: "character": code points of the composed form (NFC); or "word": lower-case words by Unicode's rules, and
        single punctuation marks and symbols (docs/data.md).

    Raises:
      ArgumentError: other tokens first, a token twice, or one that no text has in that unit.

    Example:
      >>> vocabulary = dl.data.words(["the cat sat"])
      >>> len(vocabulary), vocabulary.tokens[4:], vocabulary.ids["cat"]
      (7, ('cat', 'sat', 'the'), 4)
      >>> vocabulary.decode(vocabulary.encode("the cat"))
      'the cat'
    """

    tokens: tuple[str, ...]
    unit: Unit

    def __post_init__(self):
        tokens = sequence(TEXT, len(SPECIAL), text="strings").check("Vocabulary: tokens", self.tokens)
        if tokens[: len(SPECIAL)] != SPECIAL:
            raise ArgumentError(f"Vocabulary: tokens begin with {tokens[: len(SPECIAL)]}; expects {SPECIAL} first.")
        object.__setattr__(self, "tokens", tokens)
        UNIT.check("Vocabulary: unit", self.unit)
        _check_tokens(tokens, self.unit)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"{len(self)} {self.unit}s"

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """Token to id."""
        return {token: number for number, token in enumerate(self.tokens)}

    @arguments(text=TEXT)
    def encode(self, text: str) -> np.ndarray:
        """Ids of a text, int32 [length]; tokens it does not have become `<unknown>`."""
        return self.numbers(tokenize(text, self.unit))

    def numbers(self, tokens: Sequence[str]) -> np.ndarray:
        """Ids of tokens, int32 [length]."""
        return np.asarray([self.ids.get(token, UNKNOWN) for token in tokens], np.int32)

    @arguments(lines=sequence(TEXT, text="strings"), length=SIZE | NONE, start=boolean, end=boolean)
    def encode_lines(
        self, lines: Sequence[str], *, length: int | None = None, start: bool = False, end: bool = False
    ) -> np.ndarray:
        """Ids of each line, padded: int32 [lines, length].

        Args:
          length: longer lines are cut (an end mark is kept); by default that of the longest line.
          start, end: put the mark `<start>` before, `<end>` after each line.

        Raises:
          ArgumentError: a length with no room for the marks.
        """
        if length is not None and length < start + end:
            raise ArgumentError(f"encode_lines: length is {length}; expects room for the marks, {start + end} or more.")
        room = None if length is None else length - start - end
        rows = [[START] * start + self.encode(line)[:room].tolist() + [END] * end for line in lines]
        return _padded("encode_lines", rows, length, PAD)

    def decode(self, ids: Any) -> str:
        """The text of ids [length], without padding, start and what follows an end; words joined by spaces.

        It is the text that was encoded, in NFC, for characters; for words, it encodes to the same ids. Unknown tokens
        become "<unknown>".
        """
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

    Characters are code points of Unicode's composed form (NFC): a letter and its accent are one where Unicode has it.

    Args:
      min_count: rarer characters are `<unknown>`.

    Raises:
      DataError: no character is left.

    Example:
      >>> vocabulary = dl.data.characters("to be")
      >>> vocabulary.encode("beat")  # there is no "a": 1
      array([5, 6, 1, 8], dtype=int32)
    """
    counts = Counter(c for text in texts for c in composed(text))
    return _vocabulary(sorted(token for token, count in counts.items() if count >= min_count), "character")


@arguments(texts=TEXTS, max_size=VOCABULARY_SIZE, min_count=integer())
def words(texts: str | Iterable[str], *, max_size: int | None = None, min_count: int = 1) -> Vocabulary:
    """Vocabulary of the words in the texts, the most frequent first; equally frequent ones by their code points.

    Words by Unicode's rules (UAX 29), in lower case: see docs/data.md.

    Args:
      max_size: of the vocabulary, with its four special tokens.
      min_count: rarer words are `<unknown>`.

    Raises:
      DataError: no word is left.

    Example:
      >>> dl.data.words(["To be,", "or not to be"]).tokens[4:]
      ('be', 'to', ',', 'not', 'or')
    """
    return words_of(
        (token for text in texts for token in tokenize(text, "word")), max_size=max_size, min_count=min_count
    )


def words_of(tokens: Iterable[str], *, max_size: int | None = None, min_count: int = 1) -> Vocabulary:
    """The vocabulary of words that are apart already, as `words`."""
    counts = Counter(tokens)
    ranked = sorted((token for token, count in counts.items() if count >= min_count), key=lambda t: (-counts[t], t))
    return _vocabulary(ranked[: None if max_size is None else max_size - len(SPECIAL)], "word")


@arguments(rows=ROWS, length=SIZE | NONE, value=integer(-MOST))
def pad(rows: Sequence[Any], *, length: int | None = None, value: int = PAD) -> np.ndarray:
    """Sequences of different length as one array [N, length], cut or filled up at the end.

    Args:
      rows: sequences of integers.
      length: by default that of the longest row.
      value: what fills up.

    Raises:
      ArgumentError: more than 2**30 ids in all.

    Example:
      >>> dl.data.pad([[4, 5, 6], [7]])
      array([[4, 5, 6],
             [7, 0, 0]], dtype=int32)
    """
    return _padded("pad", rows, length, value)


@arguments(ids=array("iu", text="token ids, integers"))
def mask(ids: Any) -> Any:
    """Where tokens are real, not padding: bool of the shape of `ids`. Works on NumPy and JAX arrays.

    >>> dl.data.mask(np.array([[4, 5, 0]]))
    array([[ True,  True, False]])
    """
    return ids != PAD


def made_of(lines: Sequence[str], unit: Unit, max_size: int | None) -> Vocabulary:
    """The vocabulary of these lines in this unit."""
    check_unit(unit, max_size)
    return characters(lines) if unit == "character" else words(lines, max_size=max_size)


def check_unit(unit: Unit, max_size: int | None) -> None:
    """Raise `ArgumentError` for a limit that would have no effect."""
    if unit == "character" and max_size is not None:
        raise ArgumentError(
            f"max_vocabulary is {max_size} and unit 'character'; expects a limit for words only: all characters get an "
            "id. Leave it out, or pass unit='word'."
        )


def _padded(name: str, rows: Sequence[Any], length: int | None, value: int) -> np.ndarray:
    length = max((len(row) for row in rows), default=0) if length is None else length
    check_size(name, len(rows), length, most=MAX_IDS)
    padded = np.full((len(rows), length), value, np.int32)
    for target, row in zip(padded, rows, strict=True):
        target[: min(len(row), length)] = row[:length]
    return padded


def _check_tokens(tokens: Sequence[str], unit: Unit) -> None:
    """Raise `ArgumentError` unless each token stands there once, in the form in which texts have it."""
    own = list(tokens[len(SPECIAL) :])
    twice = next((token for token, count in Counter(tokens).items() if count > 1), None)
    if twice is not None:
        raise ArgumentError(f"Vocabulary: tokens hold {twice!r} twice; expects each once. Remove one.")
    if unit == "word" and tokenize("\n".join(own), unit) == own:
        return
    for token in own:
        if tokenize(token, unit) != [token]:
            found = f"{unit}s, such as {tokenize(token, unit)}" if token else f"{unit}s"
            raise ArgumentError(f"Vocabulary: tokens hold {token!r}; expects {found}. No text has it as a token.")


def _vocabulary(tokens: Sequence[str], unit: Unit) -> Vocabulary:
    if not tokens:
        raise DataError(f"no {unit} is frequent enough for the vocabulary; expects text. Lower min_count.")
    return Vocabulary((*SPECIAL, *tokens), unit)
