"""Token ids: their check and their embedding."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.errors import DataError, described


def embedding(num_tokens: int, num_features: int, *, rngs: nnx.Rngs) -> nnx.Embed:
    """Vectors of the tokens, [B, T] -> [B, T, num_features], in whatever precision the parameters have."""
    # nnx.Embed casts to the precision it was made in, so that a float64 model would compute in float32.
    return nnx.Embed(num_tokens, num_features, promote_dtype=lambda arrays, **_: arrays, rngs=rngs)


def checked_ids(ids: Any, num_tokens: int, name: str) -> Any:
    """The ids [B, T] as they are.

    Args:
      name: of the model and of the ids, for the message.

    Raises:
      DataError: no integers [B, T], no step, an id out of range (where the values are known).
    """
    if getattr(ids, "ndim", 0) != 2 or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise DataError(f"{name} are {described(ids)}; expects integer ids [B, T], padded with 0.")
    if ids.shape[1] == 0:
        raise DataError(f"{name} are {described(ids)}; expects at least one step.")
    if not isinstance(ids, Tracer):
        values = np.asarray(ids)
        wrong = (values < 0) | (values >= num_tokens)
        if wrong.any():
            row, step = (int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"{name} hold {values[row, step]} at row {row}, step {step}; expects ids in [0, {num_tokens}), the "
                "number of tokens the model was made for."
            )
    return ids
