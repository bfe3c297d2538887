"""Windows of a long text: to predict what comes next, and in the order in which a stateful network reads them."""

import dataclasses
from typing import Any, Literal

import numpy as np

from dlcore.core.arguments import NONE, arguments, integer, one_of
from dlcore.core.dataset import Dataset, Split, one_array
from dlcore.core.errors import DataError
from dlcore.data.parameters import (
    DATASET,
    DESCRIBED,
    FRACTION,
    MAX_IDS,
    SIZE,
    TEXT,
    UNIT,
    VOCABULARY_SIZE,
    check_fractions,
    check_in_memory,
    check_size,
)
from dlcore.data.prepare.tokens import Unit, composed, tokenize
from dlcore.data.prepare.vocabulary import characters, check_unit, words_of

WINDOWS = {
    "length": SIZE,
    "stride": SIZE | NONE,
    "unit": UNIT,
    "predict": one_of("sequence", "last"),
    "max_vocabulary": VOCABULARY_SIZE,
    "validation": FRACTION,
    "test": FRACTION,
}


@arguments(text=TEXT, described=DESCRIBED, **WINDOWS)
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

    The splits are consecutive parts of the text, train first, so that no window lies in two of them. Tokens at the end
    of a part that fill no window are left out.

    Args:
      length: tokens of a window.
      stride: from the start of a window to the next; by default the length.
      unit: what a token is, "character" or "word".
      predict: "sequence" for the inputs moved by one, targets [N, length]; "last" for the next token only, [N].
      max_vocabulary: size of a word vocabulary; it is made of the train part.
      validation, test: share of the tokens.
      described: further fields of `Dataset`.

    Returns:
      int32 inputs [N, length], targets [N, length] or [N]; the vocabulary in both vocabulary fields.

    Raises:
      ArgumentError: shares that leave nothing to train on; more windows than fit in memory; a limit of characters.
      DataError: a part with fewer than `length + 1` tokens.

    Example:
      >>> data = dl.data.next_token("to be or not to be", length=8)
      >>> [data.input_vocabulary.decode(row) for row in data.train.inputs]
      ['to be or', ' not to ']
    """
    check_fractions("next_token", validation, test)
    check_unit(unit, max_vocabulary)
    tokens = composed(text) if unit == "character" else tokenize(text, unit)
    ends = np.round(len(tokens) * np.cumsum([1 - validation - test, validation, test])).astype(int)
    starts = [0, *ends[:-1]]
    parts = {
        split: tokens[start:end]
        for split, share, start, end in zip(
            ("train", "validation", "test"), (1, validation, test), starts, ends, strict=True
        )
        if share > 0
    }
    # All characters get an id, so that none of the test part is unknown; words only those of the train part.
    vocabulary = characters(text) if unit == "character" else words_of(parts["train"], max_size=max_vocabulary)
    splits = {
        split: _windows(vocabulary.numbers(part), length, stride or length, predict, split)
        for split, part in parts.items()
    }
    fields: dict[str, Any] = {
        "name": "text",
        "source": "text given by the caller",
        "target_names": vocabulary.tokens,
        "input_vocabulary": vocabulary,
        "target_vocabulary": vocabulary,
    }
    return Dataset(**splits, **fields | described)


@arguments(data=DATASET, batch_size=integer(meaning="rows that are read side by side"))
def continued(data: Dataset, batch_size: int) -> Dataset:
    """The train split in an order such that each row of a batch continues the same row of the batch before.

    The text is cut into `batch_size` stretches of as many windows each, which are read side by side; fewer windows than
    `batch_size` at its end are left out. Train on it with this `batch_size`,
    `sampling="in_order"` and `dl.models.recurrent(..., stateful=batch_size)`. An epoch starts with the carry of the end
    of the stretches.

    Args:
      data: consecutive windows, inputs and targets [N, T], as `dl.data.next_token` makes them with its default stride.

    Raises:
      DataError: fewer windows than rows; windows that do not continue each other.

    Example:
      >>> data = dl.data.continued(dl.data.next_token("abcdefghijklm", length=3), batch_size=2)
      >>> [data.input_vocabulary.decode(row) for row in data.train.inputs]  # "abc" goes on in row 2
      ['abc', 'ghi', 'def', 'jkl']
    """
    check_in_memory("continued", data)
    inputs, targets = (one_array(data, part, "continued") for part in ("inputs", "targets"))
    if len(inputs) < batch_size:
        raise DataError(f"the train split has {len(inputs)} windows; expects at least batch_size={batch_size}.")
    windows = targets.ndim == inputs.ndim == 2 and inputs.size and targets.size
    if not windows or not np.array_equal(inputs[1:, 0], targets[:-1, -1]):
        raise DataError(
            "the windows do not continue each other; expects the first input of each to be the last target of the one "
            'before. Make them with dl.data.next_token, stride=None and predict="sequence".'
        )
    num_batches = len(inputs) // batch_size
    rows = np.arange(batch_size * num_batches).reshape(batch_size, num_batches).T.reshape(-1)
    return dataclasses.replace(data, train=data.train.select(rows))


def _windows(ids: np.ndarray, length: int, stride: int, predict: str, split: str) -> Split:
    if len(ids) <= length:
        raise DataError(
            f"the {split} part has {len(ids)} tokens; expects at least length + 1 = {length + 1}. Shorten the windows."
        )
    windows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::stride]
    check_size("next_token", *windows.shape, most=MAX_IDS)
    return Split(windows[:, :-1], windows[:, 1:] if predict == "sequence" else windows[:, -1])
