"""What became of a run: whether it trained, and how soon that was decided.

Reference: Sohl-Dickstein, The boundary of neural network trainability is fractal, 2024, arXiv:2402.06184, whose measure
this is.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

LAST = 20  # losses that are averaged at the end, over whatever they oscillate
LARGEST = 1e6  # in units of the first loss: from there on a run has diverged, whatever its numbers become


class Fate(NamedTuple):
    """What became of a run.

    trained: whether its last losses are below the first one on average. steps: of a run that trained, the sum of its
    losses in units of the first; of one that diverged, the sum of their inverses. Both count the steps at which it was
    not yet decided.
    """

    trained: jax.Array
    steps: jax.Array


def fate(losses: jax.Array) -> Fate:
    """The fate of a run, of its losses after 0, 1, 2, ... steps, [n].

    Losses that are no numbers, or larger than a million times the first, count as that: so nothing overflows.
    """
    relative = losses / losses[0]
    relative = jnp.where(relative < LARGEST, relative, LARGEST)  # NaN too
    trained = jnp.mean(relative[-LAST:]) < 1
    return Fate(trained, jnp.where(trained, jnp.sum(relative), jnp.sum(1 / jnp.maximum(relative, 1 / LARGEST))))
