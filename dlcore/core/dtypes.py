"""Floats: what is one, and those that are wide enough to compute in."""

from typing import Any

import jax
import jax.numpy as jnp


def is_float(dtype: Any) -> bool:
    """Whether numbers of this dtype are floats; NumPy does not count bfloat16 among them."""
    return bool(jnp.issubdtype(dtype, jnp.floating))


def in_single(x: Any) -> jax.Array:
    """Floats of float32 or finer, of any array of numbers: squares of halves soon overflow, those of integers wrap."""
    wide = jnp.issubdtype(x.dtype, jnp.complexfloating) or x.dtype == jnp.float64
    return jnp.asarray(x, jax.dtypes.canonicalize_dtype(x.dtype) if wide else jnp.float32)
