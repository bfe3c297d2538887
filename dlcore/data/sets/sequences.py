"""Synthetic sequences: to add, to copy, to translate, to answer; pure functions of a key, made on the device.

Each returns a `Split` of `num_examples` independent rows, at most 10 million of them and 2**28 values.
"""

import functools
import string
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import Constraint, RefusedError, arguments, array, integer, key, sequence
from dlcore.core.dataset import Split
from dlcore.core.errors import DataError
from dlcore.data.parameters import NUM_EXAMPLES, SIZE, check_size, held
from dlcore.data.prepare.vocabulary import END, PAD, SPECIAL, START, Vocabulary, characters

DATE_FORMATS = (
    "{day} {month} {year}",  # 3 May 1998
    "{month} {day}, {year}",
    "{day2}/{month2}/{year}",
    "{day} {month3} {year}",
    "{weekday}, {day} {month} {year}",
    "{day2}-{month3}-{year}",
    "{month3} {ordinal} {year}",
    "the {ordinal} of {month}, {year}",
)
FIRST_YEAR, LAST_YEAR = 1900, 2099
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

PEOPLE = ("mary", "john", "sandra", "daniel", "julie", "fred")
PLACES = ("kitchen", "garden", "office", "bathroom", "hallway", "bedroom", "park", "school")
VERBS = ("went", "moved", "traveled", "walked")
_STORY_WORDS = (*SPECIAL, "to", "the", "where", "is", ".", "?", *VERBS, *PEOPLE, *PLACES)


DATE_FIELDS = ("day", "day2", "ordinal", "month", "month2", "month3", "weekday", "year")


