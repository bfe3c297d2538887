"""Recurrent layers of the cells in `cells`, one or a stack, either or both ways through a sequence."""

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from dlcore.core.arguments import integer, one_of, result_of
from dlcore.core.errors import ArgumentError, described, shown
from dlcore.nn import initializers
from dlcore.nn.cells import CELLS, Carry, rows
from dlcore.nn.dropout import Dropout
from dlcore.nn.initializers import Initializer
from dlcore.nn.masked import shown_only

CELL = one_of(*CELLS)
NUM_UNITS = integer(1, 100_000)
NUM_LAYERS = integer(1, 1000)


# Flax has LSTMCell and GRUCell. They multiply each input by itself, and their weight gradient is added up step by
# step in the backward scan; here both are one product over all steps.
class Recurrent(nnx.Module):
    """One recurrent layer [B, T, num_inputs] -> [B, T, num_units].

    Weights are those of PyTorch, transposed: `input_kernel` [num_inputs, gates], `recurrent_kernel`
    [num_units, gates], gates in the order i, f, g, o (LSTM) and r, z, n (GRU). There is one `bias`: of PyTorch's two
    only the sum matters, so that a second would but double their learning rate. That of a GRU whose reset gate acts
    after the product has a fourth part, the second bias of n, which the reset gate acts on. An LSTM with peepholes has
    `peepholes` [3 * num_units], for i, f and o, zero at first.

    Args:
      cell: "simple" (Elman, tanh), "lstm", "lstm_peephole" (its gates see the cell state too, i and f that before
        the step, o that after it), "gru" (the reset gate acts after the product, as in cuDNN and PyTorch) or
        "gru_reset_before" (before it, as Cho et al. have it: n = tanh(W x + U (r * h) + b)).
      num_inputs: numbers in a step.
      num_units: numbers in the state.
      rngs: of the weights.
      reverse: from the last step to the first; the output of a step then knows those after it.
      truncation: the gradient flows through the carry within blocks of so many steps only; None for no limit.
      forget_bias: of an LSTM, at first. Other biases start at zero.
      initializer: of the input kernel, all gates in one. The recurrent kernel is orthogonal, each gate by itself.

    Differentiable in reverse mode any number of times, and forward over reverse; not in forward mode alone.
    Reference: Hochreiter and Schmidhuber 1997; Gers and Schmidhuber 2000 for peepholes; Cho et al. 2014; Jozefowicz et
      al. 2015 for the forget bias.
    """

    def __init__(
        self,
        cell: str,
        num_inputs: int,
        num_units: int,
        *,
        rngs: nnx.Rngs,
        reverse: bool = False,
        truncation: int | None = None,
        forget_bias: float | jax.Array = 1.0,
        initializer: str | Initializer = "lecun_normal",
    ):
        self.cell, self.num_units, self.in_features = cell, num_units, num_inputs
        self.reverse, self.truncation = reverse, truncation
        rule = CELLS[cell]
        shape = (num_inputs, len(rule.gates) * num_units)
        drawn = result_of("initializer", initializers.by_name(initializer), rngs.params(), shape, jnp.float32)
        if getattr(drawn, "shape", None) != shape:
            raise ArgumentError(
                f"initializer is {shown(initializer)}; it gives {described(drawn)} for the shape {list(shape)}."
            )
        self.input_kernel = nnx.Param(drawn)
        # All gates by one draw: XLA takes a second to compile one.
        vectors = jax.random.normal(rngs.params(), (len(rule.gates), num_units, num_units), jnp.float32)
        blocks = jax.vmap(initializers.reflected)(vectors)
        self.recurrent_kernel = nnx.Param(blocks.swapaxes(0, 1).reshape(num_units, -1))
        start = [forget_bias if gate == "f" else 0.0 for gate in rule.biases]
        self.bias = nnx.Param(jnp.repeat(jnp.asarray(start, jnp.float32), num_units))
        self.peepholes = (
            nnx.Param(jnp.zeros(rule.num_peepholes * num_units, jnp.float32)) if rule.num_peepholes else None
        )

    def initial(self, batch_shape: tuple[int, ...], dtype: Any = float) -> Carry:
        """Zeros [*batch_shape, num_units]: (h,), or (h, c) of an LSTM."""
        return tuple(jnp.zeros((*batch_shape, self.num_units), dtype) for _ in range(CELLS[self.cell].num_carried))

    def step(self, carry: Carry, x: jax.Array) -> tuple[Carry, jax.Array]:
        """One step: carry and x [B, num_inputs] to the next carry and output [B, num_units]."""
        rule = CELLS[self.cell]
        kernel, inner = self._weights()
        joined = rule.joined(x @ self.input_kernel[...], carry[0] @ kernel)
        carry = rule.advance(rule.values(_plus(joined, self.bias[...])), carry, inner)
        return carry, carry[0]

    def _weights(self) -> tuple[jax.Array, jax.Array | None]:
        """What h is multiplied by before a step, and what the step itself computes with."""
        kernel, num_inner = self.recurrent_kernel[...], CELLS[self.cell].num_inner * self.num_units
        if num_inner:
            return kernel[:, :-num_inner], kernel[:, -num_inner:]
        return kernel, None if self.peepholes is None else self.peepholes[...]

    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, carry: Carry | None = None
    ) -> tuple[jax.Array, Carry]:
        """All steps.

        Args:
          x: [B, T, num_inputs].
          mask: bool [B, T]; a step that is not there leaves the carry as it was and gives 0. All by default.
          carry: to start from; `initial` by default.

        Returns:
          (outputs [B, T, num_units], the carry after the last step).
        """
        x = x if mask is None else shown_only(x, mask)
        input_kernel = self.input_kernel[...]
        x = jnp.asarray(x)
        x = x.astype(jnp.promote_types(x.dtype, input_kernel.dtype))
        if carry is None:
            carry = self.initial(x.shape[:1], x.dtype)
        mask = None if mask is None else mask.swapaxes(0, 1)
        arguments = x.swapaxes(0, 1), input_kernel, *self._weights(), self.bias[...], carry, mask
        unrolled = _unrolled(self.cell, self.reverse, self.truncation, *arguments)
        outputs, last = cast(tuple[jax.Array, Carry], unrolled)
        return outputs.swapaxes(0, 1), last


