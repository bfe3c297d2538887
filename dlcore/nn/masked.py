"""Sequences of different lengths in one array, with the mask that tells which steps are there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.errors import DataError


class Masked(NamedTuple):
    """values [B, T, ...] and mask [B, T], True where there is a step; padding never changes a result."""

    values: Any
    mask: Any


def checked_mask(mask: Any, shape: tuple[int, ...], name: str) -> jax.Array:
    """The mask as booleans [B, T].

    Args:
      shape: (B, T) that it has to have. name: of the model, for the message.

    Raises:
      DataError: another shape or not 0 and 1; a row without a single step, where the values are known.
    """
    mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
    if np.shape(mask) != shape:
        raise DataError(f"{name}: the mask is {list(np.shape(mask))}; expects {list(shape)}, like the sequences.")
    if mask.dtype.kind not in "biu":
        raise DataError(f"{name}: the mask is {mask.dtype}; expects booleans, True where there is a step.")
    if not isinstance(mask, Tracer):
        empty = ~np.asarray(mask, bool).any(axis=1)
        if empty.any():
            raise DataError(
                f"{name}: the mask hides all steps of row {int(np.argmax(empty))}; expects at least one step in each "
                "row. Drop such rows."
            )
    return jnp.asarray(mask, bool)
