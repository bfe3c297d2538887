"""Search for probable sequences of tokens: greedy and by beam.

A step is any function `step(carry, token [B]) -> (carry, logits [B, K])`; the arrays of a carry are [B, ...].
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dlcore.core.arguments import (
    RefusedError,
    arguments,
    as_array,
    function,
    instance,
    integer,
    number,
    result_of,
    tree,
)
from dlcore.core.errors import ArgumentError, DataError, described, shown
from dlcore.core.model import Apply, Model, ModelState, Params
from dlcore.data.prepare.vocabulary import END, PAD, START
from dlcore.generation.checks import check_known, check_model
from dlcore.nn.inputs import entered
from dlcore.nn.masked import checked_mask
from dlcore.nn.tokens import IDS, checked_ids

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array]]

ID = integer(0)
MAX_LENGTH = integer(1, 10_000, meaning="tokens of a sequence, with the end")
BEAM_WIDTH = integer(1, 10_000, meaning="hypotheses kept for each row")
LENGTH_PENALTY = number(0, 100)


class Hypotheses(NamedTuple):
    """The sequences found for each row, the best first.

    ids: int32 [B, beam_width, max_length], without the start; after the end, padding (0).
    scores: [B, beam_width], falling: log probability, divided by the length penalty. Where there are fewer sequences
      than beam_width, -inf, and all ids are padding.

    Example:
      >>> logits = jnp.log(jnp.array([[0.0, 0.1, 0.6, 0.3], [0.0, 0.0, 0.3, 0.7]]))
      >>> step = lambda count, token: (count + 1, logits[jnp.minimum(count, 1)])
      >>> found = dl.generation.beam_search(step, jnp.zeros(1, int), max_length=3, beam_width=2)
      >>> found.ids[0, 0]  # the best of row 0
      Array([2, 3, 0], dtype=int32)
      >>> jnp.allclose(jnp.exp(found.scores), jnp.array([[0.42, 0.3]])).item()  # how probable both are
      True
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


@arguments(step=function, carry=tree, start_id=ID, end_id=ID, max_length=MAX_LENGTH)
def greedy_search(
    step: Step, carry: Any, start_id: int = START, end_id: int = END, *, max_length: int
) -> tuple[jax.Array, jax.Array]:
    """The most probable token at every step, up to the end; of equal ones the lowest.

    Args:
      step: `step(carry, token [B]) -> (carry, logits [B, K])`.
      carry: arrays [B, ...], what the step remembers at the start.
      start_id, end_id: the first token given to `step`, and the one that ends a sequence.
      max_length: tokens at most, with the end; static.

    Returns:
      (ids int32 [B, max_length] without the start, padding after the end; their log probability [B]).

    Raises:
      ArgumentError: a number out of its domain, a step that does not fit.
      DataError: a carry without arrays [B, ...]; where it is known, logits that are NaN or inf, or all -inf in a row.

    Example:
      >>> logits = jnp.log(jnp.array([[0.0, 0.1, 0.6, 0.3], [0.0, 0.0, 0.3, 0.7]]))
      >>> step = lambda count, token: (count + 1, logits[jnp.minimum(count, 1)])
      >>> ids, log_probability = dl.generation.greedy_search(step, jnp.zeros(1, int), max_length=3)
      >>> ids
      Array([[2, 3, 0]], dtype=int32)
    """
    carry = _carry("greedy_search", carry)
    num_rows, _, dtype = _checked("greedy_search", step, carry, start_id, end_id)

    def unfinished(searched):
        length, _, _, _, ended, _ = searched
        return (length < max_length) & ~jnp.all(ended)

    def extend(searched):
        length, ids, token, score, ended, carry = searched
        carry, logits = step(carry, token)
        token = jnp.argmax(logits, axis=-1).astype(ids.dtype)
        gained = jnp.take_along_axis(jax.nn.log_softmax(logits.astype(dtype)), token[:, None], axis=1)[:, 0]
        token = jnp.where(ended, PAD, token)
        score = score + jnp.where(ended, 0, gained)
        return length + 1, ids.at[:, length].set(token), token, score, ended | (token == end_id), carry

    ids, first = jnp.full((num_rows, max_length), PAD, jnp.int32), jnp.full(num_rows, start_id, jnp.int32)
    start = (jnp.zeros((), jnp.int32), ids, first, jnp.zeros(num_rows, dtype), jnp.zeros(num_rows, bool), carry)
    _, ids, _, score, _, _ = lax.while_loop(unfinished, extend, start)
    check_known("greedy_search", ~jnp.isnan(score).any())
    return ids, score


