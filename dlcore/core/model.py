"""`Model`: a network as two pure functions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import jax

from dlcore.core import description

Params = Any  # a pytree of arrays: what the optimizer changes
ModelState = Any  # a pytree of arrays: what the forward pass changes (running means); {} for most models


NEEDS_KEY = "this model draws random numbers in training (dropout, noise): pass key=jax.random.key(...)."


def called(inputs: Any, keywords: str) -> str:
    """How a model was called that failed, for the note below its error."""
    return f"dlcore called the model as apply(params, state, x, {keywords}), x being {description.arrays(inputs)}."


class Apply(Protocol):
    """The forward pass. `x` is [B, ...]; returns the output [B, ...] and the next model state."""

    def __call__(
        self, params: Params, state: ModelState, x: Any, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Any, ModelState]: ...


class Model(NamedTuple):
    """A network as a pair of pure functions; one signature for all.

    init: `init(key) -> (params, state)`; use the key for nothing else.
    apply: `apply(params, state, x, *, key=None, train=False) -> (output, state)`. Only in training are
      numbers drawn from `key` (dropout, noise) and batch statistics in `state` updated; evaluation reads them.
    parts: name to a model on the same params and state that computes a part or another function of the network, e.g.
      `autoencoder.parts["encode"].apply(params, state, x)`.

    Example:
      >>> def init(key):
      ...     return {"slope": jax.random.normal(key)}, {}
      >>> def apply(params, state, x, *, key=None, train=False):
      ...     return params["slope"] * x, state
      >>> model = dl.Model(init, apply)
      >>> params, state = model.init(jax.random.key(0))
      >>> output, state = model.apply(params, state, jnp.ones((2, 1)))
      >>> output.shape
      (2, 1)
    """

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    apply: Apply
    parts: Mapping[str, "Model"] = MappingProxyType({})

    def __repr__(self) -> str:
        return description.model(self).text()

    def _repr_html_(self) -> str:
        return description.model(self).html()
