"""What the units of hidden layers give out: mean, variance, saturation, units that are dead."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, array, number, sequence, text
from dlcore.core.dataset import Split
from dlcore.core.dtypes import in_single
from dlcore.core.errors import DataError
from dlcore.core.evaluation import Observation
from dlcore.core.labeled import Labeled, labeled
from dlcore.nn import activations as functions
from dlcore.nn.observation import observing
from dlcore.probes.rows import NUM_ROWS, OBSERVATION, SPLIT, rows_of

Range = tuple[float, float]

# The ends of an activation's range that it comes close to where its slope vanishes; infinite where it has no such end.
RANGES: dict[Any, Range] = {
    functions.identity: (-math.inf, math.inf),
    functions.sigmoid: (0.0, 1.0),
    functions.tanh: (-1.0, 1.0),
    functions.softmax: (0.0, 1.0),
    functions.softsign: (-1.0, 1.0),
    functions.relu: (0.0, math.inf),
    functions.leaky_relu: (-math.inf, math.inf),
    functions.prelu: (-math.inf, math.inf),
    functions.elu: (-1.0, math.inf),
    functions.selu: (-1.7580993408473766, math.inf),
    functions.softplus: (0.0, math.inf),
}
STATISTICS = ("mean", "variance", "saturated", "dead")


def _accept_ends(value: Any) -> Range:
    low, high = sequence(number(finite=False), 2, 2).accept(value)
    if not low < high:
        raise RefusedError
    return float(low), float(high)


VALUES = array("iuf", ndim=range(2, 33), text="activations [B, ..., units]")
ENDS = Constraint("(low, high), the ends of its range, math.inf for none", _accept_ends)
MARGIN = number(0, 0.5)


@arguments(values=VALUES, activation=functions.ACTIVATION | ENDS | NONE, margin=MARGIN)
def unit_statistics(values: Any, activation: Any = None, margin: float = 0.05) -> dict[str, jax.Array]:
    """Mean, variance, saturated share and dead share of one layer's activations, for models that are written by hand.

    Scale: mean and variance are over all examples and units. `saturated` is the share of the values that are close to
    an end of their range: of a range with two ends within `margin` of its width, of one with one end within `margin` of
    that end's size, so that of ReLU zeros count. `dead` is the share of the units that give exactly an end for all
    examples, so that no gradient passes. Both are NaN where the range is not known. Cost: a pass over the values.

    Args:
      values: [B, ..., units]; all axes but the last count as examples, positions of an image too.
      activation: name or function of `dl.activations`, or the ends (low, high) at which its slope vanishes, such as
        (-1, 1) or (0, math.inf); None if they are not known, as those of gelu and silu.

    Raises:
      DataError: values that are no activations [B, ..., units].

    Example:
      >>> found = dl.probes.unit_statistics(jnp.array([[0.0, 1.0], [0.0, 0.0]]), "relu")
      >>> float(found["saturated"]), float(found["dead"])
      (0.75, 0.5)
    """
    values = in_single(values)
    values = values.reshape(-1, values.shape[-1])
    ends: Any = activation
    if isinstance(activation, str) or callable(activation):  # a `Maxout` is a tuple too
        ends = range_of(functions.by_name(activation))  # pyright: ignore[reportArgumentType]
    undefined = jnp.any(jnp.isnan(values)) | (ends is None)
    shares = [jnp.zeros(()), jnp.zeros(())] if ends is None else _shares(values, ends, margin)
    saturated, dead = (jnp.where(undefined, jnp.nan, share) for share in shares)
    return dict(zip(STATISTICS, (jnp.mean(values), jnp.var(values), saturated, dead), strict=True))


def _shares(values: jax.Array, ends: Range, margin: float | jax.Array) -> list[jax.Array]:
    """Shares of the values [N, units] that are close to an end, and of the units that always are at one."""
    width = ends[1] - ends[0]
    close, at = jnp.zeros(values.shape, bool), jnp.zeros(values.shape[-1], bool)
    for end, side in zip(ends, (1, -1), strict=True):
        if math.isfinite(end):
            allowed = margin * (width if math.isfinite(width) else abs(end))
            close |= side * (values - end) <= allowed
            at |= jnp.all(side * (values - end) <= 0, axis=0)
    return [jnp.mean(close), jnp.mean(at)]


@arguments(seen=OBSERVATION, split=SPLIT, num_rows=NUM_ROWS, margin=MARGIN, dim=text)
def activations(
    seen: Observation,
    split: str = "train",
    num_rows: int | None = None,
    margin: float = 0.05,
    dim: str = "hidden_layer",
) -> Mapping[str, Labeled]:
    """`unit_statistics` of the activations of each hidden layer, along a dimension of them.

    What the activation layers (`dl.activations.layer`) of a model give out in evaluation, named by their paths:
    "activations.0" is what the first layer of an `mlp` passes on. The last layer, which gives the output, is left out.
    Where normalization, dropout or a shortcut comes after the activation, this is what goes into it. The range is
    known for the activations of `dl.activations`, but gelu, silu and those with options of one's own: theirs are NaN.

    Scale: see `unit_statistics`. Cost: one forward pass of the rows, whose intermediate results are held at once.

    Args:
      split, num_rows: which rows; all of the split, or so many spread evenly over it.
      dim: name of the dimension; hidden layers are other than the layers of parameters, so it is another.

    Returns:
      "mean", "variance", "saturated", "dead", each along `dim`: a record called `units` becomes units.mean, ...

    Raises:
      DataError: a model without such layers, or one that calls them inside of a loop over time; a streamed split.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3], activation="tanh"), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"units": dl.probes.activations})
      >>> dl.run(run)["units.variance"].hidden_layer.item()
      'activations.0'
    """
    found = _called(seen, rows_of("activations", seen, split, num_rows))
    of_layers = [unit_statistics(values, range_of(function), margin) for function, values in found.values()]
    columns = {name: jnp.stack([each[name] for each in of_layers]) for name in STATISTICS}
    return {name: labeled(values, (dim, list(found))) for name, values in columns.items()}


def range_of(function: Any) -> Range | None:
    """The ends of an activation's range at which its slope vanishes, infinite for none; None if they are not known."""
    return RANGES[functions.identity] if isinstance(function, functions.Maxout) else RANGES.get(function)


def _called(seen: Observation, rows: Split) -> dict[str, tuple[Any, jax.Array]]:
    """Function and values of each activation layer but that of the output, by path, in the order of their calls."""
    found: dict[str, tuple[Any, jax.Array]] = {}
    last, here = "", get_opaque_trace_state()

    def observer(path, layer, call, inputs):
        nonlocal last
        last = path
        output = call()
        if isinstance(layer, functions.Activate):
            if get_opaque_trace_state() != here:
                raise DataError(
                    f"activations: {path} is called inside of a loop or another transformation of JAX, where its "
                    "values cannot be seen; expects layers that the model calls itself. Let the model give them out, "
                    "and use dl.probes.unit_statistics."
                )
            last = _numbered(path, found)
            found[last] = (layer.function, output)
        return output

    with observing(observer):
        seen.task.forward(seen.state.params, seen.state.model_state, rows)
    found.pop(last, None)
    if not found:
        raise DataError(
            "activations: the model calls no activation layer before its output; expects hidden layers whose "
            'activations are made by dl.activations.layer("tanh"). For others use dl.probes.unit_statistics.'
        )
    return found


def _numbered(path: str, found: Mapping[str, Any]) -> str:
    """The path, with a number from the second call on of one layer."""
    calls = sum(each.partition(" ")[0] == path for each in found)
    return f"{path} ({calls + 1})" if calls else path