@arguments(
    step=function,
    carry=tree,
    start_id=ID,
    end_id=ID,
    max_length=MAX_LENGTH,
    beam_width=BEAM_WIDTH,
    length_penalty=LENGTH_PENALTY,
)
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
      step: `step(carry, token [B]) -> (carry, logits [B, K])`.
      carry: for one hypothesis of each row, [B, ...]. `step` gets that of all, [B * beam_width, ...], row by row.
      start_id, end_id: the first token given to `step`, and the one that ends a sequence.
      max_length: tokens at most, with the end; a hypothesis that long counts as it is. Static.
      beam_width: hypotheses for each row; 1 is greedy. Static.
      length_penalty: the exponent a >= 0 in log P / ((5 + length) / 6)^a; 0 for none. May be traced.

    Raises:
      ArgumentError: a number out of its domain, a step that does not fit, a beam wider than there are sequences.
      DataError: a carry without arrays [B, ...]; where it is known, logits that are NaN or inf.
    Reference: Graves 2012, sequence transduction with recurrent neural networks; the penalty is that of Wu et al.,
      Google's neural machine translation system, 2016, eq. 14.

    Example:
      >>> logits = jnp.log(jnp.array([[0.0, 0.1, 0.6, 0.3], [0.0, 0.0, 0.3, 0.7]]))
      >>> step = lambda count, token: (count + 1, logits[jnp.minimum(count, 1)])
      >>> dl.generation.beam_search(step, jnp.zeros(1, int), max_length=3, beam_width=2).ids
      Array([[[2, 3, 0],
              [3, 0, 0]]], dtype=int32)
    """
    carry = repeat_rows(_carry("beam_search", carry), beam_width)
    num_hypotheses, num_tokens, dtype = _checked("beam_search", step, carry, start_id, end_id)
    num_rows = num_hypotheses // beam_width
    possible = _num_sequences(num_tokens, max_length, beam_width)
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
        gained = _log_probabilities(logits.astype(dtype)).reshape(num_rows, beam_width, num_tokens)
        ended, impossible = beam.ended[..., None], jnp.isneginf(beam.log_probability)[..., None]
        kept = jnp.where(jnp.arange(num_tokens) == PAD, 0.0, -jnp.inf).astype(gained.dtype)
        gained = jnp.where(ended, kept[None, None], gained)  # one that has ended goes on as itself only
        log_probability = jnp.where(impossible, -jnp.inf, beam.log_probability[..., None] + gained)
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
    check_known("beam_search", jnp.isfinite(beam.log_probability[:, 0]).all())
    return Hypotheses(
        jnp.where(found[..., None], beam.ids, PAD), scores(beam.log_probability, jnp.maximum(beam.num_tokens, 1))
    )


def _log_probabilities(logits: jax.Array) -> jax.Array:
    """Of logits [..., K]; all -inf where all logits are: nothing comes of such a hypothesis. NaN where one is inf."""
    largest = logits.max(axis=-1, keepdims=True)
    found = jnp.where(jnp.isfinite(largest), jax.nn.log_softmax(logits), jnp.nan)
    return jnp.where(jnp.isneginf(largest), -jnp.inf, found)


@arguments(tree=tree, times=integer(1, 1_000_000))
def repeat_rows(tree: Any, times: int) -> Any:
    """The arrays [B, ...] of a tree with every row so many times in turn, [B * times, ...].

    Raises:
      DataError: an array without rows.

    Example:
      >>> dl.generation.repeat_rows({"carry": jnp.array([1, 2])}, 2)
      {'carry': Array([1, 1, 2, 2], dtype=int32)}
    """
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, times, axis=0), _rows("repeat_rows: tree", tree))


@arguments(
    model=instance(Model),
    params=tree,
    state=tree,
    source=IDS,
    max_length=MAX_LENGTH,
    beam_width=BEAM_WIDTH,
    length_penalty=LENGTH_PENALTY,
)
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
      params, state: of the model.
      source: ids [B, S], padded with 0.
      max_length, beam_width, length_penalty: as in `beam_search`; a width of 1 is greedy.

    Returns:
      ids [B, beam_width, max_length] between the marks `<start>` and `<end>`, the end included; the start and padding
      are never predicted.

    Raises:
      ArgumentError: a model without the parts "encode" and "step", and as `beam_search`.
      DataError: params, state or a source that do not fit the model; params that are NaN.

    Example:
      >>> model = dl.models.sequence_to_sequence(8, 8, num_units=2, embedding_size=2)
      >>> found = dl.generation.translate(model, *model.init(jax.random.key(0)), [[4, 5, 0]], max_length=3)
      >>> found.ids.shape
      (1, 1, 3)
    """
    as_of = "dl.models.sequence_to_sequence"
    params, state = check_model("translate", model, params, state, parts=("encode", "step"), as_of=as_of)
    if not isinstance(params, dict) or "source_embedding" not in params:
        raise ArgumentError(f"translate: params has no 'source_embedding'; expects a model of {as_of}.")
    num_tokens = len(params["source_embedding"]["embedding"])
    source = checked_ids(source, num_tokens, "translate: the source ids")
    checked_mask(source != PAD, source.shape, "translate: source ids")
    encode, step = model.parts["encode"].apply, model.parts["step"].apply
    found = _translated(encode, step, max_length, beam_width, params, state, source, length_penalty)
    check_known("translate", jnp.isfinite(found.scores[:, 0]).all())
    return found


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


