"""Data parallelism: the rows of a batch are split over the devices of a mesh; each device has all the parameters."""

from typing import Any

import jax
from jax import lax
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dlcore.core.dataset import Fetched, take


def split_over(mesh: Mesh | None, data: Any) -> Any:
    """Arrays [B, ...] of which each device has all, as rows split over the devices; outside of a trace as they are."""
    if mesh is None:
        return data
    # Said first: else the compiler splits the data set as evaluation does, and the devices send it around each record.
    return _laid(mesh, PartitionSpec(mesh.axis_names), _laid(mesh, PartitionSpec(), data))


def take_split(mesh: Mesh | None, data: Any, rows: jax.Array) -> Any:
    """The rows of a split, taken by the devices that they are split over; each reads its own share of streamed ones."""
    if mesh is None:
        return jax.tree.map(lambda values: take(values, rows), data)
    along, rows = PartitionSpec(mesh.axis_names), split_over(mesh, rows)

    def taken(values):
        if isinstance(values, Fetched):
            return jax.shard_map(values.fetch, mesh=mesh, in_specs=along, out_specs=along)(rows)
        return take(_laid(mesh, PartitionSpec(), values), rows)

    return _laid(mesh, along, jax.tree.map(taken, data))


def _laid(mesh: Mesh, spec: PartitionSpec, data: Any) -> Any:
    sharding = NamedSharding(mesh, spec)

    def laid(leaf):
        return lax.with_sharding_constraint(leaf, sharding) if isinstance(leaf, Tracer) else leaf

    return jax.tree.map(laid, data)
