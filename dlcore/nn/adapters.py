"""Adapters: Flax modules as pure models."""

import functools
import inspect
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.errors import InvalidRngError

from dlcore.core.errors import ArgumentError, DataError, DlcoreError, described
from dlcore.core.model import NEEDS_KEY, Model
from dlcore.nn.observation import failing_layer, watched, within


def from_nnx(build: Callable[[nnx.Rngs], nnx.Module], *, parts: Sequence[str] = ()) -> Model:
    """Make a pure `Model` of a Flax NNX module.

    Args:
      build: `build(rngs) -> module`, with `module(x)` the forward pass. What it builds must not depend on random
        values except through the module's arrays. `nnx.Param`s become `params`, all else but random streams `state`.
      parts: further methods of the module, of one argument each (any pytree); each becomes a part of the model.

    Raises:
      DataError: on apply, where a layer does not fit its inputs; the message names the layer.

    Example:
      >>> from flax import nnx
      >>> model = from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
      >>> params, state = model.init(jax.random.key(0))
      >>> params["kernel"].shape
      (4, 2)
    """

    def split(module: nnx.Module) -> Any:
        return nnx.split(module, nnx.Param, nnx.RngState, ...)

    @functools.cache
    def template():
        # Shapes only, and made once: the graph definition is static and the same for every key.
        return split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))

    def init(key):
        _, params, _, state = split(build(nnx.Rngs(key)))
        return nnx.to_pure_dict(params), nnx.to_pure_dict(state)

    def apply(params, state, x, *, key=None, train=False, method="__call__"):
        graphdef, params_template, streams, state_template = template()
        if train and key is None and jax.tree.leaves(streams):
            raise ArgumentError(NEEDS_KEY)
        filled = [_filled(params_template, params), _streams(streams, key), _filled(state_template, state)]

        def merged():
            module = nnx.merge(graphdef, *filled, copy=True)
            module.train() if train else module.eval()
            return module

        module = merged()
        try:
            with watched(module):
                output = getattr(module, method)(x)
        except (TypeError, ValueError) as error:
            if isinstance(error, DlcoreError):
                raise
            raise _named(error, merged(), method, x) from error
        return output, nnx.to_pure_dict(split(module)[3])

    named = {part: Model(init, functools.partial(apply, method=part)) for part in parts}
    return Model(init, apply, MappingProxyType(named))


def _named(error: Exception, module: nnx.Module, method: str, x: Any) -> Exception:
    """The error with the name of the layer it comes from; itself, if it comes from none."""
    found = failing_layer(module, lambda: getattr(module, method)(x))
    if found is None:
        return error
    path, layer, inputs = found
    width = getattr(layer, "in_features", None)
    fits = width is None or any(leaf.shape[-1:] == (width,) for leaf in jax.tree.leaves(inputs))
    expected = "" if fits else f"; expects {width} features last"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"layer {path} ({type(layer).__name__}): inputs are {described(inputs)}{expected}. {reason}")


def _filled(template: nnx.State, values: Any) -> nnx.State:
    """The NNX state `template` holding the arrays of the plain tree `values`."""
    return jax.tree.unflatten(jax.tree.structure(template), jax.tree.leaves(values))


def _streams(template: nnx.State, key: jax.Array | None) -> nnx.State:
    """Random streams started afresh from `key`, a different one for each layer that draws."""
    leaves, structure = jax.tree.flatten(template)
    root = jax.random.key(0) if key is None else key  # without a key nothing draws: apply() has made sure
    fresh = [
        jax.random.fold_in(root, i)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.zeros(leaf.shape, leaf.dtype)
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, fresh)


def inside(path: str, model: "Model") -> "Model":
    """A model that is a part of a larger one: `summary` shows its layers under `path`, where its params stand."""

    def apply(params, state, x, *, key=None, train=False):
        with within(path):
            return model.apply(params, state, x, key=key, train=train)

    return model._replace(apply=apply)


def from_linen(module: linen.Module, example_inputs: Any) -> Model:
    """Make a pure `Model` of a Flax Linen module.

    Args:
      module: its `__call__` takes the inputs and, if it behaves differently in training, one of the keyword arguments
        `train`, `training` or `deterministic`.
      example_inputs: an array [B, ...] or shape-dtype struct like the inputs to come; only shape and dtype are used.
    """
    names = inspect.signature(type(module).__call__).parameters

    def mode(train: bool) -> dict[str, Any]:
        switches = {"train": train, "training": train, "deterministic": not train}
        return {name: value for name, value in switches.items() if name in names}

    def init(key):
        inputs = jnp.zeros(example_inputs.shape, example_inputs.dtype)
        variables = dict(module.init(key, inputs, **mode(train=False)))
        return variables.pop("params", {}), variables

    def apply(params, state, x, *, key=None, train=False):
        rngs = {} if key is None else {"dropout": key}
        variables = {"params": params, **state}
        if not train:
            return module.apply(variables, x, rngs=rngs, **mode(train)), state
        try:
            output, changed = module.apply(variables, x, rngs=rngs, mutable=list(state), **mode(train))
        except InvalidRngError as error:
            raise ArgumentError(NEEDS_KEY) from error
        return output, {**state, **changed}

    return Model(init, apply)
