"""One step of each recurrent network, without the matrix products that all steps have in common."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

Carry = tuple[jax.Array, ...]  # (h,), or (h, c) of an LSTM; [B, num_units] each


class Cell(NamedTuple):
    """One step of a recurrent network, without its matrix products.

    gates: blocks of num_units columns in the kernels, in PyTorch's order.
    biases: those of the bias: what `joined` yields.
    num_carried: arrays in the carry; the first is the output.
    joined: (input times its kernel, h times its kernel) to what the step computes with, but for the bias.
    parted: cotangent of `joined` to those of its two arguments.
    advance: (values, carry, inner) to the next carry; inner: weights of the step itself, None if it has none.
    values: `joined` to what `advance` computes with: the gates behind their activations where they see nothing else.
    chained: (values, their cotangents) to the cotangent of `joined`. Values are kept for it, so that no exponential is
      computed twice.
    num_inner: the last blocks of the recurrent kernel that are `inner`, not multiplied by h.
    num_peepholes: vectors [num_units] that are `inner`.
    inner_gradient: (values [T, B, .], carries before [T, B, .], cotangents of joined, inner) to the gradient of inner.
    """

    gates: str
    biases: str
    num_carried: int
    joined: Callable[[jax.Array, jax.Array], jax.Array]
    parted: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    advance: Callable[[Any, Carry, Any], Carry]
    num_inner: int = 0
    num_peepholes: int = 0
    inner_gradient: Callable[[Any, Carry, jax.Array, Any], jax.Array | None] = lambda *_: None
    values: Callable[[jax.Array], Any] = lambda joined: joined
    chained: Callable[[Any, Any], jax.Array] = lambda values, cotangents: cotangents


def rows(steps: jax.Array) -> jax.Array:
    """[T, B, n] to [T * B, n]."""
    return steps.reshape(-1, steps.shape[-1])


def _simple(h: jax.Array, carry: Carry, _: None) -> Carry:
    return (h,)


def _through_tanh(value: jax.Array, cotangent: jax.Array) -> jax.Array:
    return cotangent * (1 - value) * (1 + value)


def _through_sigmoid(value: jax.Array, cotangent: jax.Array) -> jax.Array:
    return cotangent * value * (1 - value)


def _lstm_gates(joined: jax.Array) -> tuple[jax.Array, ...]:
    i, f, g, o = jnp.split(joined, 4, axis=-1)
    return nnx.sigmoid(i), nnx.sigmoid(f), jnp.tanh(g), nnx.sigmoid(o)


def _lstm_chained(gates: tuple[jax.Array, ...], cotangents: tuple[jax.Array, ...]) -> jax.Array:
    through = (_through_sigmoid, _through_sigmoid, _through_tanh, _through_sigmoid)
    return jnp.concatenate([each(*pair) for each, *pair in zip(through, gates, cotangents, strict=True)], axis=-1)


def _lstm(gates: tuple[jax.Array, ...], carry: Carry, _: None) -> Carry:
    i, f, g, o = gates
    c = f * carry[1] + i * g
    return o * jnp.tanh(c), c


def _peephole(joined: jax.Array, carry: Carry, peepholes: jax.Array) -> Carry:
    _, _, _, o = jnp.split(joined, 4, axis=-1)
    c = _peephole_state(joined, carry, peepholes)
    return nnx.sigmoid(o + _seen(peepholes, 2, c)) * jnp.tanh(c), c


def _peephole_state(joined: jax.Array, carry: Carry, peepholes: jax.Array) -> jax.Array:
    i, f, g, _ = jnp.split(joined, 4, axis=-1)
    i, f = (gate + _seen(peepholes, place, carry[1]) for place, gate in enumerate((i, f)))
    return nnx.sigmoid(f) * carry[1] + nnx.sigmoid(i) * jnp.tanh(g)


def _seen(peepholes: jax.Array, place: int, c: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.split(peepholes, 3)[place], c.shape) * c


def _peephole_gradient(joined: jax.Array, carries: Carry, d_joined: jax.Array, peepholes: jax.Array) -> jax.Array:
    d_i, d_f, _, d_o = jnp.split(d_joined, 4, axis=-1)
    after = _peephole_state(joined, carries, peepholes)
    seen = jnp.concatenate([d_i * carries[1], d_f * carries[1], d_o * after], axis=-1)
    return jnp.ones(len(rows(seen)), seen.dtype) @ rows(seen)


def _gru(joined: jax.Array, carry: Carry, _: None) -> Carry:
    r, z, n, recurrent_n = jnp.split(joined, 4, axis=-1)
    z, n = nnx.sigmoid(z), jnp.tanh(n + nnx.sigmoid(r) * recurrent_n)
    return (n + z * (carry[0] - n),)


def _gru_joined(projected: jax.Array, recurrent: jax.Array) -> jax.Array:
    both = 2 * (projected.shape[-1] // 3)  # r and z add up; of n the recurrent part is reset first
    added = projected[..., :both] + recurrent[..., :both]
    return jnp.concatenate([added, projected[..., both:], recurrent[..., both:]], axis=-1)


def _gru_parted(joined: jax.Array) -> tuple[jax.Array, jax.Array]:
    both, projected = joined.shape[-1] // 2, 3 * (joined.shape[-1] // 4)
    recurrent = jnp.concatenate([joined[..., :both], joined[..., projected:]], axis=-1)
    return joined[..., :projected], recurrent


def _reset_before(joined: jax.Array, carry: Carry, kernel: jax.Array) -> Carry:
    r, z, n = jnp.split(joined, 3, axis=-1)
    z, n = nnx.sigmoid(z), jnp.tanh(n + (nnx.sigmoid(r) * carry[0]) @ kernel)
    return (n + z * (carry[0] - n),)


def _reset_before_joined(projected: jax.Array, recurrent: jax.Array) -> jax.Array:
    both = recurrent.shape[-1]
    return jnp.concatenate([projected[..., :both] + recurrent, projected[..., both:]], axis=-1)


def _reset_before_parted(joined: jax.Array) -> tuple[jax.Array, jax.Array]:
    return joined, joined[..., : 2 * (joined.shape[-1] // 3)]


def _reset_before_gradient(joined: jax.Array, carries: Carry, d_joined: jax.Array, kernel: jax.Array) -> jax.Array:
    reset = nnx.sigmoid(jnp.split(joined, 3, axis=-1)[0]) * carries[0]
    return rows(reset).T @ rows(jnp.split(d_joined, 3, axis=-1)[2])


CELLS = {
    "simple": Cell(
        "h", "h", 1, jnp.add, lambda joined: (joined, joined), _simple, values=jnp.tanh, chained=_through_tanh
    ),
    "lstm": Cell(
        "ifgo", "ifgo", 2, jnp.add, lambda joined: (joined, joined), _lstm, values=_lstm_gates, chained=_lstm_chained
    ),
    "lstm_peephole": Cell(
        "ifgo",
        "ifgo",
        2,
        jnp.add,
        lambda joined: (joined, joined),
        _peephole,
        num_peepholes=3,
        inner_gradient=_peephole_gradient,
    ),
    "gru": Cell("rzn", "rznm", 1, _gru_joined, _gru_parted, _gru),
    "gru_reset_before": Cell(
        "rzn",
        "rzn",
        1,
        _reset_before_joined,
        _reset_before_parted,
        _reset_before,
        num_inner=1,
        inner_gradient=_reset_before_gradient,
    ),
}
