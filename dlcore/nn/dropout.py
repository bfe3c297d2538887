"""Dropout whose rate may be traced."""

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore.core.arguments import number

DROPOUT = number(0, 1, open_high=True)


# nnx.Dropout compares its rate with 0 and 1 in Python, which a traced rate does not allow.
class Dropout(nnx.Module):
    """In training, sets each number to zero with probability `rate` and divides the others by 1 - rate.

    Args:
      rate: in [0, 1); may be traced, so that a study can sweep it. A traced 1 drops all, with a derivative of 0; one
        outside of [0, 1] gives NaN.
    Reference: Srivastava et al., Dropout, JMLR 2014.
    """

    def __init__(self, rate: float | jax.Array, *, rngs: nnx.Rngs):
        rate = DROPOUT.check("Dropout: rate", rate)
        self.keep = lambda: 1 - rate  # in a closure: an array attribute would become part of the model's state
        self.deterministic = False
        self.rngs = rngs.dropout.fork()

    def __call__(self, x: jax.Array) -> jax.Array:
        """The same shape."""
        if self.deterministic:
            return x
        keep = jnp.asarray(self.keep(), jnp.promote_types(x.dtype, jnp.float32))
        kept = jax.random.bernoulli(self.rngs(), keep, x.shape)
        possible = (keep >= 0) & (keep <= 1)
        # Not by 0: what is hidden then is x / 0, but not its derivative.
        scaled = x / jnp.where(keep > 0, keep, 1).astype(x.dtype)
        return jnp.where(possible, jnp.where(kept, scaled, jnp.zeros_like(x)), jnp.nan)
