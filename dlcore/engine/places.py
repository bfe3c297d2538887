"""Places: where a program executes, on one device, or on a mesh of devices that execute it together.

The devices of a mesh may belong to several processes (`jax.distributed`). Each of them then makes the same calls in the
same order, and gives the same arrays: what they can differ in is compared or agreed on here.
"""

import functools
import hashlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from dlcore.core.errors import ArgumentError
from dlcore.engine.dtypes import as_numbers

Place = jax.Device | Mesh


def sharding_on(place: Place) -> Sharding:
    """How the arguments and results of a program lie there: whole, on each of the devices."""
    return NamedSharding(place, PartitionSpec()) if isinstance(place, Mesh) else SingleDeviceSharding(place)


def platform_of(place: Place) -> str:
    """The devices' platform: "cpu", "gpu"."""
    return first_device(place).platform


def is_shared(place: Place) -> bool:
    """Whether other processes take part."""
    return isinstance(place, Mesh) and place.is_multi_process


def own_devices(mesh: Mesh) -> list[jax.Device]:
    """Those of this process."""
    return [device for device in mesh.devices.flat if device.process_index == jax.process_index()]


def mesh_words(mesh: Mesh) -> str:
    """The axes of a mesh and their sizes."""
    return ", ".join(f"{name} {size}" for name, size in mesh.shape.items())


def first_device(place: Place) -> jax.Device:
    """Of a mesh the first one, which is of the kind of all."""
    return place.devices.flat[0] if isinstance(place, Mesh) else place


def is_first_process(place: Place) -> bool:
    """Whether this process is the one that shows and writes what all of a place's have."""
    return not is_shared(place) or jax.process_index() == first_device(place).process_index


def put(tree: Any, place: Place) -> Any:
    """A tree of arrays at the place; on a shared one each process gives its own copy of the same values."""
    sharding = sharding_on(place)
    if not is_shared(place):
        return jax.device_put(tree, sharding)

    def shared(leaf):
        if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
            return leaf
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(shared(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(shared, tree)


def agreed(number: int, place: Place) -> int:
    """The number that the process of the first device has; each process of the place calls this."""
    return int(_of_all(np.asarray([number], np.uint32), place)[0, 0]) if is_shared(place) else number


def check_alike(lowered: jax.stages.Lowered, held: Any, place: Place) -> None:
    """Raise `ArgumentError` where the processes of a mesh have other programs or data; each of them calls this.

    Of a program types and constants are compared: the rest of its text may depend on what was traced before.
    """
    if not is_shared(place):
        return
    constants = sorted(set(re.findall(r"dense<[^>]*> : tensor<[^>]*>", lowered.as_text())))
    program = _digest(str((lowered.in_avals, lowered.out_tree, constants)).encode())
    arrays = [np.asarray(as_numbers(value)) for value in held]
    data = _digest(*(part for each in arrays for part in (str(each.dtype).encode(), np.ascontiguousarray(each).data)))
    rows = _of_all(np.concatenate([program, data]), place)
    for name, some in (("programs", rows[:, : len(program)]), ("data", rows[:, len(program) :])):
        if (some != some[0]).any():
            raise ArgumentError(
                f"the processes of the mesh have different {name}; expects the same call with the same arrays in each. "
                "Each device takes its own share of a batch: give every process all of the data, the same key and the "
                "same options."
            )


def _digest(*parts: Any) -> np.ndarray:
    """SHA-256 as uint32 [8]."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return np.frombuffer(found.digest(), np.uint32)


def _of_all(numbers: np.ndarray, mesh: Any) -> np.ndarray:
    """What the processes of a mesh have of some numbers [n], a row for each device: [devices, n]."""
    by_device = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    shape = (mesh.size, len(numbers))
    rows = jax.make_array_from_callback(shape, by_device, lambda index: numbers[None])
    return np.asarray(_replicated(mesh)(rows))


@functools.cache
def _replicated(mesh: Mesh) -> Any:
    return jax.jit(lambda rows: rows, out_shardings=sharding_on(mesh))
