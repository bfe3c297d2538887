"""`plan`: what a study will take, in cells, memory, operations, bytes and seconds, before it is run."""

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import ANYTHING, NONE, arguments, boolean, integer, path, text
from dlcore.core.training import Training
from dlcore.engine.axes import POINTS, Points, Study
from dlcore.engine.durable.stored import missing_blocks
from dlcore.engine.labels import name_of
from dlcore.engine.planning.makespan import Lengths, makespan
from dlcore.engine.planning.planned import Plan
from dlcore.engine.planning.programs import Clocked, Part, compiled_parts
from dlcore.engine.planning.sizes import room_for, sizes_of
from dlcore.engine.planning.timed_block import Timed, timed
from dlcore.engine.preparation import Options, Prepared, prepare
from dlcore.engine.program import Block
from dlcore.engine.results import Kept
from dlcore.engine.setup import available_cores, warn_of_idle_cores
from dlcore.engine.sweep import STUDY, study_given, width_of
from dlcore.engine.traced import Traced


@arguments(
    fn=STUDY,
    points=POINTS,
    along=text,
    lane_width=integer(1, 4096, meaning="runs side by side on one device") | NONE,
    final_params=boolean,
    final_state=boolean,
    measure=boolean,
    store=path | NONE,
    axes=ANYTHING,
)
def plan(
    fn: Study | Callable[..., Training],
    /,
    *points: Points,
    along: str = "step",
    lane_width: int | None = None,
    final_params: bool = False,
    final_state: bool = False,
    measure: bool = True,
    store: str | os.PathLike | None = None,
    **axes: Any,
) -> Plan:
    """What `dlcore.sweep` of the same arguments will take; printed it says so, with what does not fit.

    It traces and compiles the study's programs, and runs a few records of a block of each, on all devices at once. The
    programs are kept, so that a sweep in this process compiles nothing again.

    Args:
      fn, points, axes, along, lane_width, final_params, final_state: as in `dlcore.sweep`.
      measure: run blocks to see how long they take, half a second or a record each; False leaves seconds unknown.
      store: folder in which the study is kept: cells that are there already are not missing.

    Returns:
      a `Plan`: cells, programs, flops, device_memory, host_memory, records, states, seconds, problems, and more. Runs
      that may end early are counted whole.

    Raises:
      ArgumentError: what `dlcore.sweep` would raise before it compiles.

    Example:
      >>> def fit(start):
      ...     return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x}), num_records=1000)
      >>> plan = dl.plan(fit, start=np.linspace(0.0, 1.0, 50), measure=False)
      >>> plan.cells, len(plan.programs), plan.flops, plan.records
      (50, 1, 50050.0, 200000)
    """
    study = study_given("plan", fn, points, axes)
    warn_of_idle_cores()
    options = Options(along, Kept(final_params, final_state))
    return plan_of(study, options, functools.partial(width_of, lane_width), store, measure=measure)[0]


def plan_of(
    study: Study,
    options: Options,
    width: Callable[[Traced], int],
    store: str | os.PathLike | None,
    *,
    measure: bool,
    room: bool = False,
) -> tuple[Plan, Prepared]:
    """The plan of a study, and what was traced for it. room: whether there is to be any for its results."""
    devices, began = jax.devices(), time.perf_counter()
    given = prepare(study, options, width, room=room)
    tracing = time.perf_counter() - began
    threads = Clocked(available_cores())
    try:
        parts = compiled_parts(given, threads, devices)
        blocks = None if store is None else missing(given, parts, os.fspath(store), devices[0], threads)
        sizes = sizes_of(given, parts)
        space = room_for(parts, sizes, devices, store)
        if measure and not space.problems:
            parts = [part._replace(timed=_timed(study, part, devices)) for part in parts]
    finally:
        threads.close()
    everything = [(part.blocks, 1.0) for part in parts]
    lacking, cells = everything, [len(part.rows) for part in parts]
    if blocks is not None:
        lacking = [_lacking(blocks, position, part) for position, part in enumerate(parts)]
        cells = _cells(blocks, len(parts))
    seconds = _seconds(parts, everything, tracing, len(devices))
    plan = Plan(
        name=name_of(study.fn),
        programs=tuple(part.planned(number) for part, number in zip(parts, cells, strict=True)),
        devices=len(devices),
        platform=devices[0].platform,
        compiling_seconds=None if seconds is None else tracing + _compile_seconds(parts, len(devices)),
        seconds=seconds,
        missing_seconds=_seconds(parts, lacking, tracing, len(devices)),
        **sizes._asdict(),
        **space._asdict(),
    )
    return plan, given


def missing(given: Prepared, parts: Sequence[Part], store: str, device: jax.Device, threads: Clocked) -> list[Block]:
    """The blocks of which something is not in the store yet."""
    return missing_blocks(given, [part.program for part in parts], store, device, threads)


def _lacking(blocks: Sequence[Block], position: int, part: Part) -> tuple[int, float]:
    """How many blocks of a program are missing, and which share of a whole block one of them is."""
    begins = [block.begin for block in blocks if block.position == position]
    return len(begins), float(np.mean([1 - begin / part.program.num_records for begin in begins] or [0.0]))


def _cells(blocks: Sequence[Block], num_programs: int) -> list[int]:
    """Cells of each program of which something is missing."""
    return [sum(len(block.rows) for block in blocks if block.position == number) for number in range(num_programs)]


def _timed(study: Study, part: Part, devices: Sequence[jax.Device]) -> Timed:
    """Run the first blocks of a program, one for each device, as far as it takes to know their speed."""
    lanes = part.program.num_lanes
    begins = range(0, len(part.rows), lanes)[: len(devices)]
    blocks = [part.rows[begin : begin + lanes] for begin in begins]
    padded = [np.pad(rows, (0, lanes - len(rows)), mode="edge") for rows in blocks]
    return timed(part.program, devices, [{name: axis[rows] for name, axis in study.traced.items()} for rows in padded])


def _seconds(
    parts: Sequence[Part], blocks: Sequence[tuple[int, float]], tracing: float, num_devices: int
) -> float | None:
    """Of a study from tracing on; None if nothing was timed. blocks: of each program, and the share of a whole one."""
    lengths = []
    for part, (number, share) in zip(parts, blocks, strict=True):
        if part.timed is None:
            return None
        compiling = part.compiling if number else ()
        lengths.append(Lengths(part.lowering, compiling, part.timed.loading, number, share * part.timed.block))
    return tracing + _makespan(lengths, num_devices)


def _compile_seconds(parts: Sequence[Part], num_devices: int) -> float:
    return _makespan([Lengths(part.lowering, part.compiling, 0.0, 0, 0.0) for part in parts], num_devices)


def _makespan(lengths: Sequence[Lengths], num_devices: int) -> float:
    shares = jax.default_backend() == "cpu"
    return makespan(lengths, num_devices, available_cores(), shares_cores=shares)
