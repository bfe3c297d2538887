"""Sequences of different lengths in one array, with the mask that tells which steps are there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import array
from dlcore.core.errors import DataError, described


class Masked(NamedTuple):
    """values [B, T, ...] and mask [B, T], True where there is a step; padding never changes a result.

    What the mask hides may be anything, NaN too: models see zeros there.

    Example:
      >>> values = jnp.array([[[1.0], [2.0], [0.0]]])
      >>> masked = dl.Masked(values, jnp.array([[True, True, False]]))  # two steps, and one of padding
      >>> model = dl.models.recurrent(1, 2, 3)
      >>> model.apply(*model.init(jax.random.key(0)), masked)[0].shape
      (1, 3)
    """

    values: Any
    mask: Any


VALUES = array(text="values [B, T, ...] of a dl.Masked, numbers")
MASK = array("biu", text="a mask [B, T] of Booleans, True where there is a step. Use mask != 0")


def checked_mask(mask: Any, shape: tuple[int, ...], name: str) -> jax.Array:
    """The mask as booleans [B, T].

    Args:
      shape: (B, T) that it has to have. name: of the model, for the message.

    Raises:
      DataError: another shape or not 0 and 1; a row without a single step, where the values are known.
    """
    mask = MASK.check(f"{name}: the mask", mask)
    if np.shape(mask) != shape:
        fix = " Use mask[..., 0]." if np.shape(mask) == (*shape, 1) else ""
        raise DataError(f"{name}: the mask is {list(np.shape(mask))}; expects {list(shape)}, like the sequences.{fix}")
    if not isinstance(mask, Tracer):
        known = np.asarray(mask)
        if known.dtype.kind != "b" and ((known != 0) & (known != 1)).any():
            raise DataError(f"{name}: the mask holds {known.max()}; expects 0 and 1, or Booleans. Use mask != 0.")
        empty = ~known.astype(bool).any(axis=1)
        if empty.any():
            raise DataError(
                f"{name}: the mask hides all steps of row {int(np.argmax(empty))}; expects at least one step in each "
                "row. Drop such rows."
            )
    return jnp.asarray(mask, bool)


def shown_only(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Values [B, T, ...] with zeros at the steps that the mask [B, T] hides.

    At the door, before anything is computed: 0 times the NaN of a derivative that was computed and then hidden is NaN.
    """
    return jnp.where(_spread(mask, values), values, jnp.zeros_like(values))


def checked_masked(sequences: Masked, name: str = "Masked") -> Masked:
    """Sequences whose mask is Booleans [B, T], and whose values are 0 where it hides them.

    Raises:
      DataError: values that are no numbers [B, T, ...]; a mask as for `checked_mask`.
    """
    values = VALUES.check(f"{name}: values", sequences.values)
    if values.ndim < 2:
        raise DataError(f"{name}: values are {described(values)}; expects [B, T, ...], one row for each sequence.")
    mask = checked_mask(sequences.mask, values.shape[:2], name)
    if isinstance(values, np.ndarray) and not isinstance(sequences.mask, Tracer):
        # NumPy arrays have values in a trace too, of which a model may refuse some.
        return Masked(np.where(_spread(np.asarray(sequences.mask, bool), values), values, values.dtype.type(0)), mask)
    return Masked(shown_only(jnp.asarray(values), mask), mask)


def _spread(mask: Any, values: Any) -> Any:
    """[B, T] with as many axes of length 1 behind as the values have more."""
    return mask.reshape(*mask.shape, *(1,) * (values.ndim - mask.ndim))