class RecurrentStack(nnx.Module):
    """Recurrent layers on top of each other: [B, T, num_inputs] -> [B, T, num_units], or twice that both ways.

    Args:
      cell, num_units: of every layer; further options as in `Recurrent`.
      num_inputs: numbers in a step, of the first layer.
      num_layers: how many layers.
      rngs: of the weights.
      bidirectional: each layer reads both ways and hands both outputs on, side by side.
      dropout: share of the outputs of each layer but the last that is dropped in training; may be traced.
    """

    def __init__(
        self,
        cell: str,
        num_inputs: int,
        num_units: int,
        num_layers: int = 1,
        *,
        rngs: nnx.Rngs,
        bidirectional: bool = False,
        dropout: float | jax.Array = 0.0,
        **options: Any,
    ):
        self.bidirectional = bidirectional
        self.num_outputs = num_units * (1 + bidirectional)
        widths = [num_inputs] + [self.num_outputs] * (num_layers - 1)

        def layers(reverse: bool) -> nnx.List:
            return nnx.List(Recurrent(cell, n, num_units, rngs=rngs, reverse=reverse, **options) for n in widths)

        self.layers = layers(reverse=False)
        self.backward = layers(reverse=True) if bidirectional else nnx.List([])
        dropped = num_layers > 1 and not (isinstance(dropout, int | float) and dropout == 0)
        self.dropout = Dropout(dropout, rngs=rngs) if dropped else None

    def initial(self, batch_shape: tuple[int, ...], dtype: Any = float) -> tuple[Any, ...]:
        """Zeros: the carry of each layer; both ways, the pair of those of each layer."""
        carries = [layer.initial(batch_shape, dtype) for layer in self.layers]
        if not self.bidirectional:
            return tuple(carries)
        return tuple(zip(carries, [layer.initial(batch_shape, dtype) for layer in self.backward], strict=True))

    def step(self, carry: tuple[Any, ...], x: jax.Array) -> tuple[tuple[Any, ...], jax.Array]:
        """One step of all layers: carry and x [B, num_inputs] to the next carry and output [B, num_units]."""
        if self.bidirectional:
            raise TypeError("a bidirectional network has no single step: its outputs depend on all steps to come.")
        carries = []
        for layer, before in zip(self.layers, carry, strict=True):
            after, x = layer.step(before, self._dropped(x) if carries else x)
            carries.append(after)
        return tuple(carries), x

    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, carry: tuple[Any, ...] | None = None
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        """All steps, as in `Recurrent`; the carry has an entry for each layer."""
        carries = []
        for i, layer in enumerate(self.layers):
            before = None if carry is None else carry[i]
            x = self._dropped(x) if i else x
            if self.bidirectional:
                forward, backward = (None, None) if before is None else before
                (left, after), (right, other) = layer(x, mask, forward), self.backward[i](x, mask, backward)
                x, after = jnp.concatenate([left, right], axis=-1), (after, other)
            else:
                x, after = layer(x, mask, before)
            carries.append(after)
        return x, tuple(carries)

    def _dropped(self, x: jax.Array) -> jax.Array:
        return x if self.dropout is None else self.dropout(x)


