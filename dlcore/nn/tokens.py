"""Token ids: their check and their embedding."""

from typing import Any

import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.arguments import array
from dlcore.core.errors import DataError, described

IDS = array("iu", ndim=2, text="integer ids [B, T]")


def embedding(num_tokens: int, num_features: int, *, rngs: nnx.Rngs) -> nnx.Embed:
    """Vectors of the tokens, [B, T] -> [B, T, num_features], in whatever precision the parameters have."""
    # nnx.Embed casts to the precision it was made in, so that a float64 model would compute in float32.
    return nnx.Embed(num_tokens, num_features, promote_dtype=lambda arrays, **_: arrays, rngs=rngs)


def checked_ids(ids: Any, num_tokens: int, name: str, advice: str = "") -> Any:
    """The ids [B, T] as they are.

    Args:
      num_tokens: ids lie below it.
      name: of the model and of the ids, in the plural, for the message.
      advice: what to do where they are of another kind.

    Raises:
      DataError: no integers [B, T], no step, an id out of range (where the values are known).
    """
    if not hasattr(ids, "dtype") or IDS.refuses(ids) or 0 in ids.shape:
        raise DataError(
            f"{name} are {described(ids)}; expects integer ids [B, T] in [0, {num_tokens}), at least one row "
            f"and one step.{advice}"
        )
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
