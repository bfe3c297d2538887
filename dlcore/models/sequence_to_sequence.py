"""Recurrent encoder-decoders, with and without attention."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from dlcore.core.arguments import NONE, arguments, boolean, integer, one_of
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Model
from dlcore.data.prepare.vocabulary import PAD
from dlcore.nn.adapters import built_in
from dlcore.nn.attention import AdditiveAttention, DotAttention, attended
from dlcore.nn.dropout import DROPOUT, Dropout
from dlcore.nn.inputs import as_numbers
from dlcore.nn.masked import checked_mask
from dlcore.nn.recurrent import CELL, NUM_LAYERS, NUM_UNITS, RecurrentStack
from dlcore.nn.tokens import Embedding, checked_ids

ATTENTIONS = ("additive", "dot")


NUM_TOKENS = integer(1, 100_000_000, meaning="size of the vocabulary")


@arguments(
    num_source_tokens=NUM_TOKENS,
    num_target_tokens=NUM_TOKENS,
    num_units=NUM_UNITS,
    embedding_size=NUM_UNITS,
    cell=CELL,
    num_layers=NUM_LAYERS,
    attention=one_of(*ATTENTIONS) | NONE,
    bidirectional=boolean,
    dropout=DROPOUT,
)
def sequence_to_sequence(
    num_source_tokens: int,
    num_target_tokens: int,
    *,
    num_units: int = 128,
    embedding_size: int = 64,
    cell: str = "gru",
    num_layers: int = 1,
    attention: str | None = "additive",
    bidirectional: bool = False,
    dropout: float | jax.Array = 0.0,
) -> Model:
    """Encoder-decoder: (source ids [B, S], decoder inputs [B, T]) -> logits [B, T, num_target_tokens].

    The decoder starts from the encoder's last state; its input at each step is the target token before. Ids are padded
    with 0 at the end; padding never changes the logits of a real step.

    Args:
      num_source_tokens, num_target_tokens: sizes of the two vocabularies.
      num_units: of each layer, and of the attention's hidden layer.
      embedding_size: numbers in the vector of a token.
      cell: "simple", "lstm", "lstm_peephole", "gru" or "gru_reset_before", as in `recurrent`; in encoder and decoder.
      num_layers: of the encoder, and of the decoder.
      attention: None; "additive", with the decoder's state before a step, its result part of the step's input;
        "dot", with the state after it. The former decodes step by step in training too, the others all steps at once.
      bidirectional: the encoder reads both ways, with half of the units each.
      dropout: share of the embeddings and of the decoder's outputs that is dropped in training; may be traced.

    Parts:
      encode: source ids [B, S] -> (memory, carry): what to attend to (None without attention), and the first carry.
      step: (memory, carry, token [B]) -> (carry, logits [B, num_target_tokens]).
      attend (with attention): the model's inputs -> weights [B, T, S], the share of each source token in each step.

    Raises:
      ArgumentError: an unknown name, a size that is not a positive integer, an odd num_units where bidirectional.
      DataError: on apply, inputs that are not a pair of ids, or out of range; a source of padding only.
    Reference: Sutskever et al. 2014 and Cho et al. 2014 without attention; Bahdanau et al. 2015 for additive, Luong et
      al. 2015 (global, dot, without input feeding) for dot.

    Example:
      >>> model = dl.models.sequence_to_sequence(8, 9, num_units=2, embedding_size=2)
      >>> params, state = model.init(jax.random.key(0))
      >>> model.apply(params, state, (jnp.full((1, 3), 4), jnp.full((1, 5), 4)))[0].shape
      (1, 5, 9)
    """
    if bidirectional and num_units % 2:
        raise ArgumentError(
            f"sequence_to_sequence: num_units is {num_units}; a bidirectional encoder expects an even number, half "
            "each way."
        )

    def build(rngs):
        sizes = num_source_tokens, num_target_tokens, num_units, embedding_size, num_layers
        return SequenceToSequence(
            cell, *sizes, rngs=rngs, attention=attention, bidirectional=bidirectional, dropout=dropout
        )

    return built_in(build, parts=("encode", "step", *(() if attention is None else ("attend",))))


class Memory(NamedTuple):
    """The source as the decoder's attention sees it.

    values: outputs of the encoder, [B, S, num_units]. keys: what queries are compared with, [B, S, num_units].
    mask: bool [B, S], True where there is a token.
    """

    values: jax.Array
    keys: jax.Array
    mask: jax.Array


class SequenceToSequence(nnx.Module):
    """Recurrent encoder and decoder with an embedding each; arguments as in `sequence_to_sequence`."""

    def __init__(
        self,
        cell: str,
        num_source_tokens: int,
        num_target_tokens: int,
        num_units: int,
        embedding_size: int,
        num_layers: int,
        *,
        rngs: nnx.Rngs,
        attention: str | None,
        bidirectional: bool,
        dropout: float | jax.Array,
    ):
        feeds_context = attention == "additive"
        self.num_source_tokens, self.num_target_tokens = num_source_tokens, num_target_tokens
        self.feeds_context = feeds_context
        self.source_embedding = Embedding(num_source_tokens, embedding_size, rngs=rngs)
        self.target_embedding = Embedding(num_target_tokens, embedding_size, rngs=rngs)
        each_way = num_units // (1 + bidirectional)
        self.encoder = RecurrentStack(
            cell, embedding_size, each_way, num_layers, rngs=rngs, bidirectional=bidirectional
        )
        num_inputs = embedding_size + feeds_context * num_units
        self.decoder = RecurrentStack(cell, num_inputs, num_units, num_layers, rngs=rngs)
        self.attention: Any
        if feeds_context:
            self.attention = AdditiveAttention(num_units, num_units, num_units, rngs=rngs)
        elif attention == "dot":
            self.attention = DotAttention()
            self.combine = nnx.Linear(2 * num_units, num_units, use_bias=False, rngs=rngs)
        else:
            self.attention = None
        never = isinstance(dropout, int | float) and dropout == 0
        self.dropout = None if never else Dropout(dropout, rngs=rngs)
        self.output = nnx.Linear(num_units * (1 + feeds_context), num_target_tokens, rngs=rngs)

    def __call__(self, inputs: Any) -> jax.Array:
        """Logits [B, T, num_target_tokens] of the pair of ids."""
        return self.output(self._dropped(self._decoded(inputs)[0]))

    def attend(self, inputs: Any) -> jax.Array:
        """The weights of the source tokens at each step, [B, T, S]."""
        _, weights = self._decoded(inputs)
        assert weights is not None  # no part of a model without attention
        return weights

    def encode(self, source: Any) -> tuple[Memory | None, Any]:
        """Source ids [B, S] to (memory, the decoder's first carry)."""
        source = checked_ids(source, self.num_source_tokens, "sequence_to_sequence: the source ids")
        mask = checked_mask(source != PAD, source.shape, "sequence_to_sequence: source ids")
        values, carry = self.encoder(self._dropped(self.source_embedding(source)), mask)
        if self.encoder.bidirectional:
            carry = tuple(tuple(jnp.concatenate(ways, axis=-1) for ways in zip(*layer, strict=True)) for layer in carry)
        memory = None if self.attention is None else Memory(values, self.attention.keys(values), mask)
        return memory, carry

    def step(self, inputs: Any) -> tuple[Any, jax.Array]:
        """(memory, carry, token [B]) to (carry, logits [B, num_target_tokens])."""
        memory, carry, token = inputs
        x = self.target_embedding(token)
        if self.feeds_context:
            carry, outputs, _ = self._fed(memory, carry, x)
        else:
            carry, outputs = self.decoder.step(carry, x)
            outputs = self._combined(memory, outputs[:, None])[0][:, 0]
        return carry, self.output(outputs)

    def _decoded(self, inputs):
        """What the logits are made of, [B, T, .], and the weights [B, T, S], at all steps."""
        source, tokens = _checked_pair(inputs)
        tokens = checked_ids(tokens, self.num_target_tokens, "sequence_to_sequence: the decoder inputs")
        memory, carry = self.encode(source)
        x, mask = self._dropped(self.target_embedding(tokens)), tokens != PAD
        if not self.feeds_context:
            outputs, _ = self.decoder(x, mask, carry)
            return self._combined(memory, outputs)

        def advance(carry, now):
            x, there = now
            after, outputs, weights = self._fed(memory, carry, x)
            return jax.tree.map(lambda a, b: jnp.where(there[:, None], a, b), after, carry), (outputs, weights)

        _, decoded = lax.scan(advance, carry, (x.swapaxes(0, 1), mask.T))
        return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), decoded)

    def _fed(self, memory, carry, x):
        """A step whose input has the context of the state before it; x [B, embedding_size]."""
        state = carry[-1][0]
        weights = self.attention(state[:, None], memory.keys, memory.mask)
        context = attended(weights, memory.values, memory.mask)[:, 0]
        carry, output = self.decoder.step(carry, jnp.concatenate([x, context], axis=-1))
        return carry, jnp.concatenate([output, context], axis=-1), weights[:, 0]

    def _combined(self, memory, outputs):
        """Outputs [B, T, num_units] with the context of each; as they are without attention."""
        if memory is None:
            return outputs, None
        weights = self.attention(outputs, memory.keys, memory.mask)
        context = attended(weights, memory.values, memory.mask)
        return jnp.tanh(self.combine(jnp.concatenate([context, outputs], axis=-1))), weights

    def _dropped(self, x):
        return x if self.dropout is None else self.dropout(x)


def _checked_pair(inputs: Any) -> tuple[Any, Any]:
    if not isinstance(inputs, tuple | list) or len(inputs) != 2:
        raise DataError(
            f"sequence_to_sequence: inputs are {described(inputs)}; expects the pair (source ids [B, S], decoder "
            "inputs [B, T])."
        )
    source, tokens = (as_numbers("sequence_to_sequence", ids) for ids in inputs)
    if source.shape[:1] != tokens.shape[:1]:
        raise DataError(
            f"sequence_to_sequence: the source ids are {described(source)}, the decoder inputs {described(tokens)}; "
            "expects as many rows of both."
        )
    return source, tokens
