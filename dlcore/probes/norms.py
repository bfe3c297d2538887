"""Norms of the parts of a tree."""

from typing import Any

import jax
import optax

from dlcore.core.arguments import arguments, text, tree
from dlcore.core.errors import DataError
from dlcore.core.labeled import Labeled, by_path, labeled


@arguments(values=tree, dim=text)
def layer_norms(values: Any, dim: str = "layer") -> Labeled:
    """Euclidean norm of the arrays of each layer, bias and weights together, along a dimension of layers.

    Args:
      values: parameters, or a tree like them: a gradient, updates. A layer is what has one path up to the last name.
      dim: name of the dimension; of parameters, gradient and updates the same, so that their norms can be divided.

    Raises:
      DataError: a tree without arrays.

    Example:
      >>> norms = dl.probes.layer_norms({"first": {"kernel": jnp.ones((2, 2))}, "second": {"kernel": jnp.zeros(3)}})
      >>> norms.labels, norms.values
      ((('first', 'second'),), Array([2., 0.], dtype=float32))
    """
    layers: dict[str, list[jax.Array]] = {}
    for path, leaf in by_path(values).items():
        layers.setdefault(path.rpartition(".")[0] or path, []).append(leaf)
    if not layers:
        raise DataError("layer_norms: values hold no arrays; expects parameters or a tree like them.")
    return labeled({layer: optax.tree.norm(leaves) for layer, leaves in layers.items()}, dim)
