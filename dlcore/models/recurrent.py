"""Recurrent networks: a number for each sequence or for each step, on floats or on tokens."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, DataError, check_name, check_positive_integer, described
from dlcore.core.model import Model
from dlcore.data.prepare.vocabulary import PAD
from dlcore.nn.adapters import from_nnx
from dlcore.nn.masked import Masked, checked_mask
from dlcore.nn.recurrent import RecurrentStack
from dlcore.nn.tokens import embedding

OUTPUTS = ("last", "all", "mean")


class KeptCarry(nnx.Variable):
    """The carry that a stateful network hands from one training batch to the next."""


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
    **options: Any,
) -> Model:
    """A recurrent network: floats [B, T, num_inputs] or ids [B, T] -> [B, num_outputs] or [B, T, num_outputs].

    Inputs are floats, `Masked(values, mask)` where the sequences differ in length, or token ids if `num_tokens` is
    given. Parts, unless bidirectional: "initial", the inputs of B rows to their zero carry; "step", (carry, inputs
    of one step [B, num_inputs] or [B]) to (carry, outputs [B, num_outputs]).

    Args:
      num_inputs: numbers in a step; of tokens, the width of their embedding.
      num_units: of each layer, and each way.
      cell: "simple" (Elman), "lstm" or "gru".
      bidirectional: read both ways.
      output: "last", after the last real step (both ways: after the last step of each); "all", for every step; "mean",
        of what the real steps yield.
      num_tokens: the inputs are ids in [0, num_tokens), which are embedded.
      padding: the id that is no step; None if all ids are steps.
      stateful: batch size, if each row of a training batch continues that row of the batch before, as in
        `dl.data.continued`: the carry is kept in the model's state, without gradient. In evaluation it starts from
        zero.
      options: `truncation`, `forget_bias`, `initializer` of `dlcore.nn.recurrent.Recurrent`; `dropout` between
        layers.

    Raises:
      ArgumentError: an unknown cell or output, a size that is not a positive integer, a bidirectional stateful network.
      DataError: on apply: inputs of another kind or shape, an id out of range or a row of padding only where the values
        are known.
    """
    check_name("output", output, OUTPUTS)
    check_positive_integer("num_outputs", num_outputs)
    if num_tokens is not None:
        check_positive_integer("num_tokens", num_tokens, "size of the vocabulary")
    if stateful is not None:
        check_positive_integer("stateful", stateful, "rows of each training batch")
    if stateful is not None and bidirectional:
        raise ArgumentError("a bidirectional network cannot be stateful: it reads from the end, which is yet to come.")

    class Network(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            stack = {"num_layers": num_layers, "bidirectional": bidirectional, **options}
            self.embedding = None if num_tokens is None else embedding(num_tokens, num_inputs, rngs=rngs)
            self.layers = RecurrentStack(cell, num_inputs, num_units, rngs=rngs, **stack)
            self.head = nnx.Linear(self.layers.num_outputs, num_outputs, rngs=rngs)
            self.kept = None if stateful is None else KeptCarry(self.layers.initial((stateful,), jnp.float32))
            self.deterministic = False

        def __call__(self, x):
            values, mask = self.checked(x)
            outputs, carry = self.layers(self.embedded(values), mask, self.kept_carry(values))
            if self.kept is not None and not self.deterministic:
                self.kept.set_value(lax.stop_gradient(carry))
            if output == "last":
                top = carry[-1] if bidirectional else (carry[-1],)
                outputs = jnp.concatenate([way[0] for way in top], axis=-1)
            elif output == "mean":
                outputs = (
                    outputs.mean(axis=1)
                    if mask is None
                    else outputs.sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)[:, None]
                )
            return self.head(outputs)

        def initial(self, x):
            values, _ = self.checked(x)
            return self.layers.initial(values.shape[:1], self.head.kernel.dtype)

        def step(self, x):
            carry, values = x
            carry, outputs = self.layers.step(carry, self.embedded(values))
            return carry, self.head(outputs)

        def embedded(self, values):
            return values if self.embedding is None else self.embedding(values)

        def kept_carry(self, values):
            if self.kept is None or self.deterministic:
                return None
            if len(values) != stateful:
                raise DataError(
                    f"recurrent: the training batch has {len(values)} rows, the carry kept has {stateful}; expects as "
                    f"many. Train with batch_size={stateful}."
                )
            return self.kept.get_value()

        def checked(self, x):
            if num_tokens is None:
                return _checked_floats(x, num_inputs)
            return _checked_ids(x, num_tokens, padding)

    model = from_nnx(Network, parts=() if bidirectional else ("initial", "step"))
    jax.eval_shape(model.init, jax.random.key(0))  # arguments of the layers are checked here, not when first used
    return model


def _checked_floats(x: Any, num_inputs: int) -> tuple[jax.Array, jax.Array | None]:
    """Values [B, T, num_inputs] and mask [B, T]."""
    values, mask = (x.values, x.mask) if isinstance(x, Masked) else (x, None)
    fits = getattr(values, "ndim", 0) == 3 and values.shape[-1] == num_inputs and values.shape[1] > 0
    if not fits or not jnp.issubdtype(values.dtype, jnp.floating):
        raise DataError(
            f"recurrent: inputs are {described(values)}; expects floats [B, T, {num_inputs}] with T of 1 or more, or "
            "Masked(values, mask). For token ids [B, T] build it with num_tokens=...; a single series [B, T] is "
            "x[..., None]."
        )
    return values, None if mask is None else checked_mask(mask, values.shape[:2], "recurrent")


def _checked_ids(x: Any, num_tokens: int, padding: int | None) -> tuple[jax.Array, jax.Array | None]:
    """Ids [B, T] and mask [B, T]."""
    ids, mask = (x.values, x.mask) if isinstance(x, Masked) else (x, None)
    if getattr(ids, "ndim", 0) != 2 or ids.shape[1] == 0 or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise DataError(
            f"recurrent: inputs are {described(ids)}; expects integer ids [B, T] in [0, {num_tokens}), with T of 1 or "
            "more. For floats [B, T, num_inputs] build it without num_tokens."
        )
    if not isinstance(ids, Tracer):
        wrong = (np.asarray(ids) < 0) | (np.asarray(ids) >= num_tokens)
        if wrong.any():
            row, step = np.argwhere(wrong)[0]
            raise DataError(
                f"recurrent: ids must lie in [0, {num_tokens}), found {int(ids[row, step])} at row {row}, step {step}. "
                "Widen num_tokens to the size of the vocabulary."
            )
    if mask is None and padding is not None:
        mask = ids != padding
    return ids, None if mask is None else checked_mask(mask, ids.shape, "recurrent")
