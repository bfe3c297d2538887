"""Sequences out of models that predict one step at a time: greedy and beam search over tokens, samples of strokes.

A step is any function `step(carry, token [B]) -> (carry, logits [B, K])`; the arrays of a carry are [B, ...].
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dlcore.core.errors import ArgumentError, check_number, check_positive_integer, shown
from dlcore.core.model import Apply, Model, ModelState, Params
from dlcore.data.prepare.vocabulary import END, PAD, START
from dlcore.nn.masked import checked_mask
from dlcore.nn.mixture import draw, sharpened
from dlcore.nn.tokens import checked_ids

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array]]


class Hypotheses(NamedTuple):
    """The sequences found for each row, the best first.

    ids: int32 [B, beam_width, max_length], without the start; after the end, padding (0).
    scores: [B, beam_width], falling: log probability, divided by the length penalty. Where there are fewer sequences
      than beam_width, -inf, and all ids are padding.
    """

    ids: jax.Array
    scores: jax.Array


class _Beam(NamedTuple):
    """A search after `length` tokens; W hypotheses for each row, sorted by score. `token`: the last of each."""

    length: jax.Array  # []
    ids: jax.Array  # [B, W, max_length]
    token: jax.Array  # [B, W]
    log_probability: jax.Array  # [B, W]
    num_tokens: jax.Array  # [B, W], with the end
    ended: jax.Array  # [B, W]
    carry: Any  # arrays [B * W, ...]


def greedy_search(
    step: Step, carry: Any, start_id: int = START, end_id: int = END, *, max_length: int
) -> tuple[jax.Array, jax.Array]:
    """The most probable token at every step, up to the end; of equal ones the lowest.

    Args:
      max_length: tokens at most, with the end; static.

    Returns:
      (ids int32 [B, max_length] without the start, padding after the end; their log probability [B]).

    Raises:
      ArgumentError: max_length below 1, an id out of range, a carry without arrays [B, ...].
    """
    num_rows, _, dtype = _checked(step, carry, start_id, end_id, max_length)

    def unfinished(searched):
        length, _, _, _, ended, _ = searched
        return (length < max_length) & ~jnp.all(ended)

    def extend(searched):
        length, ids, token, score, ended, carry = searched
        carry, logits = step(carry, token)
        token = jnp.argmax(logits, axis=-1).astype(ids.dtype)
        gained = jnp.take_along_axis(jax.nn.log_softmax(logits), token[:, None], axis=1)[:, 0]
        token = jnp.where(ended, PAD, token)
        score = score + jnp.where(ended, 0, gained)
        return length + 1, ids.at[:, length].set(token), token, score, ended | (token == end_id), carry

    ids, first = jnp.full((num_rows, max_length), PAD, jnp.int32), jnp.full(num_rows, start_id, jnp.int32)
    start = (jnp.zeros((), jnp.int32), ids, first, jnp.zeros(num_rows, dtype), jnp.zeros(num_rows, bool), carry)
    _, ids, _, score, _, _ = lax.while_loop(unfinished, extend, start)
    return ids, score


def beam_search(
    step: Step,
    carry: Any,
    start_id: int = START,
    end_id: int = END,
    *,
    max_length: int,
    beam_width: int,
    length_penalty: float | jax.Array = 0.0,
) -> Hypotheses:
    """The most probable sequences, as far as a beam of `beam_width` of them finds them.

    Each step extends every hypothesis by every token and keeps those of the highest score; one that has ended competes
    with the score it has. Of equal scores the one whose hypothesis was ranked higher comes first, then the lower token.

    Args:
      carry: for one hypothesis of each row, [B, ...]. `step` gets that of all, [B * beam_width, ...], row by row.
      max_length: tokens at most, with the end; a hypothesis that long counts as it is. Static.
      beam_width: hypotheses for each row; 1 is greedy. Static.
      length_penalty: the exponent a >= 0 in log P / ((5 + length) / 6)^a; 0 for none. May be traced.

    Raises:
      ArgumentError: a number out of its domain, a beam wider than there are sequences.
    Reference: Graves 2012, sequence transduction with recurrent neural networks; the penalty is that of Wu et al.,
      Google's neural machine translation system, 2016, eq. 14.
    """
    check_positive_integer("beam_width", beam_width, "hypotheses kept for each row")
    check_number("length_penalty", length_penalty, 0)
    carry = repeat_rows(carry, beam_width)
    num_hypotheses, num_tokens, dtype = _checked(step, carry, start_id, end_id, max_length)
    num_rows = num_hypotheses // beam_width
    possible = _num_sequences(num_tokens, max_length)
    if beam_width > possible:
        raise ArgumentError(
            f"beam_width is {beam_width}; {num_tokens} tokens make only {possible} sequences of at most {max_length}. "
            f"Use beam_width={possible} or less."
        )
    rows = jnp.arange(num_rows)[:, None]

    def scores(log_probability, lengths):
        return log_probability / ((5 + lengths) / 6) ** length_penalty

    def unfinished(beam):
        # A hypothesis of probability 0 is none: nothing comes of it.
        return (beam.length < max_length) & ~jnp.all(beam.ended | jnp.isneginf(beam.log_probability))

    def extend(beam):
        carry, logits = step(beam.carry, beam.token.reshape(-1))
        gained = jax.nn.log_softmax(logits).reshape(num_rows, beam_width, num_tokens)
        ended = beam.ended[..., None]
        kept = jnp.where(jnp.arange(num_tokens) == PAD, 0.0, -jnp.inf).astype(gained.dtype)
        gained = jnp.where(ended, kept[None, None], gained)  # one that has ended goes on as itself only
        log_probability = beam.log_probability[..., None] + gained
        lengths = jnp.broadcast_to((beam.num_tokens + ~beam.ended)[..., None], gained.shape)
        _, best = lax.top_k(scores(log_probability, lengths).reshape(num_rows, -1), beam_width)
        parent, token = best // num_tokens, (best % num_tokens).astype(jnp.int32)
        ended = beam.ended[rows, parent]
        return _Beam(
            length=beam.length + 1,
            ids=beam.ids[rows, parent].at[:, :, beam.length].set(token),
            token=token,
            log_probability=log_probability.reshape(num_rows, -1)[rows, best],
            num_tokens=lengths[rows, parent, 0],
            ended=ended | (token == end_id),
            carry=jax.tree.map(lambda leaf: leaf[(rows * beam_width + parent).reshape(-1)], carry),
        )

    shape = (num_rows, beam_width)
    only_first = jnp.where(jnp.arange(beam_width) == 0, 0.0, -jnp.inf).astype(dtype)
    start = _Beam(
        length=jnp.zeros((), jnp.int32),
        ids=jnp.full((*shape, max_length), PAD, jnp.int32),
        token=jnp.full(shape, start_id, jnp.int32),
        log_probability=jnp.broadcast_to(only_first, shape),
        num_tokens=jnp.zeros(shape, jnp.int32),
        ended=jnp.zeros(shape, bool),
        carry=carry,
    )
    beam = lax.while_loop(unfinished, extend, start)
    found = ~jnp.isneginf(beam.log_probability)
    return Hypotheses(
        jnp.where(found[..., None], beam.ids, PAD), scores(beam.log_probability, jnp.maximum(beam.num_tokens, 1))
    )


def repeat_rows(tree: Any, times: int) -> Any:
    """The arrays [B, ...] of a tree with every row so many times in turn, [B * times, ...]."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, times, axis=0), tree)


