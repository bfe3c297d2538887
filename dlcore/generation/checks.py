"""What generation needs of a model, checked while its arrays have values."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import array
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Model, ModelState, Params
from dlcore.nn.inputs import entered

NUMBERS = array()


def check_model(
    name: str, model: Model, params: Params, state: ModelState, *, parts: Sequence[str], as_of: str
) -> tuple[Params, ModelState]:
    """Params and state; raises unless the model has these parts, and they are arrays as its init makes them.

    Args:
      name: of the function, for the message.
      as_of: the models that have such parts.
    """
    if not set(parts) <= set(model.parts):
        raise ArgumentError(
            f"{name}: the model has the parts {', '.join(model.parts) or 'none'}; expects "
            f"{' and '.join(map(repr, parts))}, as {as_of} has them."
        )
    params, state = entered(params, f"{name}: params"), entered(state, f"{name}: state")
    for what, given, wanted in zip(("params", "state"), (params, state), _shapes(model.init), strict=True):
        leaves, known = jax.tree.leaves(given), jax.tree.leaves(wanted)
        found = [None if NUMBERS.refuses(leaf) else (np.shape(leaf), _is_float(leaf)) for leaf in leaves]
        if found != [(leaf.shape, _is_float(leaf)) for leaf in known]:
            raise DataError(
                f"{name}: {what} holds {described(given):.200}; expects what the model's init makes, "
                f"{described(wanted):.200}."
            )
    return params, state


def is_distribution(logits: jax.Array) -> jax.Array:
    """Whether logits [..., K] make probabilities: no NaN or inf, and not all -inf."""
    return jnp.all(jnp.isfinite(logits.max(axis=-1)))


def check_known(name: str, known: jax.Array, what: str = "logits that are NaN or inf, or all -inf in a row") -> None:
    """Raise `DataError` unless all that was predicted makes sense, where that is known. what: the model gives else."""
    if not isinstance(known, Tracer) and not bool(known):
        raise DataError(
            f"{name}: the model gives {what}; expects numbers, some of them finite. Look at the parameters: those of a "
            "run that has diverged are NaN."
        )


def _is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


@functools.lru_cache(maxsize=32)
def _shapes(init: Callable[[jax.Array], Any]) -> tuple[Any, Any]:
    """Of a model's params and state; tracing its init takes some milliseconds."""
    return jax.eval_shape(init, jax.random.key(0))
