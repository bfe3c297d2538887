"""Which examples each step sees: a pure function of a key and the step number."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, described, shown

Sampling = Literal["reshuffle", "shuffle_once", "in_order", "with_replacement", "balanced"]
SAMPLINGS = ("reshuffle", "shuffle_once", "in_order", "with_replacement", "balanced")

ROUNDS = 24  # an element stays unmoved with probability 2^-24


class Weighted(NamedTuple):
    """Sampling with replacement, each row in proportion to its weight.

    thresholds: row i is drawn by the 32 random bits from thresholds[i - 1] up to thresholds[i], uint32 [N].
    last: the last row that has a weight.
    """

    thresholds: np.ndarray
    last: int


def batch_rows(
    key: jax.Array,
    step: jax.Array,
    num_steps: int,
    num_examples: int,
    batch_size: int,
    sampling: Any,
    alignment: int | None = None,
) -> jax.Array:
    """Rows of the examples in the batches of steps `step` to `step + num_steps - 1`: [num_steps, batch_size].

    A function of the key and the step alone, so that a run can be taken up anywhere.

    Args:
      step: first step; a multiple of `alignment`; may be traced.
      sampling: from `sampling_of`. Without replacement an epoch has `num_examples // batch_size` steps.
      alignment: `num_steps` by default.
    """
    if draw := _drawing(sampling, num_examples):
        return jax.vmap(lambda i: draw(jax.random.fold_in(key, step + i), batch_size))(jnp.arange(num_steps))

    steps_per_epoch = num_examples // batch_size
    # The steps asked for start at a multiple of the greatest common divisor, so they touch no more epochs than this.
    slack = steps_per_epoch - math.gcd(alignment or num_steps, steps_per_epoch)
    num_epochs = (slack + num_steps - 1) // steps_per_epoch + 1
    epochs = step // steps_per_epoch + jnp.arange(num_epochs)
    orders = jax.vmap(lambda epoch: _order(key, epoch, num_examples, sampling))(epochs)
    batches = orders[:, : steps_per_epoch * batch_size].reshape(-1, batch_size)
    return lax.dynamic_slice_in_dim(batches, step % steps_per_epoch, num_steps)


def whole_epoch_rows(
    key: jax.Array, step: jax.Array, num_examples: int, batch_size: int, sampling: Any
) -> tuple[jax.Array, jax.Array]:
    """Rows of the full batches of the epoch that begins at `step`, and of the smaller one after them: [n, B], [rest].

    Each such epoch has `num_examples // batch_size + 1` steps.
    """
    num_full, rest = divmod(num_examples, batch_size)
    if draw := _drawing(sampling, num_examples):
        full = jax.vmap(lambda i: draw(jax.random.fold_in(key, step + i), batch_size))(jnp.arange(num_full))
        return full, draw(jax.random.fold_in(key, step + num_full), rest)
    rows = _order(key, step // (num_full + 1), num_examples, sampling)
    return rows[: num_full * batch_size].reshape(num_full, batch_size), rows[num_full * batch_size :]


def sampling_of(sampling: Any, targets: Any, num_examples: int, *, full: bool = False) -> Any:
    """The argument `sampling` of a training, as `batch_rows` takes it.

    Args:
      sampling: one of `SAMPLINGS`, or weights [N], 0 or more, in any unit.
      full: whether steps take the whole split.
      targets: of the train split; "balanced" draws each of their classes, integers [N], equally often.

    Raises:
      ArgumentError: weights that are none, "balanced" without classes.
    """
    if isinstance(sampling, str) and sampling != "balanced":
        return sampling
    if full:
        raise ArgumentError(
            f'batch_size is "full", sampling is {shown(sampling)}; expects an order: a full batch draws nothing. Give '
            "the examples weights in the data set, or batch_size a number."
        )
    if isinstance(sampling, str):
        if isinstance(targets, Tracer) or getattr(targets, "ndim", 0) != 1 or targets.dtype.kind not in "iub":
            raise ArgumentError(
                f'sampling is "balanced", the targets are {described(targets)}; expects integer classes [N]. Give the '
                "weight of each row: sampling=weights."
            )
        _, classes, counts = np.unique(targets, return_inverse=True, return_counts=True)
        sampling = 1 / counts[classes]
    if isinstance(sampling, Tracer) or np.shape(sampling) != (num_examples,):
        raise ArgumentError(
            f"sampling is {described(sampling)}; expects one of {', '.join(map(repr, SAMPLINGS))}, or known weights "
            f"[{num_examples}], one for each row of the train split."
        )
    weights = np.asarray(sampling, np.float64)
    if not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise ArgumentError(
            f"sampling holds weights from {weights.min():g} to {weights.max():g}; expects finite ones, 0 or more, not "
            "all 0."
        )
    shares = np.cumsum(weights / weights.max())
    shares /= shares[-1]
    thresholds = np.minimum(np.round(shares * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    return Weighted(thresholds, int(np.flatnonzero(weights)[-1]))


def _drawing(sampling: Any, num_examples: int) -> Callable[[jax.Array, int], jax.Array] | None:
    """`draw(key, n)`: n rows with replacement; None for orders without."""
    if isinstance(sampling, Weighted):

        def draw(key, n):
            bits = jax.random.bits(key, (n,), jnp.uint32)
            found = jnp.searchsorted(jnp.asarray(sampling.thresholds), bits, side="right")
            return jnp.minimum(found, sampling.last).astype(jnp.int32)

        return draw
    if sampling == "with_replacement":
        return lambda key, n: jax.random.randint(key, (n,), 0, num_examples)
    return None


def _order(key: jax.Array, epoch: jax.Array, num_examples: int, sampling: str) -> jax.Array:
    """All rows in the order of an epoch, [num_examples]."""
    if sampling == "in_order":
        return jnp.arange(num_examples)
    return permutation(jax.random.fold_in(key, 0 if sampling == "shuffle_once" else epoch), num_examples)


def permutation(key: jax.Array, n: int) -> jax.Array:
    """A random order of 0 ... n-1, as int32 [n].

    `jax.random.permutation` sorts, which dominates small training steps under `vmap`; this swap-or-not network has no
    data-dependent access. Each round pairs x with (shift - x) mod n and swaps the pair on the toss of a hash.

    Reference: Hoang, Morris and Rogaway, An enciphering scheme based on a card shuffle, CRYPTO 2012.
    """
    bits = jax.random.bits(key, (ROUNDS, 2), jnp.uint32)

    def swap_or_not(x, round_bits):
        shift, salt = round_bits[0] % np.uint32(n), round_bits[1]
        partner = jnp.where(shift >= x, shift - x, shift + np.uint32(n) - x)
        toss = _hash(jnp.maximum(x, partner) ^ salt) >> 31
        return jnp.where(toss == 1, partner, x), None

    order, _ = lax.scan(swap_or_not, jnp.arange(n, dtype=jnp.uint32), bits)
    return order.astype(jnp.int32)


def _hash(x: jax.Array) -> jax.Array:
    """Mix the bits of a uint32; constants of Chris Wellons' lowbias32."""
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)
