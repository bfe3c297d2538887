"""Modular networks: networks for parts of a problem, combined by a learned gate, a given route or a fixed rule."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import (
    NONE,
    RefusedError,
    arguments,
    as_array,
    boolean,
    function,
    instance,
    integer,
    one_of,
    result_of,
    sequence,
    tree,
)
from dlcore.core.errors import ArgumentError, DataError, described, shown
from dlcore.core.model import Model, ModelState, Params
from dlcore.nn.adapters import inside
from dlcore.nn.inputs import entered

COMBINATIONS: dict[str, Callable[[list[jax.Array]], jax.Array]] = {
    "concatenate": lambda outputs: jnp.concatenate(outputs, axis=-1),
    "sum": lambda outputs: jnp.sum(jnp.stack(outputs), axis=0),
}

IDENTITY = Model(lambda key: ({}, {}), lambda params, state, x, **_: (x, state))

MODELS = sequence(instance(Model), 1, text="Models, e.g. dl.models.mlp([4, 3])")


@arguments(experts=MODELS, gate=instance(Model), top_k=integer() | NONE, renormalize=boolean | NONE)
def mixture_of_experts(
    experts: Sequence[Model], gate: Model, *, top_k: int | None = None, renormalize: bool | None = None
) -> Model:
    """Outputs of experts weighted by a gate that looks at the same input: `sum_e softmax(gate(x))_e expert_e(x)`.

    Params and state are `{"experts": {0: ..., 1: ...}, "gate": ...}`. The parts "weights", [B, num_experts], and
    "outputs", [B, num_experts, ...], show who does what.

    Args:
      experts: models whose outputs agree in shape. Outputs are averaged as they are: of classifiers, the logits.
      gate: its output is [B, num_experts] logits.
      top_k: only the `top_k` experts of the largest weights count; of equal ones the first. All are evaluated: it
        saves no time.
      renormalize: whether the weights of those that count are divided by their sum. By default where they are two or
        more. Of one expert the weight would always be 1, and the gate would have no gradient: it keeps the
        probability that the gate gives it among all experts, by which its output is multiplied.

    Raises:
      ArgumentError: no experts, one that is no Model, a top_k that is not in [1, num_experts].
      DataError: on apply, outputs that do not agree, a gate of another width.
    Reference: Jacobs et al., Adaptive mixtures of local experts, Neural Computation 1991, eq. 1.1; top_k, Shazeer et
      al., Outrageously large neural networks, ICLR 2017; top_k of 1, Fedus et al., Switch transformers, JMLR 2022,
      eq. 2.

    Example:
      >>> experts = [dl.models.linear(4, 3), dl.models.mlp([4, 5, 3])]
      >>> model = dl.models.mixture_of_experts(experts, dl.models.linear(4, 2))
      >>> model.apply(*model.init(jax.random.key(0)), jnp.ones((1, 4)))[0].shape
      (1, 3)
    """
    experts, gate = _numbered("experts", experts), inside("gate", gate)
    count = len(experts)
    if top_k is not None and top_k > count:
        raise ArgumentError(f"mixture_of_experts: top_k is {top_k}; expects at most the {count} experts.")

    renormalized = top_k != 1 if renormalize is None else renormalize

    def init(key):
        expert_key, gate_key = jax.random.split(key)
        params, state = _init_all(expert_key, experts)
        gate_params, gate_state = gate.init(gate_key)
        return {"experts": params, "gate": gate_params}, {"experts": state, "gate": gate_state}

    def forward(params, state, x, key, train):
        gate_key, expert_key = _keys(key, 2)
        logits, gate_state = gate.apply(params["gate"], state["gate"], x, key=gate_key, train=train)
        outputs, states = _apply_all(experts, params["experts"], state["experts"], [x] * count, expert_key, train)
        stacked = _stacked("mixture_of_experts", "expert", outputs)
        if getattr(logits, "shape", None) != (stacked.shape[0], count):
            raise DataError(
                f"mixture_of_experts: the gate's output is {described(logits)}; expects [{stacked.shape[0]}, {count}], "
                "one logit for each expert. Change the gate's last width."
            )
        return _gate_weights(logits, top_k, renormalized), stacked, {"experts": states, "gate": gate_state}

    def apply(params, state, x, *, key=None, train=False):
        weights, outputs, state = forward(params, state, x, key, train)
        spread = _spread(weights, outputs)
        return jnp.sum(jnp.where(spread == 0, 0, spread * outputs), axis=1), state  # 0 times inf would be NaN

    def weights(params, state, x, *, key=None, train=False):
        found, _, state = forward(params, state, x, key, train)
        return found, state

    def outputs(params, state, x, *, key=None, train=False):
        _, found, state = forward(params, state, x, key, train)
        return found, state

    parts = {"weights": Model(init, weights), "outputs": Model(init, outputs)}
    return Model(init, apply, MappingProxyType(parts))


@arguments(modules=MODELS, route=function)
def routed(modules: Sequence[Model], route: Callable[[Any], jax.Array]) -> Model:
    """The output of the module that a given function chooses for each example.

    Params and state are `{"modules": {0: ..., 1: ...}}`; a module learns from its own examples only. All modules are
    evaluated on all examples, so their shapes do not depend on the route.

    Args:
      modules: models whose outputs agree in shape.
      route: `route(x) -> int [B]` in [0, num_modules); a number outside gives NaN.

    Raises:
      ArgumentError: no modules, one that is no Model.
      DataError: on apply, outputs that do not agree, routes that are no integers [B] or, where known, out of range.

    Example:
      >>> model = dl.models.routed([dl.models.linear(2, 1)] * 2, lambda x: (x[:, 0] > 0).astype(int))
      >>> model.apply(*model.init(jax.random.key(0)), jnp.ones((3, 2)))[0].shape
      (3, 1)
    """
    modules = _numbered("modules", modules)

    def init(key):
        params, state = _init_all(key, modules)
        return {"modules": params}, {"modules": state}

    def apply(params, state, x, *, key=None, train=False):
        x = entered(x)
        choice = _routes(result_of("routed: route", route, x))
        outputs, states = _apply_all(
            modules, params["modules"], state["modules"], [x] * len(modules), _keys(key, 1)[0], train
        )
        stacked = _stacked("routed", "module", outputs)
        _check_route(choice, stacked.shape[:2])
        choice = jnp.asarray(choice, jnp.promote_types(choice.dtype, jnp.int32))  # 8 bits may not hold their number
        outside = (choice < 0) | (choice >= len(modules))  # negative ones would count from the end
        choice = jnp.where(outside, len(modules), choice).astype(jnp.int32)
        chosen = jnp.take_along_axis(stacked, _spread(choice[:, None], stacked), axis=1, mode="fill")
        return chosen[:, 0], {"modules": states}

    return Model(init, apply)


@arguments(modules=MODELS, split=function | NONE, combine=one_of(*COMBINATIONS) | instance(Model))
def decomposed(
    modules: Sequence[Model],
    *,
    split: Callable[[Any], Sequence[Any]] | None = None,
    combine: str | Model = "concatenate",
) -> Model:
    """Each module solves its part of a problem; the parts' solutions are put together.

    Params and state are `{"modules": {0: ..., 1: ...}, "combine": ...}`. Modules trained apart go in as
    `pretrained(module, params, state)` and stay as they are with `optax.freeze({"modules": True, "combine": False})` at
    the end of an `optax.chain`. The part "outputs" gives the list of the modules' outputs.

    Args:
      modules: models.
      split: `split(x) -> inputs of each module`, e.g. `lambda x: (x[:, :2], x[:, 2:])`; by default all get all of `x`.
      combine: "concatenate" (along the last axis), "sum", or a model of the concatenated outputs.

    Raises:
      ArgumentError: no modules, one that is no Model, an unknown combination.
      DataError: on apply, a split into another number of parts, outputs that cannot be put together.

    Example:
      >>> model = dl.models.decomposed([dl.models.linear(2, 3), dl.models.linear(2, 1)])
      >>> model.apply(*model.init(jax.random.key(0)), jnp.ones((1, 2)))[0].shape
      (1, 4)
    """
    modules = _numbered("modules", modules)
    count = len(modules)
    if isinstance(combine, Model):
        rule, network = "concatenate", inside("combine", combine)
    else:
        rule, network = combine, IDENTITY

    def init(key):
        module_key, combine_key = jax.random.split(key)
        params, state = _init_all(module_key, modules)
        combine_params, combine_state = network.init(combine_key)
        return {"modules": params, "combine": combine_params}, {"modules": state, "combine": combine_state}

    def outputs(params, state, x, *, key=None, train=False):
        inputs = [x] * count if split is None else result_of("decomposed: split", split, entered(x))
        if not isinstance(inputs, list | tuple) or len(inputs) != count:
            got = f"{len(inputs)} parts" if isinstance(inputs, list | tuple) else shown(inputs)
            raise DataError(f"decomposed: split gives {got}; expects {count}, one for each module.")
        found, states = _apply_all(modules, params["modules"], state["modules"], inputs, key, train)
        return found, {**state, "modules": states}

    def apply(params, state, x, *, key=None, train=False):
        module_key, combine_key = _keys(key, 2)
        found, state = outputs(params, state, x, key=module_key, train=train)
        _check_agreement("decomposed", "module", found, but_last=rule == "concatenate")
        together = COMBINATIONS[rule](found)
        output, combined = network.apply(params["combine"], state["combine"], together, key=combine_key, train=train)
        return output, {**state, "combine": combined}

    return Model(init, apply, MappingProxyType({"outputs": Model(init, outputs)}))


@arguments(model=instance(Model), params=tree, state=tree)
def pretrained(model: Model, params: Params, state: ModelState) -> Model:
    """The model, starting from these params and state, whatever the key: to go on with, or as a module of others.

    Example:
      >>> model = dl.models.pretrained(dl.models.linear(1, 1), {"layers": {0: {"kernel": jnp.ones((1, 1))}}}, {})
      >>> model.init(jax.random.key(7))[0]
      {'layers': {0: {'kernel': Array([[1.]], dtype=float32)}}}
    """

    def start(part: Model) -> Model:
        return part._replace(init=lambda key: (params, state))

    return start(model)._replace(parts=MappingProxyType({name: start(part) for name, part in model.parts.items()}))


def _init_all(key: jax.Array, models: Sequence[Model]) -> tuple[dict[int, Params], dict[int, ModelState]]:
    made = [model.init(jax.random.fold_in(key, i)) for i, model in enumerate(models)]
    return {i: params for i, (params, _) in enumerate(made)}, {i: state for i, (_, state) in enumerate(made)}


def _apply_all(models, params, state, inputs, key, train) -> tuple[list[Any], dict[int, ModelState]]:
    """Outputs and next states of the models, each with a key of its own."""
    keys = _keys(key, len(models))
    made = [
        model.apply(params[i], state[i], x, key=keys[i], train=train)
        for i, (model, x) in enumerate(zip(models, inputs, strict=True))
    ]
    return [output for output, _ in made], {i: new for i, (_, new) in enumerate(made)}


def _keys(key: jax.Array | None, count: int) -> list[jax.Array | None]:
    return [None if key is None else jax.random.fold_in(key, i) for i in range(count)]


def _gate_weights(logits: jax.Array, top_k: int | None, renormalized: bool) -> jax.Array:
    if top_k is None:
        return jax.nn.softmax(logits)
    _, best = jax.lax.top_k(logits, top_k)
    chosen = jax.nn.one_hot(best, logits.shape[1], dtype=bool).any(axis=1)
    if renormalized:
        return jax.nn.softmax(jnp.where(chosen, logits, -jnp.inf))
    return jnp.where(chosen, jax.nn.softmax(logits), 0)


def _spread(values: jax.Array, like: jax.Array) -> jax.Array:
    """[B, n] with as many axes of length 1 behind as `like` has more."""
    return values.reshape(*values.shape, *(1,) * (like.ndim - values.ndim))


def _stacked(name: str, kind: str, outputs: Sequence[Any]) -> jax.Array:
    """[B, num_models, ...]."""
    _check_agreement(name, kind, outputs)
    return jnp.stack(outputs, axis=1)


def _check_agreement(name: str, kind: str, outputs: Sequence[Any], *, but_last: bool = False) -> None:
    axes = slice(None, -1 if but_last else None)
    for i, output in enumerate(outputs):
        if not isinstance(output, jax.Array) or output.shape[axes] != outputs[0].shape[axes]:
            raise DataError(
                f"{name}: {kind} {i} gives {described(output)}, {kind} 0 {described(outputs[0])}; expects arrays of "
                f"the same shape{' but for the last axis' * but_last}."
            )


def _routes(choice: Any) -> Any:
    try:
        return as_array(choice)
    except RefusedError as refusal:
        raise DataError(f"routed: routes are {shown(choice)}; expects integers [B]. {refusal}") from None


def _check_route(choice: Any, shape: tuple[int, ...]) -> None:
    num_rows, count = shape
    if choice.shape != (num_rows,) or choice.dtype.kind not in "iu":
        raise DataError(f"routed: routes are {described(choice)}; expects integers [{num_rows}].")
    if not isinstance(choice, Tracer):
        wrong = (np.asarray(choice) < 0) | (np.asarray(choice) >= count)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(f"routed: routes must lie in [0, {count}), found {int(choice[row])} at row {row}.")


def _numbered(what: str, models: Sequence[Model]) -> tuple[Model, ...]:
    return tuple(inside(f"{what}.{i}", model) for i, model in enumerate(models))
