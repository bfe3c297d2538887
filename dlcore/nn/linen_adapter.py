"""The adapter of Flax Linen modules: pure models of them."""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen
from flax.errors import FlaxError, InvalidRngError

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, array, boolean, instance, mapping, text
from dlcore.core.errors import ArgumentError, DataError, noted, suggest
from dlcore.core.model import NEEDS_KEY, Model
from dlcore.nn.adapters import like
from dlcore.nn.inputs import entered
from dlcore.nn.normalization import check_batch, num_values

ONE_INPUT = array() | instance(jax.ShapeDtypeStruct)


def _accept_inputs(value: Any) -> Any:
    if isinstance(value, dict | tuple) and value:
        return jax.tree.map(_accept_input, value)
    return _accept_input(value)


def _accept_input(value: Any) -> Any:
    found = ONE_INPUT.accept(value)
    if not found.shape:
        raise RefusedError("Of a shape make jax.ShapeDtypeStruct((1, ...), jnp.float32).")
    return found


INPUTS = Constraint(
    "an array or shape-dtype struct like the inputs, or a dictionary or tuple of them", _accept_inputs, error=DataError
)
# Name of a keyword argument of a Linen module that switches to training, to its value in training.
SWITCHES = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
TOLD = (
    "Of a Linen module: Dropout and BatchNorm have to be told whether they are in training. Give __call__ an argument "
    "`train`, and them deterministic=not train and use_running_average=not train."
)


@arguments(module=instance(linen.Module), example_inputs=INPUTS, switch=text | mapping(boolean) | NONE)
def from_linen(module: linen.Module, example_inputs: Any, *, switch: str | Mapping[str, bool] | None = None) -> Model:
    """Make a pure `Model` of a Flax Linen module.

    Args:
      module: its `__call__` takes the inputs and, if it behaves differently in training, one of the keyword arguments
        `train`, `training`, `is_training`, `deterministic` or `use_running_average`. Random streams of any name
        ("dropout", "noise") draw from the key given to apply.
      example_inputs: an array [B, ...] or shape-dtype struct like the inputs to come, or a dictionary or tuple of them;
        only shapes and dtypes are used.
      switch: such an argument of another name, True in training; or a dictionary from names to values in training.
        Other Boolean arguments then keep their defaults.

    Raises:
      ArgumentError: a Boolean argument of another name, which may be such a switch; a switch that the module does not
        take; a dropout that is off in training too. DataError: on apply, where a batch normalization gets one value
        per feature in training.

    Example:
      >>> from flax import linen
      >>> model = dl.from_linen(linen.Dense(2), jax.ShapeDtypeStruct((1, 4), jnp.float32))
      >>> model.init(jax.random.key(0))[0]["kernel"].shape
      (4, 2)
    """
    switches = _switches(module, switch)

    def mode(train: bool) -> dict[str, Any]:
        return {name: train is training for name, training in switches.items()}

    def init(key):
        inputs = _zeros(example_inputs)
        with noted(lambda: TOLD):
            variables = dict(module.init(key, inputs, **mode(train=False)))
        return variables.pop("params", {}), variables

    def apply(params, state, x, *, key=None, train=False):
        x = entered(x)
        # Linen takes a stream that it was not given from "params".
        rngs = {} if key is None else {"dropout": key, "params": jax.random.fold_in(key, 1)}
        variables = {"params": params, **state}
        if not train:
            with noted(lambda: TOLD):
                return module.apply(variables, x, rngs=rngs, **mode(train)), state
        try:
            with linen.intercept_methods(_checked_batch):
                output, changed = module.apply(variables, x, rngs=rngs, mutable=list(state), **mode(train))
        except InvalidRngError as error:
            raise ArgumentError(NEEDS_KEY) from error
        return output, like({**state, **changed}, state)

    _check_training(module, example_inputs, mode(train=True), switch is None)
    return Model(init, apply)