# JAX's own transposition of the scan would add a [num_units, gates] array to the gradient of the recurrent kernel in
# every step. The backward scan below yields only the gradients of the gates; one product makes each kernel's of them.
@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _unrolled(
    cell: str,
    reverse: bool,
    truncation: int | None,
    x: jax.Array,
    input_kernel: jax.Array,
    kernel: jax.Array,
    inner: jax.Array | None,
    bias: jax.Array,
    carry: Carry,
    mask: jax.Array | None,
) -> tuple[jax.Array, Carry]:
    """Outputs [T, B, num_units] and last carry.

    Args:
      x: [T, B, num_inputs]. mask: [T, B]. inner: weights of the step itself.
    """
    return _unrolled_forward(cell, reverse, truncation, x, input_kernel, kernel, inner, bias, carry, mask)[0]


def _unrolled_forward(cell, reverse, truncation, x, input_kernel, kernel, inner, bias, carry, mask):
    rule = CELLS[cell]
    # As one matrix: of a [T, B, ...] product XLA would transpose the operands of the gradient in memory.
    projected = (rows(x) @ input_kernel).reshape(*x.shape[:2], -1)

    def step(before, inputs):
        projected, there = inputs
        values = rule.values(_plus(rule.joined(projected, before[0] @ kernel), bias))
        after = rule.advance(values, before, inner)
        output = after[0]
        if there is not None:
            after = _where(there, after, before)
            output = _where(there, output, jnp.zeros_like(output))
        return after, (output, values, before)

    last, (outputs, values, befores) = lax.scan(step, carry, (projected, mask), reverse=reverse)
    return (outputs, last), (x, input_kernel, values, befores, kernel, inner, mask)


def _unrolled_backward(cell, reverse, truncation, saved, cotangents):
    rule = CELLS[cell]
    x, input_kernel, values, befores, kernel, inner, mask = saved
    num_steps = x.shape[0]
    d_outputs, d_last = cotangents
    cut = None
    if truncation is not None:
        position = jnp.arange(num_steps)
        position = num_steps - 1 - position if reverse else position
        cut = (position % truncation == 0) & (position > 0)

    transposed = lax.optimization_barrier(kernel.T)  # in memory once, not in the product of each step

    def step(d_after, inputs):
        values, before, d_output, there, cut = inputs
        d_after_step = (d_after[0] + d_output, *d_after[1:])
        if there is not None:
            d_after_step = _where(there, d_after_step, jax.tree.map(jnp.zeros_like, d_after_step))
        _, pull = jax.vjp(lambda values, before: rule.advance(values, before, inner), values, before)
        d_values, d_before = pull(d_after_step)
        d_joined = rule.chained(values, d_values)
        _, d_recurrent = rule.parted(d_joined)
        d_before = (d_before[0] + d_recurrent @ transposed, *d_before[1:])
        if there is not None:
            d_before = _where(there, d_before, d_after)
        if cut is not None:
            d_before = jax.tree.map(lambda leaf: jnp.where(cut, jnp.zeros_like(leaf), leaf), d_before)
        return d_before, d_joined

    inputs = (values, befores, d_outputs, mask, cut)
    d_first, d_joined = lax.scan(step, d_last, inputs, reverse=not reverse)
    d_projected, d_recurrent = rule.parted(d_joined)
    d_x = (rows(d_projected) @ input_kernel.T).reshape(x.shape)
    d_input_kernel = _gradient(x, d_projected)
    d_kernel = _gradient(befores[0], d_recurrent)
    # A product with ones: XLA's sum over the rows takes several times as long.
    d_bias = jnp.ones(d_joined.shape[0] * d_joined.shape[1], d_joined.dtype) @ rows(d_joined)
    d_inner = rule.inner_gradient(values, befores, d_joined, inner)
    return d_x, d_input_kernel, d_kernel, d_inner, d_bias, d_first, None


_unrolled.defvjp(_unrolled_forward, _unrolled_backward)


def _gradient(x: jax.Array, cotangent: jax.Array) -> jax.Array:
    """That of a kernel that x [T, B, n] is multiplied by.

    x is transposed in memory: XLA's library takes no product of columns, and its other products are slower.
    """
    return lax.optimization_barrier(rows(x).T) @ rows(cotangent)


def _plus(joined: jax.Array, bias: jax.Array) -> jax.Array:
    return joined + jnp.broadcast_to(bias, joined.shape)


def _where(there: jax.Array, new: Any, old: Any) -> Any:
    """`new` in the rows [B] that are there, `old` in the others."""
    return jax.tree.map(lambda a, b: jnp.where(there[:, None], a, b), new, old)
