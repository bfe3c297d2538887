"""What a mesh may be, and words for batches that do not fit it."""

from typing import Any

from jax.sharding import Mesh

from dlcore.core.arguments import Constraint, RefusedError
from dlcore.core.errors import ArgumentError
from dlcore.core.length import Length


def _accept_mesh(value: Any) -> Mesh:
    if not isinstance(value, Mesh):
        raise RefusedError
    if len(value.axis_names) != 1:
        axes = ", ".join(value.axis_names) or "none"
        raise RefusedError(f"Its axes are {axes}; only the batch is split: jax.make_mesh(({value.size},), ('data',)).")
    # `jax.make_mesh` makes axes whose shardings are types; here the compiler is to find them, whatever a model does.
    return Mesh(value.devices, value.axis_names)


MESH = Constraint("a jax.sharding.Mesh of one axis, e.g. jax.make_mesh((4,), ('data',))", _accept_mesh)


def check_shares(mesh: Mesh | None, length: Length, *, streamed: bool) -> None:
    """Raise `ArgumentError` for batches of which the devices would get different shares, if another size helps."""
    if mesh is None or length.full:
        return
    size, devices, last = length.size, mesh.size, length.examples % length.size
    if size % devices:
        fitting = [each for each in (size - size % devices, size + -size % devices) if 0 < each <= length.examples]
        sizes = " or ".join(f"batch_size={each}" for each in fitting) or 'batch_size="full", or a smaller mesh'
        raise ArgumentError(
            f"batch_size is {size}, the mesh has {devices} devices; expects a multiple of {devices}, so that each gets "
            f"as many examples. Use {sizes}."
        )
    if streamed and length.keeps_rest and last % devices:
        raise ArgumentError(
            f'last_batch is "keep": the last batch of an epoch has {last} streamed examples, the mesh {devices} '
            'devices; expects as many examples for each. Use last_batch="drop".'
        )
