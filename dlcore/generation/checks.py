"""What generation needs of a model, checked while its arrays have values."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import array
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Model, ModelState, Params

NUMBERS = array()


def check_model(
    name: str, model: Model, params: Params, state: ModelState, *, parts: Sequence[str], as_of: str
) -> None:
    """Raise unless the model has these parts, and params and state are arrays of its shapes.

    Args:
      name: of the function, for the message.
      as_of: the models that have such parts.
    """
    if not set(parts) <= set(model.parts):
        raise ArgumentError(
            f"{name}: the model has the parts {', '.join(model.parts) or 'none'}; expects "
            f"{' and '.join(map(repr, parts))}, as {as_of} has them."
        )
    for what, given, wanted in zip(("params", "state"), (params, state), _shapes(model.init), strict=True):
        leaves, known = jax.tree.leaves(given), jax.tree.leaves(wanted)
        shapes = [None if NUMBERS.refuses(leaf) else np.shape(leaf) for leaf in leaves]
        if shapes != [leaf.shape for leaf in known]:
            raise DataError(
                f"{name}: {what} holds {described(given):.200}; expects what the model's init makes, "
                f"{described(wanted):.200}."
            )


@functools.lru_cache(maxsize=32)
def _shapes(init: Callable[[jax.Array], Any]) -> tuple[Any, Any]:
    """Of a model's params and state; tracing its init takes some milliseconds."""
    return jax.eval_shape(init, jax.random.key(0))
