"""What parameters of several data functions may be."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import (
    NONE,
    Constraint,
    RefusedError,
    array,
    as_array,
    boolean,
    instance,
    integer,
    number,
    one_of,
    sequence,
)
from dlcore.core.dataset import FIELDS, Dataset, checked_split
from dlcore.core.dtypes import is_float
from dlcore.core.errors import ArgumentError, DataError, shown, suggest

MAX_ROWS = 10_000_000
MAX_VALUES = 1 << 28  # of an array made from a key: 1 GiB in float32, and a few times that on the way
MAX_IDS = 1 << 30  # of an array of token ids: 4 GiB, what else may be read into memory

NUM_EXAMPLES = integer(1, MAX_ROWS)
SIZE = integer(1, 1_000_000)
BYTES = integer(1, 1 << 62)
PROBABILITY = number(0, 1)
DEVIATION = number(0)
SEED = integer(0, 2**32 - 1)  # what NumPy and scikit-learn take
UNIT = one_of("character", "word")
VOCABULARY_SIZE = integer(5, meaning="with the four special tokens") | NONE
DATASET = instance(Dataset, example="dl.data.iris()")
LABELS = array("iu", text="integer labels")


def held(numbers: Constraint) -> Constraint:
    """Arrays of which JAX holds the same numbers: those of 64 bits become narrower, and could wrap or overflow."""

    def accept(value: Any) -> jax.Array:
        found = numbers.accept(value)
        if isinstance(found, jax.Array):
            return found
        dtype = jax.dtypes.canonicalize_dtype(found.dtype)
        with np.errstate(over="ignore"):
            narrow = found.astype(dtype)
        same = np.isfinite(narrow) | ~np.isfinite(found) if is_float(dtype) else narrow == found
        if not np.all(same):
            raise RefusedError(f"Some do not fit {dtype}: rescale them.")
        return jnp.asarray(narrow)

    return Constraint(numbers.expected, accept, error=DataError)


IMAGES = held(
    array(ndim=(3, 4), text="images [B, height, width] or [B, height, width, channels]; augment before flatten")
)


def _accept_fraction(value: Any) -> Any:
    if isinstance(value, Tracer):
        raise RefusedError("A traced value cannot set the shape of a program.")
    return number(0, 1, open_high=True).accept(value)


def _accept_pair(value: Any) -> Any:
    try:
        return checked_split(value, "it")
    except DataError as error:
        raise RefusedError(str(error)) from None


def _accept_groups(value: Any) -> np.ndarray:
    found = as_array(value)
    if not isinstance(found, Tracer) and found.dtype.kind == "O" and all(isinstance(each, str) for each in found.flat):
        found = found.astype(str)
    if isinstance(found, Tracer) or found.ndim != 1 or np.dtype(found.dtype).kind not in "biufUM":
        raise RefusedError
    if found.dtype.kind in "fM" and (found != found).any():  # NaN, NaT
        raise RefusedError("It holds NaN: rows of no group. Drop them, or give each a group of its own.")
    return np.asarray(found)


def _accept_text(value: Any) -> str:
    if not isinstance(value, str):
        raise RefusedError
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise RefusedError("It holds half a surrogate pair: decode its bytes as UTF-8 or UTF-16.")
    return str(value)


def _accept_texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_accept_text(value),)
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        raise RefusedError
    try:
        return sequence(TEXT).accept(tuple(value))
    except TypeError:  # an array without dimensions
        raise RefusedError from None


FRACTION = Constraint("a fraction, 0 or more, below 1", _accept_fraction)
PAIR = Constraint("a pair (inputs [N, ...], targets [N, ...])", _accept_pair, error=DataError)
GROUPS = Constraint("a number or a string for each row [N]", _accept_groups, error=DataError) | NONE
TEXT = Constraint("a string", _accept_text)
TEXTS = Constraint("a string, or several", _accept_texts)


def keywords(what: str, known: Mapping[str, Constraint]) -> Constraint:
    """Further keywords, each with its own constraint."""

    def accept(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise RefusedError
        for name in value:
            if name not in known:
                raise RefusedError(f"There is no {name!r}; {suggest(name, known)}")
        return {name: _part(name, each, known[name]) for name, each in value.items()}

    return Constraint(what, accept)


def _part(name: str, value: Any, constraint: Constraint) -> Any:
    try:
        return constraint.accept(value)
    except RefusedError as refusal:
        raise RefusedError(f"{name} is {shown(value)}; expects {constraint.expected}. {refusal}".rstrip()) from None


SPLITTING = {"validation": FRACTION, "test": FRACTION, "seed": SEED, "stratify": boolean}
DESCRIBED = keywords("fields of Dataset", FIELDS)
STREAMING = keywords("validation, test, seed, stratify and fields of Dataset", SPLITTING | FIELDS)


def check_in_memory(function: str, dataset: Dataset) -> None:
    """Raise `DataError` unless all splits are NumPy arrays: neither streamed nor traced."""
    for split in dataset.splits:
        for part, column in getattr(dataset, split).columns.items():
            values = next((leaf for leaf in jax.tree.leaves(column) if not isinstance(leaf, np.ndarray)), None)
            if values is not None:
                raise DataError(
                    f"{function}: {part} of the {split} split are {type(values).__name__}; expects arrays in memory."
                )


def check_fractions(function: str, validation: float, test: float) -> None:
    """Raise `ArgumentError` unless something is left to train on."""
    if not validation + test < 1:
        raise ArgumentError(
            f"{function}: validation + test is {validation + test:g}; expects fractions that sum to less than 1."
        )


def check_size(function: str, *sizes: int, most: int = MAX_VALUES) -> None:
    """Raise `ArgumentError` where an array of this shape would not fit in memory."""
    if math.prod(sizes) > most:
        raise ArgumentError(
            f"{function}: this makes {' x '.join(map(str, sizes))} values; expects at most {most} in one array. "
            "Make fewer or shorter rows."
        )
