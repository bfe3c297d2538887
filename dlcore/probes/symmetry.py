"""How far the units of a layer differ: those that start equal and get equal gradients stay equal."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core.arguments import arguments, array, number, text, tree
from dlcore.core.dtypes import in_single
from dlcore.core.errors import DataError
from dlcore.core.labeled import Labeled, by_path, labeled
from dlcore.nn.inputs import entered

WEIGHTS = array("biuf", text="arrays of real numbers")


@arguments(params=tree, dim=text, rounding=number(0, 1))
def unit_symmetry(params: Any, dim: str = "layer", rounding: float = 1e-5) -> dict[str, Labeled]:
    """How far the units of each layer differ in the weights that lead into them, bias included.

    Scale: `spread` is the largest distance between two units over the root mean square of their norms: 0 where all are
    equal, about 1.5 to 2 where they are independent. `distinct` is the number of units, those counted once that differ
    by `rounding` times the largest norm or less. Both are NaN where a weight is. Cost: n^2 d operations for n units
    with d weights each.

    Args:
      params: parameters, or a tree like them: a gradient, updates. Units lie along the last axis, as in a kernel
        [inputs, units] with a bias [units]. Of a layer whose arrays end in different sizes, those count that end in
        the size of the one with the most dimensions.

    Returns:
      "spread" and "distinct", each along `dim`; layers of one unit have spread 0.

    Raises:
      DataError: a tree without arrays of one dimension or more.

    Example:
      >>> equal = dl.probes.unit_symmetry({"first": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}})
      >>> equal["spread"].values, equal["distinct"].values
      (Array([0.], dtype=float32), Array([1.], dtype=float32))
    """
    layers: dict[str, list[jax.Array]] = {}
    for path, leaf in by_path(entered(params, "unit_symmetry: params")).items():
        leaf = WEIGHTS.check(f"unit_symmetry: params at {path!r}", leaf)
        if leaf.ndim:
            layers.setdefault(path.rpartition(".")[0] or path, []).append(in_single(leaf))
    if not layers:
        raise DataError("unit_symmetry: params hold no array of one dimension or more; expects those of layers.")
    found = [_compared(_units(leaves), rounding) for leaves in layers.values()]
    columns = zip(("spread", "distinct"), zip(*found, strict=True), strict=True)
    return {name: labeled(jnp.stack(values), (dim, list(layers))) for name, values in columns}


def _units(leaves: list[jax.Array]) -> jax.Array:
    """The weights of each unit, [units, weights]."""
    units = max(leaves, key=lambda leaf: leaf.ndim).shape[-1]
    return jnp.concatenate([leaf.reshape(-1, units).T for leaf in leaves if leaf.shape[-1] == units], axis=1)


def _compared(units: jax.Array, rounding: float | jax.Array) -> tuple[jax.Array, jax.Array]:
    """Largest distance over the root mean square norm, and how many units are not equal to an earlier one."""
    largest = jnp.max(jnp.abs(units), initial=0)
    units = units / jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)  # squares do not overflow
    norms = jnp.sqrt(jnp.sum(units**2, axis=1))

    def distances(unit):
        return jnp.sqrt(jnp.sum((units - unit[None]) ** 2, axis=1))

    apart = lax.map(distances, units)  # row by row: all differences at once would be [units, units, weights]
    typical = jnp.sqrt(jnp.mean(norms**2))
    spread = jnp.max(apart, initial=0) / jnp.where(typical > 0, typical, 1)
    earlier = jnp.tril(jnp.ones(apart.shape, bool), -1)
    equal = jnp.any(earlier & (apart <= rounding * jnp.max(norms, initial=0)), axis=1)
    defined = jnp.all(jnp.isfinite(units))
    return jnp.where(defined, spread, jnp.nan), jnp.where(defined, jnp.sum(~equal, dtype=float), jnp.nan)
