"""Metrics of outputs that are NaN."""

from typing import Any

import jax
import jax.numpy as jnp


def nan_where_nan(outputs: Any, value: Any, where: Any = True) -> Any:
    """`value`, but NaN in all its arrays if the outputs hold NaN.

    A metric that compares or orders would make a number of them: the largest of logits that are NaN is that of class 0.

    Args:
      outputs: a tree of arrays. where: Booleans that broadcast to them; what is elsewhere does not count.
      value: a tree of floats.
    """
    is_nan = jnp.asarray([jnp.any(jnp.isnan(leaf) & where) for leaf in jax.tree.leaves(outputs)]).any()
    return jax.tree.map(lambda leaf: jnp.where(is_nan, jnp.nan, leaf), value)
