"""Recurrent networks: a number for each sequence or for each step, on floats or on tokens."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from dlcore.core.arguments import NONE, arguments, boolean, integer, number, one_of
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Model
from dlcore.data.prepare.vocabulary import PAD
from dlcore.nn.adapters import built_in
from dlcore.nn.dropout import DROPOUT
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.inputs import as_numbers
from dlcore.nn.masked import Masked, checked_mask
from dlcore.nn.recurrent import CELL, NUM_LAYERS, NUM_UNITS, RecurrentStack
from dlcore.nn.tokens import Embedding, checked_ids

OUTPUTS = ("last", "all", "mean")


@arguments(
    num_inputs=NUM_UNITS,
    num_units=NUM_UNITS,
    num_outputs=NUM_UNITS,
    cell=CELL,
    num_layers=NUM_LAYERS,
    bidirectional=boolean,
    output=one_of(*OUTPUTS),
    num_tokens=integer(1, 100_000_000, meaning="size of the vocabulary") | NONE,
    padding=integer(0) | NONE,
    stateful=integer(1, 1_000_000, meaning="rows of each training batch") | NONE,
    truncation=integer(meaning="steps that the gradient flows back") | NONE,
    forget_bias=number(),
    initializer=INITIALIZER,
    dropout=DROPOUT,
)
def recurrent(
    num_inputs: int,
    num_units: int,
    num_outputs: int,
    *,
    cell: str = "lstm",
    num_layers: int = 1,
    bidirectional: bool = False,
    output: Literal["last", "all", "mean"] = "last",
    num_tokens: int | None = None,
    padding: int | None = PAD,
    stateful: int | None = None,
    truncation: int | None = None,
    forget_bias: float | jax.Array = 1.0,
    initializer: str | Initializer = "lecun_normal",
    dropout: float | jax.Array = 0.0,
) -> Model:
    """A recurrent network: floats [B, T, num_inputs] or ids [B, T] -> [B, num_outputs] or [B, T, num_outputs].

    Inputs are floats, `Masked(values, mask)` where the sequences differ in length, or token ids if `num_tokens` is
    given. Parts, unless bidirectional: "initial", the inputs of B rows to their zero carry; "step", (carry, inputs
    of one step [B, num_inputs] or [B]) to (carry, outputs [B, num_outputs]).

    Args:
      num_inputs: numbers in a step; of tokens, the width of their embedding.
      num_units: of each layer, and each way.
      num_outputs: numbers in the output, or in each step of it.
      cell: "simple" (Elman), "lstm", "lstm_peephole" (its gates see the cell state too), "gru" (the reset gate acts
        after the product, as in cuDNN and PyTorch) or "gru_reset_before" (before it, as Cho et al. have it).
      num_layers: recurrent layers on top of each other.
      bidirectional: read both ways.
      output: "last", after the last real step (both ways: after the last step of each); "all", for every step; "mean",
        of what the real steps yield.
      num_tokens: the inputs are ids in [0, num_tokens), which are embedded.
      padding: the id that is no step; None if all ids are steps.
      stateful: batch size, if each row of a training batch continues that row of the batch before, as in
        `dl.data.continued`: the carry is kept in the model's state, without gradient. In evaluation it starts from
        zero.
      truncation, forget_bias, initializer: as in `dlcore.nn.recurrent.Recurrent`.
      dropout: share of the outputs of each layer but the last that is dropped in training; may be traced.

    Raises:
      ArgumentError: an unknown cell or output, a size that is not a positive integer, a bidirectional stateful network.
      DataError: on apply: inputs of another kind or shape, an id out of range or a row of padding only where the values
        are known.
    Reference: Elman 1990; Hochreiter and Schmidhuber 1997; Cho et al. 2014.

    Example:
      >>> model = dl.models.recurrent(3, 4, 2, cell="gru")
      >>> params, state = model.init(jax.random.key(0))
      >>> model.apply(params, state, jnp.zeros((1, 5, 3)))[0].shape
      (1, 2)
    """
    if stateful is not None and bidirectional:
        raise ArgumentError(
            "recurrent: stateful and bidirectional exclude each other: a network that reads from the end needs what is "
            "yet to come. Leave one of them out."
        )
    layers = {"num_layers": num_layers, "bidirectional": bidirectional, "dropout": dropout}
    layers |= {"truncation": truncation, "forget_bias": forget_bias, "initializer": initializer}

    def build(rngs):
        sizes = num_inputs, num_units, num_outputs
        return RecurrentNetwork(
            cell, *sizes, layers, rngs=rngs, output=output, num_tokens=num_tokens, padding=padding, stateful=stateful
        )

    model = built_in(build, parts=() if bidirectional else ("initial", "step"))
    jax.eval_shape(model.init, jax.random.key(0))  # an initializer is tried out here, not when first used
    return model


class KeptCarry(nnx.Variable):
    """The carry that a stateful network hands from one training batch to the next."""


class RecurrentNetwork(nnx.Module):
    """An embedding of the tokens if there are any, a stack of recurrent layers, and an affine map of what they yield.

    Args:
      layers: options of the `RecurrentStack`. Others as in `recurrent`.
    """

    def __init__(
        self,
        cell: str,
        num_inputs: int,
        num_units: int,
        num_outputs: int,
        layers: dict[str, Any],
        *,
        rngs: nnx.Rngs,
        output: str,
        num_tokens: int | None,
        padding: int | None,
        stateful: int | None,
    ):
        self.num_inputs, self.num_tokens, self.padding, self.output = num_inputs, num_tokens, padding, output
        self.embedding = None if num_tokens is None else Embedding(num_tokens, num_inputs, rngs=rngs)
        self.layers = RecurrentStack(cell, num_inputs, num_units, rngs=rngs, **layers)
        self.head = nnx.Linear(self.layers.num_outputs, num_outputs, rngs=rngs)
        self.kept = None if stateful is None else KeptCarry(self.layers.initial((stateful,), jnp.float32))
        self.deterministic = False

    def __call__(self, x: Any) -> jax.Array:
        """Outputs [B, num_outputs], or [B, T, num_outputs] of all steps."""
        values, mask = self.checked(x)
        outputs, carry = self.layers(self.embedded(values), mask, self.kept_carry(values))
        if self.kept is not None and not self.deterministic:
            self.kept.set_value(lax.stop_gradient(carry))
        if self.output == "last":
            top = carry[-1] if self.layers.bidirectional else (carry[-1],)
            outputs = jnp.concatenate([way[0] for way in top], axis=-1)
        elif self.output == "mean":
            outputs = (
                outputs.mean(axis=1)
                if mask is None
                else outputs.sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)[:, None]
            )
        return self.head(outputs)

    def initial(self, x: Any) -> tuple[Any, ...]:
        """The zero carry of as many rows as the inputs have."""
        values, _ = self.checked(x)
        return self.layers.initial(values.shape[:1], self.head.kernel.dtype)

    def step(self, x: tuple[Any, Any]) -> tuple[Any, jax.Array]:
        """(carry, inputs of one step) to (carry, outputs [B, num_outputs])."""
        carry, values = x
        carry, outputs = self.layers.step(carry, self.embedded(values))
        return carry, self.head(outputs)

    def embedded(self, values: Any) -> Any:
        """Floats as they are, ids as their vectors."""
        return values if self.embedding is None else self.embedding(values)

    def kept_carry(self, values: Any) -> Any:
        """The carry of the training batch before; None where sequences start anew."""
        if self.kept is None or self.deterministic:
            return None
        carry = self.kept.get_value()
        num_rows = len(jax.tree.leaves(carry)[0])
        if len(values) != num_rows:
            raise DataError(
                f"recurrent: the training batch has {len(values)} rows, the carry kept has {num_rows}; expects as "
                f"many. Train with batch_size={num_rows}."
            )
        return carry

    def checked(self, x: Any) -> tuple[Any, jax.Array | None]:
        """Values, floats [B, T, num_inputs] or ids [B, T], and their mask [B, T]."""
        values, mask = x if isinstance(x, Masked) else (x, None)
        if self.num_tokens is not None:
            advice = " For floats [B, T, num_inputs] build it without num_tokens."
            values = checked_ids(values, self.num_tokens, "recurrent: inputs", advice)
            if mask is None and self.padding is not None:
                mask = checked_mask(values != self.padding, values.shape, "recurrent")
            return values, mask
        values = as_numbers("recurrent", values)
        shape = values.shape
        fits = values.ndim == 3 and shape[2] == self.num_inputs and shape[1] > 0
        if not fits or not jnp.issubdtype(values.dtype, jnp.floating):
            raise DataError(
                f"recurrent: inputs are {described(values)}; expects floats [B, T, {self.num_inputs}] with T of 1 or "
                "more, or Masked(values, mask). For token ids [B, T] build it with num_tokens=...; a single series "
                "[B, T] is x[..., None]."
            )
        return values, mask