def _num_sequences(num_tokens: int, max_length: int, enough: int) -> int:
    """How many end by the end token within `max_length` tokens, or have that length without it; counted to `enough`."""
    others, found = num_tokens - 1, 0
    for length in range(max_length):
        found += others**length
        if found >= enough:
            return found
    return found + others**max_length


def _rows(name: str, tree: Any) -> Any:
    """The tree with every leaf an array [B, ...] that JAX can compute with; or a `DataError`."""

    def rows(leaf):
        try:
            found = leaf if isinstance(leaf, jax.Array) else as_array(leaf)
        except RefusedError as refusal:
            raise DataError(f"{name} holds {shown(leaf)}; expects arrays [B, ...]. {refusal}") from None
        if found.ndim == 0 or not (isinstance(found, jax.Array) or found.dtype.kind in "biufc"):
            raise DataError(f"{name} holds {described(leaf)}; expects arrays [B, ...].")
        return entered(found, f"{name}: arrays")

    return jax.tree.map(rows, tree)


def _carry(name: str, carry: Any) -> Any:
    """The carry as arrays of equally many rows."""
    carry = _rows(f"{name}: carry", carry)
    counts = {len(leaf) for leaf in jax.tree.leaves(carry)}
    if len(counts) != 1 or 0 in counts:
        raise DataError(
            f"{name}: carry holds {described(carry)}; expects arrays [B, ...], the same B for all, 1 or more. "
            "A step without memory carries jnp.zeros((B, 0))."
        )
    return carry


def _checked(name: str, step: Step, carry: Any, start_id: int, end_id: int) -> tuple[int, int, Any]:
    """(rows of the carry, tokens, dtype of log probabilities: at least float32)."""
    num_rows = len(jax.tree.leaves(carry)[0])
    tokens = jax.ShapeDtypeStruct((num_rows,), jnp.int32)
    before = jax.eval_shape(lambda same: same, carry)
    made = result_of(f"{name}: step", step, carry, tokens, abstract=True)
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise ArgumentError(f"{name}: step gives {described(made)}; expects the pair (carry, logits [B, K]).")
    after, logits = made
    if getattr(logits, "ndim", 0) != 2 or logits.shape[0] != num_rows or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ArgumentError(
            f"{name}: step gives logits {described(logits)}; expects floats [B, K], here [{num_rows}, K]."
        )
    if jax.tree.structure(after) != jax.tree.structure(before) or described(after) != described(before):
        raise ArgumentError(
            f"{name}: step gives a carry of {described(after)} for one of {described(before)}; expects the same arrays."
        )
    for parameter, token in {"start_id": start_id, "end_id": end_id}.items():
        if token >= logits.shape[1]:
            raise ArgumentError(f"{name}: {parameter} is {token}; expects an id in [0, {logits.shape[1]}).")
    if end_id == PAD:
        raise ArgumentError(f"{name}: end_id is {end_id}; expects another than {PAD}, that of padding.")
    return num_rows, int(logits.shape[1]), jnp.promote_types(logits.dtype, jnp.float32)
