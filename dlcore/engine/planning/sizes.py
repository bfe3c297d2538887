"""What a planned study needs: bytes of its results, memory and disk, next to what there is."""

import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax

from dlcore.engine.planning import capacity
from dlcore.engine.planning.planned import scaled
from dlcore.engine.planning.programs import Part
from dlcore.engine.preparation import Prepared
from dlcore.engine.records import Variable, final

# Of a part of a store, for each array: the header of NumPy's format, two entries of the archive, one of its own header.
BYTES_PER_ARRAY = 128 + 76 + 80
BYTES_PER_PART = 1024


class Sizes(NamedTuple):
    """Bytes of the results; see `Plan`."""

    records: int
    states: int
    records_on_disk: int
    states_on_disk: int


def sizes_of(given: Prepared, parts: Sequence[Part]) -> Sizes:
    """In memory one array holds all cells; in a store each block has files of its own."""
    study, common = given.study, given.table.common
    # Where some cells have ended before others, results are of numbers that can say so.
    ragged = len({part.records for part in parts}) > 1 or any(part.program.ends for part in parts)
    of_record = sum(_bytes(each._replace(whole=each.whole and not ragged)) for each in common.records.values())
    records = study.num_cells * given.table.num_times * of_record
    kept = study.num_cells * sum(map(_bytes, common.final.values()))
    disk = states = 0
    for part, traced, own in zip(parts, given.traced, given.variables, strict=True):
        cells, of_state = len(part.rows), final(traced.state)
        disk += cells * part.records * sum(map(_bytes, own.records.values())) + part.blocks * _overhead(own.records)
        disk += cells * sum(map(_bytes, own.final.values()))
        states += cells * sum(map(_bytes, of_state.values())) + part.blocks * _overhead(of_state)
    return Sizes(records, kept, disk, states)


def _bytes(variable: Variable) -> int:
    dtype = variable.dtype if variable.whole else variable.missing
    return math.prod(variable.shape) * dtype.itemsize


def _overhead(arrays: Mapping[str, Variable]) -> int:
    """Of one file."""
    return BYTES_PER_PART + sum(BYTES_PER_ARRAY + 3 * len(name) for name in arrays)


class Room(NamedTuple):
    """Memory that is needed, and what does not fit; see `Plan`."""

    device_memory: int
    host_memory: int | None
    problems: tuple[str, ...]


def room_for(
    parts: Sequence[Part], sizes: Sizes, devices: Sequence[jax.Device], store: str | os.PathLike | None
) -> Room:
    """What a study needs next to what there is; called before any block has run."""
    on_device = max(part.memory.total for part in parts)
    on_host = sizes.records + sizes.states
    if devices[0].platform == "cpu":
        on_host += on_device * min(len(devices), max(part.blocks for part in parts))
    resident, peak = capacity.resident_bytes(), capacity.peak_bytes()
    problems = []
    for what, needed, free, advice in (
        ("the blocks of a device", on_device, capacity.free_device_bytes(devices[0]), "Give a smaller lane_width."),
        ("blocks and results", on_host, capacity.free_host_bytes(), _advice(sizes, on_host)),
        (
            f"the store {store and os.fspath(store)}",
            sizes.records_on_disk + sizes.states_on_disk,
            None if store is None else capacity.free_disk_bytes(pathlib.Path(store)),
            "Record less often or fewer things, or choose another disk.",
        ),
    ):
        if free is not None and needed > free:
            problems.append(f"{what}: {scaled(needed)} needed, {scaled(free)} free. {advice}")
    expected = None if resident is None or peak is None else max(peak, resident + on_host)
    return Room(on_device, expected, tuple(problems))


def _advice(sizes: Sizes, on_host: int) -> str:
    if 2 * (sizes.records + sizes.states) < on_host:
        return "Give a smaller lane_width, or dl.setup fewer devices."
    return "Record less often or fewer things, or sweep a part of the cells at a time."