def _switches(module: linen.Module, switch: str | Mapping[str, bool] | None) -> dict[str, bool]:
    """The module's switches, with their values in training."""
    parameters = inspect.signature(type(module).__call__).parameters
    given = {switch: SWITCHES.get(switch, True)} if isinstance(switch, str) else dict(switch or {})
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in given:
        if name not in parameters and not takes_any:
            names = list(parameters)[1:]
            raise ArgumentError(
                f"from_linen: switch is {name!r}; expects an argument of the module's __call__; {suggest(name, names)}"
            )
    for name, parameter in parameters.items():
        if switch is None and name not in SWITCHES and isinstance(parameter.default, bool):
            raise ArgumentError(
                f"from_linen: the module's __call__ takes {name}={parameter.default}, which would never change; "
                f"expects a switch to training of the name {', '.join(SWITCHES)}. Pass switch={name!r} if it is one, "
                "switch={} if it is none."
            )
    return {**{name: training for name, training in SWITCHES.items() if name in parameters}, **given}


def _checked_batch(call: Any, inputs: tuple, options: dict[str, Any], context: Any) -> Any:
    """A method interceptor: refuses statistics of one value per feature."""
    layer = context.module
    if isinstance(layer, linen.BatchNorm) and context.method_name == "__call__":
        given = inputs[1] if len(inputs) > 1 else options.get("use_running_average")
        average = layer.use_running_average if given is None else given
        if inputs and not (average or options.get("mask") is not None or layer.axis_name is not None):
            path = ".".join(map(str, layer.path)) or "itself"
            check_batch(path, type(layer).__name__, inputs[0], num_values(inputs[0], layer.axis))
    return call(*inputs, **options)


def _zeros(inputs: Any) -> Any:
    return jax.tree.map(lambda values: jnp.zeros(values.shape, values.dtype), inputs)


def _check_training(module: linen.Module, example_inputs: Any, mode: dict[str, Any], is_guessed: bool) -> None:
    """Refuse a dropout that is off in training, and averages that nothing changes: trace the module there and look.

    is_guessed: whether nobody said which argument is the switch; who did may want averages to stay.
    """
    off: list[str] = []
    still: list[str] = []

    def look(call, inputs, options, context):
        layer = context.module
        if isinstance(layer, linen.Dropout) and context.method_name == "__call__":
            given = inputs[1] if len(inputs) > 1 else options.get("deterministic")
            drops = not isinstance(layer.rate, int | float) or layer.rate > 0
            if drops and (layer.deterministic if given is None else given):
                off.append(".".join(map(str, layer.path)) or "itself")
        if isinstance(layer, linen.BatchNorm) and context.method_name == "__call__":
            given = inputs[1] if len(inputs) > 1 else options.get("use_running_average")
            if layer.use_running_average if given is None else given:
                still.append(".".join(map(str, layer.path)) or "itself")
        return call(*inputs, **options)

    def trace():
        keys = {name: jax.random.key(0) for name in ("params", "dropout")}
        module.init(keys, _zeros(example_inputs), **mode)

    try:
        with linen.intercept_methods(look):
            jax.eval_shape(trace)
    except (TypeError, ValueError, AttributeError, LookupError, NotImplementedError, FlaxError):
        return  # what the module does not take, it says when it is used
    if off:
        raise ArgumentError(
            f"from_linen: in training the Dropout {off[0]} is deterministic, so that it never drops; expects one that "
            "the module's switch to training turns on. Give its __call__ an argument `train`, and the layer "
            "deterministic=not train; or leave the layer out."
        )
    if still and is_guessed:
        raise ArgumentError(
            f"from_linen: in training the BatchNorm {still[0]} uses its running averages, which then never change; "
            "expects one that the module's switch to training turns off. Give its __call__ an argument `train`, and "
            "the layer use_running_average=not train; pass switch={} if the averages are to stay as they are."
        )
