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

from dlcore.core.arguments import Constraint, arguments, array, function, instance, sequence, text
from dlcore.core.errors import ArgumentError, DataError, DlcoreError, described
from dlcore.core.model import NEEDS_KEY, Model
from dlcore.nn.observation import failing_layer, watched, within


class _Adapter:
    """The pure functions of what `build(rngs)` makes. A pickle leaves the template out: it is made again."""

    def __init__(self, build: Callable[[nnx.Rngs], nnx.Module]):
        self.build = build
        self.template: Any = None

    def __getstate__(self):
        return {"build": self.build, "template": None}

    def init(self, key):
        _, params, _, state = _split(self.build(nnx.Rngs(key)))
        return nnx.to_pure_dict(params), nnx.to_pure_dict(state)

    def apply(self, params, state, x, *, key=None, train=False, method="__call__"):
        if self.template is None:
            # Shapes only, and made once: the graph definition is static and the same for every key.
            self.template = _split(nnx.eval_shape(lambda: self.build(nnx.Rngs(0))))
        graphdef, params_template, streams, state_template = self.template
        if train and key is None and jax.tree.leaves(streams):
            raise ArgumentError(NEEDS_KEY)
        filled = [
            _filled("params", params_template, params),
            _streams(streams, key),
            _filled("state", state_template, state),
        ]

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
        return output, nnx.to_pure_dict(_split(module)[3])


@arguments(build=function, parts=sequence(text, text="names of methods"))
def from_nnx(build: Callable[[nnx.Rngs], nnx.Module], *, parts: Sequence[str] = ()) -> Model:
    """Make a pure `Model` of a Flax NNX module. cloudpickle can pickle it where it can pickle `build`.

    Args:
      build: `build(rngs) -> module`, with `module(x)` the forward pass. What it builds must not depend on random
        values except through the module's arrays. `nnx.Param`s become `params`, all else but random streams `state`.
      parts: further methods of the module, of one argument each (any pytree); each becomes a part of the model.

    Raises:
      DataError: on apply, where a layer does not fit its inputs (the message names the layer), and where params or
        state are those of another model.

    Example:
      >>> from flax import nnx
      >>> model = dl.from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
      >>> params, state = model.init(jax.random.key(0))
      >>> params["kernel"].shape
      (4, 2)
    """
    adapter = _Adapter(build)
    named = {part: Model(adapter.init, functools.partial(adapter.apply, method=part)) for part in parts}
    return Model(adapter.init, adapter.apply, MappingProxyType(named))


def _split(module: nnx.Module) -> Any:
    return nnx.split(module, nnx.Param, nnx.RngState, ...)


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


def _filled(name: str, template: nnx.State, values: Any) -> nnx.State:
    """The NNX state `template` holding the arrays of the plain tree `values`; name: of them, for the message."""
    leaves, expected = jax.tree.leaves(values), jax.tree.leaves(template)
    if len(leaves) != len(expected):
        raise DataError(
            f"apply: {name} are {len(leaves)} arrays, those of this model are {len(expected)}; expects what "
            "model.init(key) gives, or a tree like it."
        )
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


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


ONE_INPUT = array() | instance(jax.ShapeDtypeStruct)


def _accept_inputs(value: Any) -> Any:
    if isinstance(value, dict | tuple) and value:
        return jax.tree.map(ONE_INPUT.accept, value)
    return ONE_INPUT.accept(value)


INPUTS = Constraint(
    "an array or shape-dtype struct like the inputs, or a dictionary or tuple of them", _accept_inputs, error=DataError
)
# Name of a keyword argument of a Linen module that switches to training, to its value in training.
SWITCHES = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}


@arguments(module=instance(linen.Module), example_inputs=INPUTS)
def from_linen(module: linen.Module, example_inputs: Any) -> Model:
    """Make a pure `Model` of a Flax Linen module.

    Args:
      module: its `__call__` takes the inputs and, if it behaves differently in training, one of the keyword arguments
        `train`, `training`, `is_training`, `deterministic` or `use_running_average`. Random streams of any name
        ("dropout", "noise") draw from the key given to apply.
      example_inputs: an array [B, ...] or shape-dtype struct like the inputs to come, or a dictionary or tuple of them;
        only shapes and dtypes are used.

    Raises:
      ArgumentError: a Boolean argument of another name, which may be such a switch.

    Example:
      >>> from flax import linen
      >>> model = dl.from_linen(linen.Dense(2), jax.ShapeDtypeStruct((1, 4), jnp.float32))
      >>> model.init(jax.random.key(0))[0]["kernel"].shape
      (4, 2)
    """
    switches = _switches(module)

    def mode(train: bool) -> dict[str, Any]:
        return {name: train is training for name, training in switches.items()}

    def init(key):
        inputs = jax.tree.map(lambda values: jnp.zeros(values.shape, values.dtype), example_inputs)
        variables = dict(module.init(key, inputs, **mode(train=False)))
        return variables.pop("params", {}), variables

    def apply(params, state, x, *, key=None, train=False):
        # Linen takes a stream that it was not given from "params".
        rngs = {} if key is None else {"dropout": key, "params": jax.random.fold_in(key, 1)}
        variables = {"params": params, **state}
        if not train:
            return module.apply(variables, x, rngs=rngs, **mode(train)), state
        try:
            output, changed = module.apply(variables, x, rngs=rngs, mutable=list(state), **mode(train))
        except InvalidRngError as error:
            raise ArgumentError(NEEDS_KEY) from error
        return output, {**state, **changed}

    return Model(init, apply)


def _switches(module: linen.Module) -> dict[str, bool]:
    """The module's switches, with their values in training."""
    parameters = inspect.signature(type(module).__call__).parameters
    for name, parameter in parameters.items():
        if name not in SWITCHES and isinstance(parameter.default, bool):
            raise ArgumentError(
                f"from_linen: the module's __call__ takes {name}={parameter.default}, which would never change; "
                f"expects a switch to training of the name {', '.join(SWITCHES)}. Rename it, or make it an attribute "
                "of the module."
            )
    return {name: training for name, training in SWITCHES.items() if name in parameters}