def translate(
    model: Model,
    params: Params,
    state: ModelState,
    source: Any,
    *,
    max_length: int,
    beam_width: int = 1,
    length_penalty: float = 0.0,
) -> Hypotheses:
    """Target sequences for source sequences, by beam search; compiled once for each shape.

    Args:
      model: of `dl.models.sequence_to_sequence`.
      source: ids [B, S], padded with 0.
      max_length, beam_width, length_penalty: as in `beam_search`; a width of 1 is greedy.

    Returns:
      ids [B, beam_width, max_length] between the marks `<start>` and `<end>`, the end included; the start and padding
      are never predicted.

    Raises:
      ArgumentError: a model without the parts "encode" and "step", and as `beam_search`.
      DataError: as the model, for its source.
    """
    _check_parts(model, ("encode", "step"), "translate", "sequence_to_sequence")
    num_tokens = len(params["source_embedding"]["embedding"])
    source = checked_ids(source, num_tokens, "translate: the source ids")
    checked_mask(source != PAD, source.shape, "translate: source ids")
    check_number("length_penalty", length_penalty, 0)
    encode, step = model.parts["encode"].apply, model.parts["step"].apply
    return _translated(encode, step, max_length, beam_width, params, state, source, length_penalty)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _translated(
    encode: Apply,
    step: Apply,
    max_length: int,
    beam_width: int,
    params: Params,
    state: ModelState,
    source: jax.Array,
    length_penalty: jax.Array,
) -> Hypotheses:
    (memory, carry), _ = encode(params, state, source)
    memory = repeat_rows(memory, beam_width)  # the same for all hypotheses of a row, so no part of the carry

    def predicted(carry, token):
        (carry, logits), _ = step(params, state, (memory, carry, token))
        return carry, logits.at[:, np.array([PAD, START])].set(-jnp.inf)

    return beam_search(predicted, carry, max_length=max_length, beam_width=beam_width, length_penalty=length_penalty)


