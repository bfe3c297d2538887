"""The adapter of Flax NNX modules: pure models of them."""

import functools
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore.core.arguments import Constraint, RefusedError, arguments, sequence, text
from dlcore.core.errors import ArgumentError, DataError, DlcoreError, described
from dlcore.core.model import NEEDS_KEY, Model
from dlcore.nn.inputs import entered, entered_rows
from dlcore.nn.normalization import check_batch, num_values
from dlcore.nn.observation import failing_layer, watched, within


class _Adapter:
    """The pure functions of what `build(rngs)` makes. A pickle leaves the template out: it is made again."""

    def __init__(self, build: Callable[[nnx.Rngs], nnx.Module]):
        self.build = build

    def init(self, key):
        _, params, _, state = _split(self.build(nnx.Rngs(key)))
        return nnx.to_pure_dict(params), nnx.to_pure_dict(state)

    def template(self):
        # Shapes only. Made at each use: what `build` reads may be another by then. It takes some milliseconds.
        return _split(nnx.eval_shape(lambda: self.build(nnx.Rngs(0))))

    def entered(self, x):
        return entered(x)

    def apply(self, params, state, x, *, key=None, train=False, method="__call__"):
        x = self.entered(x)
        graphdef, params_template, streams, state_template = self.template()
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
            with watched(module, _check_batch if train and _has_batch_norm(module) else None):
                output = getattr(module, method)(x)
        except (TypeError, ValueError) as error:
            if isinstance(error, DlcoreError):
                raise
            raise _named(error, merged(), method, x) from error
        return output, like(nnx.to_pure_dict(_split(module)[3]), state)


class _BuiltIn(_Adapter):
    """The same for a `build` that reads nothing that changes: the template is made once, for models applied eagerly.

    Floats are as wide as JAX's default. Under x64 the draws of float32 are widened: both precisions start alike.
    """

    kept: Any = None

    def __getstate__(self):
        return {"build": self.build}

    def init(self, key):
        return jax.tree.map(_widened, super().init(key))

    def entered(self, x):
        return entered_rows(x)

    def template(self):
        if self.kept is None:
            self.kept = super().template()
        return self.kept


def built_in(build: Callable[[nnx.Rngs], nnx.Module], *, parts: Sequence[str] = ()) -> Model:
    """`from_nnx` for the models of this package."""
    return _model(_BuiltIn(build), parts)


def like(state: Any, before: Any) -> Any:
    """A model's next state in the dtypes of the one before: a run carries it from step to step."""
    leaves, structure = jax.tree.flatten(state)
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(before)]
    if len(dtypes) != len(leaves):
        return state
    return jax.tree.unflatten(
        structure,
        [
            leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype != dtype else leaf
            for leaf, dtype in zip(leaves, dtypes, strict=True)
        ],
    )


def _widened(leaf: jax.Array) -> jax.Array:
    return leaf.astype(float) if leaf.dtype == jnp.float32 and jnp.result_type(float) != jnp.float32 else leaf


def _accept_build(value: Any) -> Any:
    if isinstance(value, nnx.Module):
        kind = type(value).__name__
        raise RefusedError(
            f"This is a module that is made already: pass the class, from_nnx({kind}), or "
            f"from_nnx(lambda rngs: {kind}(..., rngs=rngs))."
        )
    if not callable(value):
        raise RefusedError
    return value


BUILD = Constraint("a class or function that makes an nnx.Module of nnx.Rngs", _accept_build)


@arguments(build=BUILD, parts=sequence(text, text="names of methods"))
def from_nnx(build: Callable[[nnx.Rngs], nnx.Module], *, parts: Sequence[str] = ()) -> Model:
    """Make a pure `Model` of a Flax NNX module. cloudpickle can pickle it where it can pickle `build`.

    Args:
      build: `build(rngs) -> module`, with `module(x)` the forward pass; a class or a function, not a module. It is
        called for init and whenever the model is applied or traced, so that what it reads may change in between. What
        it builds must not depend on random values except through the module's arrays. Each `nnx.Param` is in `params`,
        all else but random streams `state`.
      parts: further methods of the module, of one argument each (any pytree); each becomes a part of the model.

    Raises:
      ArgumentError: a module in place of its class.
      DataError: on apply, where a layer does not fit its inputs (the message names the layer), where params or state
        are those of another model, or where a batch normalization gets one value per feature in training.

    Example:
      >>> from flax import nnx
      >>> model = dl.from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
      >>> params, state = model.init(jax.random.key(0))
      >>> params["kernel"].shape
      (4, 2)
    """
    return _model(_Adapter(build), parts)


def _model(adapter: _Adapter, parts: Sequence[str]) -> Model:
    named = {part: Model(adapter.init, functools.partial(adapter.apply, method=part)) for part in parts}
    return Model(adapter.init, adapter.apply, MappingProxyType(named))


def _split(module: nnx.Module) -> Any:
    return nnx.split(module, nnx.Param, nnx.RngState, ...)


def _has_batch_norm(module: nnx.Module) -> bool:
    return any(isinstance(layer, nnx.BatchNorm) for _, layer in nnx.iter_modules(module))


def _check_batch(path: str, layer: nnx.Module, inputs: tuple, options: dict[str, Any]) -> None:
    """Refuse a call of a batch normalization that would take its statistics from one value per feature."""
    if not isinstance(layer, nnx.BatchNorm) or options.get("mask") is not None or layer.axis_name is not None:
        return
    given = inputs[1] if len(inputs) > 1 else options.get("use_running_average")
    if inputs and not (layer.use_running_average if given is None else given):
        check_batch(path or "itself", type(layer).__name__, inputs[0], num_values(inputs[0], layer.axis))


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
    return jax.tree.unflatten(jax.tree.structure(template), entered(leaves, f"apply: {name}"))


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