def _accept_format(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 100:
        raise RefusedError
    try:
        pieces = list(string.Formatter().parse(value))
    except ValueError as error:
        raise RefusedError(f"{value!r}: {error}.") from None
    for _, field, spec, conversion in pieces:
        if field is not None and (field not in DATE_FIELDS or spec or conversion):
            raise RefusedError(f"There is no field {field!r} without more; fields: {', '.join(DATE_FIELDS)}.")
    return value


FORMAT = Constraint("a template such as '{day} {month} {year}'", _accept_format)


@arguments(key=key, num_examples=NUM_EXAMPLES, length=integer(2, 1_000_000, meaning="one mark in each half"))
def adding_problem(key: jax.Array, num_examples: int, *, length: int) -> Split:
    """Add the two marked numbers of a sequence; one mark lies in each half.

    Returns:
      inputs float [N, length, 2]: numbers uniform in [0, 1], and marks in {0, 1}; targets float [N], their sum.
      Always answering 1 has mean squared error 1/6.

    Raises:
      ArgumentError: more than 2**28 values in all.
    Reference: Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997, sec. 5.4.

    Example:
      >>> inputs, targets = dl.data.adding_problem(jax.random.key(0), 3, length=10)
      >>> bool(jnp.allclose((inputs[..., 0] * inputs[..., 1]).sum(axis=1), targets))
      True
    """
    check_size("adding_problem", num_examples, length, 2)
    number_key, first_key, second_key = jax.random.split(key, 3)
    numbers = jax.random.uniform(number_key, (num_examples, length))
    first = jax.random.randint(first_key, (num_examples, 1), 0, length // 2)
    second = jax.random.randint(second_key, (num_examples, 1), length // 2, length)
    positions = jnp.arange(length)[None]
    marks = ((positions == first) | (positions == second)).astype(numbers.dtype)
    return Split(jnp.stack([numbers, marks], axis=-1), jnp.sum(numbers * marks, axis=1))


@arguments(key=key, num_examples=NUM_EXAMPLES, delay=SIZE, num_symbols=SIZE, num_copied=SIZE)
def copy_memory(key: jax.Array, num_examples: int, *, delay: int, num_symbols: int = 8, num_copied: int = 10) -> Split:
    """Repeat the first `num_copied` symbols after a delay.

    The input is the symbols (1 to num_symbols), `delay - 1` blanks (0), the signal to answer (num_symbols + 1) and
    `num_copied` blanks; the target is blank up to there, then the symbols.

    Returns:
      inputs, targets int32 [N, delay + 2 * num_copied]. Guessing has cross-entropy num_copied * log(num_symbols) a row.

    Raises:
      ArgumentError: more than 2**28 values in all.
    Reference: Arjovsky, Shah, Bengio, Unitary evolution recurrent neural networks, ICML 2016, sec. 4.1.

    Example:
      >>> inputs, targets = dl.data.copy_memory(jax.random.key(0), 1, delay=2, num_copied=2)
      >>> inputs.shape, targets[0, :4].tolist()  # blank, until the signal to answer
      ((1, 6), [0, 0, 0, 0])
    """
    check_size("copy_memory", num_examples, delay + 2 * num_copied)
    symbols = jax.random.randint(key, (num_examples, num_copied), 1, num_symbols + 1)

    def blank(length: int) -> jax.Array:
        return jnp.zeros((num_examples, length), symbols.dtype)

    signal = blank(1) + num_symbols + 1
    inputs = jnp.concatenate([symbols, blank(delay - 1), signal, blank(num_copied)], axis=1)
    return Split(inputs, jnp.concatenate([blank(num_copied + delay), symbols], axis=1))


@arguments(key=key, num_examples=NUM_EXAMPLES, formats=sequence(FORMAT, 1, 100))
def dates(key: jax.Array, num_examples: int, *, formats: Sequence[str] = DATE_FORMATS) -> Split:
    """Dates as people write them, to be written as in ISO 8601: "3 May 1998" -> "1998-05-03".

    Days are uniform from 1900-01-01 to 2099-12-31, formats uniform.

    Args:
      formats: templates with the fields {day} {day2} {ordinal} {month} {month2} {month3} {weekday} {year}.

    Returns:
      inputs int32 [N, length], padded; targets int32 [N, 10]; characters of `date_vocabulary()`.

    Raises:
      ArgumentError: more than 2**28 values in all.

    Example:
      >>> inputs, *_ = dl.data.dates(jax.random.key(0), 1, formats=["the {ordinal}"])
      >>> dl.data.date_vocabulary().decode(inputs[0])[:4]
      'the '
    """
    check_size("dates", num_examples, len(formats), max(map(len, formats)))
    return _dates(key, num_examples, tuple(formats))


# Compiled as one: op by op, the first call would compile for seconds.
@functools.partial(jax.jit, static_argnums=(1, 2))
def _dates(key: jax.Array, num_examples: int, formats: tuple[str, ...]) -> Split:
    day_key, format_key = jax.random.split(key)
    first, last = (np.datetime64(f"{year}-01-01").astype(int) for year in (FIRST_YEAR, LAST_YEAR + 1))
    fields = _date_fields(jax.random.randint(day_key, (num_examples,), first, last))
    written = [_rendered(template, fields, num_examples) for template in formats]
    longest = max(rows.shape[1] for rows in written)
    stacked = jnp.stack([jnp.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for rows in written])
    choice = jax.random.randint(format_key, (num_examples,), 0, len(formats))
    targets = _rendered("{year}-{month2}-{day2}", fields, num_examples)
    return Split(stacked[choice, jnp.arange(num_examples)], targets)


@arguments(ids=held(array("iu", ndim=2, text="rows of padded ids, integers [N, length]")))
def framed(ids: Any) -> jax.Array:
    """Rows [N, length] of padded ids between the marks `<start>` and `<end>`: [N, length + 2], for `tasks.translation`.

    Works on traced arrays.

    Raises:
      DataError: padding (0) before the end of a row, where it is known.

    Example:
      >>> dl.data.framed([[7, 8, 0]])  # 2 is <start>, 3 is <end>
      Array([[2, 7, 8, 3, 0]], dtype=int32)
    """
    if not isinstance(ids, Tracer) and (early := np.argwhere((ids[:, :-1] == PAD) & (ids[:, 1:] != PAD))).size:
        raise DataError(
            f"framed: ids hold {PAD}, the padding, at {early[0].tolist()} before other ids; expects it at the end of "
            "rows only. Drop it there."
        )
    moved = jnp.pad(jnp.asarray(ids), ((0, 0), (1, 1)), constant_values=PAD).at[:, 0].set(START)
    return moved.at[jnp.arange(len(moved)), (moved != PAD).sum(axis=1)].set(END)


@arguments()
@functools.cache
def date_vocabulary() -> Vocabulary:
    """The characters of `dates`.

    >>> dl.data.date_vocabulary().unit
    'character'
    """
    return characters(string.ascii_letters + string.digits + " ,-./")


@arguments(key=key, num_examples=NUM_EXAMPLES, num_sentences=SIZE)
def stories(key: jax.Array, num_examples: int, *, num_sentences: int = 5) -> Split:
    """People move about; where is one of them now? The answer is where that person went last.

    Returns:
      inputs int32 [N, 6 * num_sentences + 4]: "mary went to the kitchen . john ... where is mary ?", words of
      `story_vocabulary()`; targets int32 [N], numbers of `PLACES`. The person asked for occurs in the story.

    Raises:
      ArgumentError: more than 2**28 values in all.
    Reference: Weston et al., Toward AI-complete question answering, arXiv:1502.05698, task 1.

    Example:
      >>> inputs, answers = dl.data.stories(jax.random.key(0), 1, num_sentences=1)
      >>> words = dl.data.story_vocabulary().decode(inputs[0]).split()
      >>> words[4] == dl.data.PLACES[answers[0]]
      True
    """
    check_size("stories", num_examples, 6 * num_sentences + 4)
    people_key, place_key, verb_key, question_key = jax.random.split(key, 4)
    shape = (num_examples, num_sentences)
    people = jax.random.randint(people_key, shape, 0, len(PEOPLE))
    places = jax.random.randint(place_key, shape, 0, len(PLACES))
    verbs = jax.random.randint(verb_key, shape, 0, len(VERBS))
    asked = jnp.take_along_axis(people, jax.random.randint(question_key, (num_examples, 1), 0, num_sentences), axis=1)
    last = jnp.max(jnp.where(people == asked, jnp.arange(num_sentences)[None], -1), axis=1, keepdims=True)

    number = story_vocabulary().ids
    fixed = {word: jnp.full(shape, number[word]) for word in ("to", "the", ".", "where", "is", "?")}
    who, where, went = people + number[PEOPLE[0]], places + number[PLACES[0]], verbs + number[VERBS[0]]
    sentences = jnp.stack([who, went, fixed["to"], fixed["the"], where, fixed["."]], axis=-1)
    question = [fixed["where"][:, :1], fixed["is"][:, :1], asked + number[PEOPLE[0]], fixed["?"][:, :1]]
    inputs = jnp.concatenate([sentences.reshape(num_examples, -1), *question], axis=1)
    return Split(inputs, jnp.take_along_axis(places, last, axis=1)[:, 0])


@arguments()
@functools.cache
def story_vocabulary() -> Vocabulary:
    """The words of `stories`.

    >>> "garden" in dl.data.story_vocabulary().tokens
    True
    """
    return Vocabulary(_STORY_WORDS, "word")


def _date_fields(days: jax.Array) -> dict[str, tuple[tuple[str, ...], jax.Array]]:
    """Each field's possible texts, and which of them each day has, [N].

    Args:
      days: since 1970-01-01, [N].
    Reference: Howard Hinnant, chrono-compatible low-level date algorithms, civil_from_days.
    """
    shifted = days + 719_468  # days since 0000-03-01: a year that ends with the leap day
    era, day_of_era = shifted // 146_097, shifted % 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5
    month = (month_from_march + 2) % 12
    year = year_of_era + 400 * era + (month <= 1) - FIRST_YEAR
    numbers = range(1, 32)
    return {
        "day": (tuple(str(i) for i in numbers), day),
        "day2": (tuple(f"{i:02}" for i in numbers), day),
        "ordinal": (tuple(f"{i}{_ordinal_ending(i)}" for i in numbers), day),
        "month": (MONTHS, month),
        "month2": (tuple(f"{i:02}" for i in range(1, 13)), month),
        "month3": (tuple(name[:3] for name in MONTHS), month),
        "weekday": (WEEKDAYS, (days + 3) % 7),  # 1970-01-01 was a Thursday
        "year": (tuple(str(i) for i in range(FIRST_YEAR, LAST_YEAR + 1)), year),
    }


def _rendered(template: str, fields: dict[str, tuple[tuple[str, ...], jax.Array]], num_examples: int) -> jax.Array:
    """Ids of the template's texts, [N, length]; padding only at the end."""
    vocabulary = date_vocabulary()
    pieces = []
    for literal, field, _, _ in string.Formatter().parse(template):
        if literal:
            pieces.append(jnp.tile(jnp.asarray(vocabulary.encode(literal))[None], (num_examples, 1)))
        if field is not None:
            texts, index = fields[field]
            pieces.append(jnp.asarray(vocabulary.encode_lines(texts))[index])
    ids = jnp.concatenate(pieces, axis=1)
    return jnp.take_along_axis(ids, jnp.argsort(ids == PAD, axis=1, stable=True), axis=1)


def _ordinal_ending(number: int) -> str:
    return "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
