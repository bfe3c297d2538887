"""What a model is made of: layers, shapes, parameters, operations; also for shapes that are known in part only."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend.core import Jaxpr

from dlcore.core.arguments import Constraint, RefusedError, arguments, as_array, instance, sequence, text
from dlcore.core.errors import ArgumentError, DataError, described, shown
from dlcore.core.model import Model
from dlcore.engine.planning.flops import flops_of_product
from dlcore.nn.observation import observing

_SCOPE = re.compile(r"layer:([^/()]+)")


def _accept_inputs(value: Any) -> Any:
    """Shape-dtype structs of the arrays and structs of a tree."""

    def struct(leaf):
        if isinstance(leaf, np.ndarray | np.generic):
            leaf = as_array(leaf)
        known = isinstance(leaf, jax.Array | jax.ShapeDtypeStruct | np.ndarray)
        if not known or (
            getattr(leaf.dtype, "kind", "") not in "biuf" and not jnp.issubdtype(leaf.dtype, jnp.floating)
        ):
            raise RefusedError
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    if not jax.tree.leaves(value):
        raise RefusedError
    return jax.tree.map(struct, value)


def _accept_dtype(value: Any) -> Any:
    try:
        return jax.dtypes.canonicalize_dtype(value)
    except (TypeError, ValueError, AttributeError):
        raise RefusedError from None


MODEL = instance(Model, example="dl.models.mlp([64, 128, 10])")
INPUTS = Constraint(
    "inputs [B, ...]: arrays of numbers, shape-dtype structs or dl.models.symbolic(...)",
    _accept_inputs,
    error=DataError,
)
SHAPES = Constraint(
    "sizes and names with commas between, e.g. 'batch, time, 64'", (sequence(text, 1, 100) | text).accept
)
DTYPE = Constraint("a dtype, such as float or jnp.int32", _accept_dtype)


class Layer(NamedTuple):
    """One layer of a model at work; the last row of `layer_table` is what belongs to none, with path "".

    path: where the layer stands in the parameters. kind: its class.
    inputs, output: dtypes and shapes, as shape-dtype structs. num_params: its own, without those of layers inside it.
    flops: its own multiplications and additions in matrix products and convolutions; an expression of the
      symbolic sizes where shapes are symbolic.

    Example:
      >>> layer, *_ = dl.models.layer_table(dl.models.mlp([4, 3]), jnp.zeros((2, 4)))
      >>> layer.path, layer.kind, layer.output.shape, layer.num_params, layer.flops
      ('layers.0', 'Linear', (2, 3), 15, 48)
    """

    path: str
    kind: str
    inputs: Any
    output: Any
    num_params: int
    flops: Any


@arguments(model=MODEL)
def num_params(model: Model) -> int:
    """How many numbers the optimizer changes.

    >>> dl.models.num_params(dl.models.mlp([4, 3]))
    15
    """
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@arguments(shapes=SHAPES, dtype=DTYPE)
def symbolic(*shapes: str, dtype: Any = float) -> Any:
    """Inputs whose shape is known in part: `symbolic("batch, time, 64")` for `layer_table` and `summary`.

    Args:
      shapes: sizes and names, with commas between; the same name is the same size, in all shapes given.

    Returns:
      A shape-dtype struct; a tuple of them for several shapes.

    Raises:
      ArgumentError: a text that is no shape.

    Example:
      >>> dl.models.symbolic("batch, 64")
      ShapeDtypeStruct(shape=(batch, 64), dtype=float32)
    """
    SHAPES.check("symbolic: shapes", shapes)  # none at all
    scope, dtype = export.SymbolicScope(), jax.dtypes.canonicalize_dtype(dtype)
    try:
        structs = tuple(jax.ShapeDtypeStruct(export.symbolic_shape(shape, scope=scope), dtype) for shape in shapes)
    except (ValueError, TypeError, AttributeError) as error:
        raise ArgumentError(
            f"symbolic: shapes are {shown(shapes)}; expects sizes and names with commas between, e.g. "
            "'batch, time, 64'."
        ) from error
    return structs[0] if len(structs) == 1 else structs


@arguments(model=MODEL, x=INPUTS)
def layer_table(model: Model, x: Any) -> tuple[Layer, ...]:
    """The layers of a model in the order of their calls; nothing is computed.

    Args:
      model: of `from_nnx`, any built-in one for instance; of other models there is one row, for the whole.
      x: inputs [B, ...]: arrays, shape-dtype structs or `symbolic(...)`.

    Raises:
      DataError: a layer that does not fit its inputs, by name.

    Example:
      >>> [row.path for row in dl.models.layer_table(dl.models.mlp([4, 3]), jnp.zeros((2, 4)))]
      ['layers.0', 'activations.0', '']
    """
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    rows: dict[str, tuple[str, Any, Any]] = {}

    def observer(path, layer, call, inputs):
        rows.setdefault(path, (type(layer).__name__, None, None))  # outer layers before inner ones
        with jax.named_scope(f"layer:{path}"):
            output = call()
        rows[path] = (type(layer).__name__, _structs(inputs), _structs(output))
        return output

    with observing(observer):
        jaxpr, output = jax.make_jaxpr(lambda p, s, x: model.apply(p, s, x)[0], return_shape=True)(params, state, x)
    flops = dict.fromkeys([*rows, ""], 0)
    _count(jaxpr.jaxpr, "", 1, flops)
    sizes = dict.fromkeys([*rows, ""], 0)
    for path, leaf in jax.tree.leaves_with_path(params):
        sizes[_owner(jax.tree_util.keystr(path, simple=True, separator="."), rows)] += leaf.size
    called = [Layer(path, *row, sizes[path], flops[path]) for path, row in rows.items()]
    return (*called, Layer("", "", x, output, sizes[""], flops[""]))


@arguments(model=MODEL, x=INPUTS)
def summary(model: Model, x: Any) -> None:
    """Print the layers of a model: shapes, parameters, floating-point operations for inputs `x`; see `layer_table`.

    Raises:
      DataError: a layer that does not fit its inputs, by name.

    Example:
      >>> dl.models.summary(dl.models.mlp([64, 128, 10]), dl.models.symbolic("batch, 64"))
      layer ...
    """
    *called, rest = layer_table(model, x)
    table = [["layer", "kind", "inputs", "output", "parameters", "FLOPs"]]
    for row in (*called, *([rest] if rest.num_params or rest.flops else ())):
        shapes = [described(row.inputs), described(row.output)]
        name = row.path or "outside of layers"
        table.append([name, row.kind, *shapes, _grouped(row.num_params), _grouped(row.flops)])
    num_params, flops = (sum(getattr(row, what) for row in (*called, rest)) for what in ("num_params", "flops"))
    shapes = [described(rest.inputs), described(rest.output)]
    table.append(["the model", "", *shapes, _grouped(num_params), _grouped(flops)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        left = [cell.ljust(width) for cell, width in zip(line[:4], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(line[4:], widths[4:], strict=True)]
        print("  ".join(left + right).rstrip())


def _structs(tree: Any) -> Any:
    """Shapes and dtypes of the arrays of a tree; what is no array is left out."""
    arrays = jax.tree.map(lambda leaf: leaf if hasattr(leaf, "shape") else None, tree)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arrays)


def _owner(path: str, candidates: Iterable[str]) -> str:
    """The innermost layer that a parameter at `path` belongs to; "" for none."""
    return max((name for name in candidates if path.startswith(f"{name}.")), key=len, default="")


def _count(jaxpr: Jaxpr, scope: str, times: Any, flops: dict[str, Any]) -> None:
    """Add the operations of a program's matrix products and convolutions to the layers they are called in.

    XLA's `cost_analysis` counts the body of a scan once; here it counts as often as it runs. A while loop counts once.
    """
    for equation in jaxpr.eqns:
        found = _SCOPE.findall(str(equation.source_info.name_stack))
        here = found[-1] if found else scope
        if (products := flops_of_product(equation)) is not None:
            flops[here] = flops[here] + times * products
        repeats = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                _count(getattr(inner, "jaxpr", inner), here, times * repeats, flops)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(getattr(value, "jaxpr", value), "eqns")


def _grouped(number: Any) -> str:
    return f"{number:,}".replace(",", " ") if isinstance(number, int) else str(number)
