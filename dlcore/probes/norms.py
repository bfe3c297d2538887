"""Norms of the parts of a tree."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core.arguments import arguments, array, text, tree
from dlcore.core.dtypes import in_single
from dlcore.core.errors import DataError
from dlcore.core.evaluation import Observation
from dlcore.core.labeled import Labeled, by_path, labeled
from dlcore.nn.inputs import entered
from dlcore.probes.rows import OBSERVATION

NUMBERS = array("biufc", text="arrays of numbers")


@arguments(values=tree, dim=text)
def layer_norms(values: Any, dim: str = "layer") -> Labeled:
    """Euclidean norm of the arrays of each layer, bias and weights together, along a dimension of layers.

    Args:
      values: parameters, or a tree like them: a gradient, updates. A layer is what has one path up to the last name.
      dim: name of the dimension; of parameters, gradient and updates the same, so that their norms can be divided.

    Raises:
      DataError: a tree without arrays, arrays of no numbers.

    Example:
      >>> norms = dl.probes.layer_norms({"first": {"kernel": jnp.ones((2, 2))}, "second": {"kernel": jnp.zeros(3)}})
      >>> norms.labels, norms.values
      ((('first', 'second'),), Array([2., 0.], dtype=float32))
    """
    layers: dict[str, list[jax.Array]] = {}
    for path, leaf in by_path(entered(values, "layer_norms: values")).items():
        leaf = NUMBERS.check(f"layer_norms: values at {path!r}", leaf)
        layers.setdefault(path.rpartition(".")[0] or path, []).append(leaf)
    if not layers:
        raise DataError("layer_norms: values hold no arrays; expects parameters or a tree like them.")
    # Not as a dictionary, whose order is that of the names: "10" comes before "2" there.
    return labeled(jnp.stack([_norm(leaves) for leaves in layers.values()]), (dim, list(layers)))


@arguments(seen=OBSERVATION, dim=text)
def update_ratios(seen: Observation, dim: str = "layer") -> Labeled:
    """Norm of the last update of each layer over the norm of its parameters after it, bias and weights together.

    Scale: the share of its length that a layer moves in one step; about 1e-3 where a network learns at a usual rate.
    inf where a layer is zero, NaN at step 0, before which there is no update. Cost: none to speak of.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"ratio": dl.probes.update_ratios})
      >>> dl.run(run).ratio.dims
      ('step', 'layer')
    """
    updates, params = layer_norms(seen.updates, dim), layer_norms(seen.state.params, dim)
    return Labeled(updates.values / params.values, updates.dims, updates.labels)


def _norm(leaves: list[jax.Array]) -> jax.Array:
    """Divided by the largest number, whose square might be inf or 0; the derivative at 0 is 0. inf where one is."""
    leaves = [in_single(leaf) for leaf in leaves]
    scale = lax.stop_gradient(jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves]).max())
    scale = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1)
    squares = sum((jnp.sum(jnp.abs(leaf / scale) ** 2) for leaf in leaves), jnp.zeros(()))
    return jnp.where(squares > 0, scale * jnp.sqrt(jnp.where(squares > 0, squares, 1)), squares)
