"""Token ids: their check and their embedding."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from dlcore.core.arguments import array
from dlcore.core.errors import DataError, described

IDS = array("iu", ndim=2, text="integer ids [B, T]")


class Embedding(nnx.Embed):
    """Vectors of the tokens, integers [...] -> [..., features]; NaN where an id is no token.

    In whatever precision the parameters have: nnx.Embed casts to the one it was made in, so that a float64 model would
    compute in float32. It also counts negative ids from the end, and of a single token takes any id for it.
    """

    def __call__(self, inputs: jax.Array) -> jax.Array:
        ids = inputs if inputs.dtype.itemsize >= 4 else inputs.astype(jnp.int32)  # 8 bits do not hold num_embeddings
        outside = (ids < 0) | (ids >= self.num_embeddings)
        rows = jnp.where(outside, self.num_embeddings, ids).astype(jnp.int32)
        return jnp.take(self.embedding[...], rows, axis=0, mode="fill", fill_value=jnp.nan)


def checked_ids(ids: Any, num_tokens: int, name: str, advice: str = "") -> Any:
    """The ids [B, T] as an array; int32 where they are known.

    Args:
      num_tokens: ids lie below it.
      name: of the model and of the ids, in the plural, for the message.
      advice: what to do where they are of another kind.

    Raises:
      DataError: no integers [B, T], no step, an id out of range (where the values are known).
    """
    if isinstance(ids, tuple | dict) or IDS.refuses(ids) or 0 in (found := IDS.accept(ids)).shape:
        raise DataError(
            f"{name} are {described(ids)}; expects integer ids [B, T] in [0, {num_tokens}), at least one row "
            f"and one step.{advice}"
        )
    if isinstance(found, Tracer):
        return found
    values = np.asarray(found)
    wrong = (values < 0) | (values >= num_tokens)
    if wrong.any():
        row, step = (int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"{name} hold {values[row, step]} at row {row}, step {step}; expects ids in [0, {num_tokens}), the "
            "number of tokens the model was made for."
        )
    return found.astype(np.int32)
