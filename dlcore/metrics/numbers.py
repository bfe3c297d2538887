"""Numbers as metrics take them: NumPy's stay NumPy's, as float64, and JAX's stay JAX's, as float32 or wider.

What NumPy gives is so computed as precisely as it was given, without compiling a program; rounding it to float32 first
would make ties, and lose what lies beside a large offset. Half precision and integers overflow in squares and areas.
"""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import Constraint, RefusedError, array
from dlcore.core.errors import DataError

# What is beyond the range is inf in NumPy as in JAX; functions below are decorated with it.
quiet = np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore")


def numbers(text: str, ndim: int | None = None) -> Constraint:
    """Real numbers of any dtype, as floats that are wide enough. text: shape and meaning, for the message."""
    given = array(ndim=ndim, text=text)
    return Constraint(text, lambda value: _wide(given.accept(value)), error=DataError)


def _wide(values: Any) -> Any:
    if not isinstance(values, jax.Array):
        lost = np.abs(values.astype(np.float64)) > 2**53 if values.dtype.kind in "iu" else np.zeros(1, bool)
        if lost.any():
            raise RefusedError(f"float64 does not hold all integers like {values[lost][0]}. Subtract the smallest.")
        return values.astype(np.float64)
    if jnp.issubdtype(values.dtype, jnp.floating) and values.dtype.itemsize >= 4:
        return values
    wide = values.astype(jnp.result_type(float))
    if values.dtype.itemsize >= 4 and not isinstance(values, Tracer):
        held = np.asarray(wide).astype(np.float64) == np.asarray(values)
        if not held.all():
            raise RefusedError(f"{wide.dtype} does not hold {np.asarray(values)[~held][0]}. Use np.asarray(...).")
    return wide


def namespace(*values: Any) -> ModuleType:
    """`numpy` if all arrays are NumPy's or Python's, else `jax.numpy`."""
    return jnp if any(isinstance(value, jax.Array) for value in values) else np


def alike(*values: Any) -> tuple[Any, ...]:
    """Arrays that are compared with each other, as NumPy's if one is and none is traced: JAX would round it."""
    if any(isinstance(value, Tracer) for value in values) or all(isinstance(value, jax.Array) for value in values):
        return values
    return tuple(np.asarray(value).astype(np.float64) for value in values)


def share(flags: Any) -> Any:
    """Share of Booleans that are true, []. Counted in integers: float32 counts no further than 2^24."""
    return flags.sum(dtype=int) / flags.size


OUTPUTS = numbers("numbers [B, ...]")
LOGITS = numbers("logits [..., num_classes]")
