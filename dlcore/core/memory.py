"""The memory that a forward pass takes, by its trace."""

import contextlib
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, jaxprs_in_params

from dlcore.core.dataset import Split
from dlcore.core.task import Task

# By the function of the forward pass: a trace of it takes as long as all else of an evaluation.
_known: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()


def bytes_needed(task: Task, forward: Callable[[Split], Any], arguments: tuple[Any, Any, Any]) -> int:
    """Bytes of all that the forward pass makes; arguments: parameters, model state and rows that it gets."""
    known: dict[str, int] = {}
    with contextlib.suppress(TypeError):  # of a callable object that has no weak references
        known = _known.setdefault(task.forward, known)
    types = str(jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), arguments))
    if types not in known:
        known[types] = _bytes_made(jax.make_jaxpr(forward)(arguments[-1]).jaxpr)
    return known[types]


def _bytes_made(jaxpr: Jaxpr) -> int:
    """Bytes of all results of a program's operations; those of a loop's body count once: it reuses their memory."""
    made = 0
    for equation in jaxpr.eqns:
        inner = max(map(_bytes_made, jaxprs_in_params(equation.params)), default=0)
        made += inner or sum(_bytes(out.aval) for out in equation.outvars)
    return made


def _bytes(array: Any) -> int:
    return array.size * array.dtype.itemsize