def sample_strokes(
    model: Model,
    params: Params,
    state: ModelState,
    key: jax.Array,
    *,
    num_strokes: int,
    num_points: int,
    temperature: float | jax.Array = 1.0,
) -> jax.Array:
    """The ways of a pen, drawn point by point from a mixture density; compiled once for each shape.

    Args:
      model: of `dl.models.mixture_density`.
      key: consumed.
      num_points: of each, with the first at (0, 0).
      temperature: above 0; 1 draws from the density, less draws likelier points.

    Returns:
      coordinates [num_strokes, num_points, 2], or [..., 3] with a pen.

    Raises:
      ArgumentError: a number out of its domain, a model without the parts "start" and "step".
    Reference: Graves, Generating sequences with recurrent neural networks, 2013, sec. 4.
    """
    _check_parts(model, ("start", "step"), "sample_strokes", "mixture_density")
    check_positive_integer("num_strokes", num_strokes)
    check_positive_integer("num_points", num_points, "with the first, at (0, 0)")
    check_number("temperature", temperature, 0, open_low=True)
    start, step = model.parts["start"].apply, model.parts["step"].apply
    return _sampled(start, step, num_strokes, num_points, params, state, key, temperature)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _sampled(
    start: Apply,
    step: Apply,
    num_strokes: int,
    num_points: int,
    params: Params,
    state: ModelState,
    key: jax.Array,
    temperature: jax.Array,
) -> jax.Array:
    first, _ = start(params, state, jnp.zeros(num_strokes))

    def extend(carried, number):
        (carry, mixture), _ = step(params, state, carried)
        offset = draw(jax.random.fold_in(key, number), sharpened(mixture, temperature))
        return (carry, offset), offset

    _, drawn = lax.scan(extend, first, jnp.arange(num_points - 1))
    drawn = jnp.concatenate([first[1][:, None], drawn.swapaxes(0, 1)], axis=1)
    return drawn.at[..., :2].set(jnp.cumsum(drawn[..., :2], axis=1))


def _check_parts(model: Model, parts: tuple[str, ...], caller: str, family: str) -> None:
    for part in parts:
        if part not in model.parts:
            raise ArgumentError(f"{caller}: the model has no part {part!r}; expects one of dl.models.{family}.")


def _num_sequences(num_tokens: int, max_length: int) -> int:
    """How many end by the end token within `max_length` tokens, or have that length without it."""
    others = num_tokens - 1
    return sum(others**length for length in range(max_length)) + others**max_length


def _checked(step: Step, carry: Any, start_id: int, end_id: int, max_length: int) -> tuple[int, int, Any]:
    """(rows of the carry, tokens, dtype of the logits)."""
    check_positive_integer("max_length", max_length, "tokens of a sequence, with the end")
    leading = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(carry)}
    if len(leading) != 1 or () in leading:
        raise ArgumentError(
            f"carry holds arrays of leading axes {sorted(leading)}; expects [B, ...], the same B for all. "
            "A step without memory carries jnp.zeros((B, 0))."
        )
    ((num_rows,),) = leading
    logits = jax.eval_shape(step, carry, jax.ShapeDtypeStruct((num_rows,), jnp.int32))[1]
    if len(logits.shape) != 2 or logits.shape[0] != num_rows:
        raise ArgumentError(f"step gives logits {list(logits.shape)}; expects [B, K], here [{num_rows}, K].")
    for name, number in {"start_id": start_id, "end_id": end_id}.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < logits.shape[1]:
            raise ArgumentError(f"{name} is {shown(number)}; expects an id in [0, {logits.shape[1]}), an integer.")
    if end_id == PAD:
        raise ArgumentError(f"end_id is {end_id}; expects another than {PAD}, that of padding.")
    return int(num_rows), int(logits.shape[1]), logits.dtype
