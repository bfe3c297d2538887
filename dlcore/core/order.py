"""Which examples each step sees: a pure function of a key and the step number."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Sampling = Literal["reshuffle", "shuffle_once", "in_order", "with_replacement"]
SAMPLINGS = ("reshuffle", "shuffle_once", "in_order", "with_replacement")

ROUNDS = 24  # an element stays unmoved with probability 2^-24


def batch_rows(
    key: jax.Array, step: jax.Array, num_steps: int, num_examples: int, batch_size: int, sampling: Sampling
) -> jax.Array:
    """Rows of the examples in the batches of steps `step` to `step + num_steps - 1`: [num_steps, batch_size].

    A function of the key and the step alone, so that a run can be taken up anywhere.

    Args:
      step: first step; a multiple of `num_steps`; may be traced.
      sampling: see `dlcore.training`. Without replacement an epoch has `num_examples // batch_size` steps.
    """
    if sampling == "with_replacement":
        keys = jax.vmap(lambda i: jax.random.fold_in(key, step + i))(jnp.arange(num_steps))
        return jax.vmap(lambda k: jax.random.randint(k, (batch_size,), 0, num_examples))(keys)

    steps_per_epoch = num_examples // batch_size
    # The steps asked for start at a multiple of the greatest common divisor, so it cannot touch more epochs than this.
    slack = steps_per_epoch - math.gcd(num_steps, steps_per_epoch)
    num_epochs = (slack + num_steps - 1) // steps_per_epoch + 1
    epochs = step // steps_per_epoch + jnp.arange(num_epochs)

    def order(epoch):
        if sampling == "in_order":
            return jnp.arange(num_examples)
        return permutation(jax.random.fold_in(key, 0 if sampling == "shuffle_once" else epoch), num_examples)

    batches = jax.vmap(order)(epochs)[:, : steps_per_epoch * batch_size].reshape(-1, batch_size)
    return lax.dynamic_slice_in_dim(batches, step % steps_per_epoch, num_steps)


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
