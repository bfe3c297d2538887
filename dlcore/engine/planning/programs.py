"""The programs of a study that is planned: compiled, with their operations and the memory of their blocks."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.engine.devices import Executable
from dlcore.engine.planning.flops import Flops, flops_of
from dlcore.engine.planning.planned import Memory, PlannedProgram
from dlcore.engine.planning.timed_block import Timed
from dlcore.engine.preparation import Prepared
from dlcore.engine.program import Program
from dlcore.engine.results import name_of_program
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.traced import Traced


class Part(NamedTuple):
    """A program while it is planned. rows: its cells. flops: of a run. lowering, compiling: seconds."""

    name: str
    rows: np.ndarray
    program: Program
    memory: Memory
    flops: Flops
    lowering: float
    compiling: tuple[float, ...]
    timed: Timed | None = None

    @property
    def records(self) -> int:
        """Of a run, with the one at step 0."""
        return self.program.num_records + self.program.measured

    @property
    def blocks(self) -> int:
        """As many as hold its cells."""
        return math.ceil(len(self.rows) / self.program.num_lanes)

    def planned(self, lacks: int) -> PlannedProgram:
        """What others see of it."""
        return PlannedProgram(
            name=self.name,
            cells=len(self.rows),
            missing=lacks,
            lanes=self.program.num_lanes,
            blocks=self.blocks,
            records=self.records,
            flops=self.flops.count,
            exact=self.flops.exact,
            may_end=self.program.ends,
            memory=self.memory,
            compiling=self.compiling,
            block_seconds=self.timed and self.timed.block,
        )


class Clocked(DaemonThreads):
    """Threads that note how long each task took, in the list that is there when it is submitted."""

    seconds: list[float]

    def submit(self, task: Callable[[], Any]) -> Any:
        seconds = self.seconds

        def clocked():
            began = time.perf_counter()
            result = task()
            seconds.append(time.perf_counter() - began)
            return result

        return super().submit(clocked)


def compiled_parts(given: Prepared, threads: Clocked, devices: Sequence[jax.Device]) -> list[Part]:
    """All programs, compiled as `sweep` does, with what is known of them then."""
    counted = [_flops(traced, width or 1) for traced, width in zip(given.traced, given.widths, strict=True)]
    built = []
    for position in range(len(given.traced)):
        threads.seconds, began = [], time.perf_counter()
        program = given.program(position, devices[0], threads)
        program.begin()
        built.append((program, time.perf_counter() - began, threads.seconds))
    parts = []
    for (static, rows), flops, (program, lowering, seconds) in zip(given.study.programs, counted, built, strict=True):
        memory = _memory(program, devices[0])  # waits until it is compiled
        parts.append(Part(name_of_program(static), rows, program, memory, flops, lowering, compiling=tuple(seconds)))
    return parts


def _flops(traced: Traced, width: int) -> Flops:
    """Operations of a run: its start, all its records, and what is kept of it."""

    def of_lanes(tree):
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((width, *leaf.shape), leaf.dtype), tree)

    def of(function, times, *values):
        if function is None or not times:
            return Flops(0.0)
        held = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in function.constants]
        axes = (None, *len(values) * (0,))
        lanes = jax.vmap(function.call, in_axes=axes, axis_size=width)
        return times / width * flops_of(lanes, held, *map(of_lanes, values))

    records = traced.training.num_records - (traced.last is not None)
    return (
        of(traced.start, 1, traced.cell)
        + of(traced.advance, records, traced.cell, traced.state)
        + of(traced.last, 1, traced.cell, traced.state)
        + of(traced.final, 1, traced.cell, traced.state)
    )


def _memory(program: Program, device: jax.Device) -> Memory:
    """Of the function that takes most; the constants of all of them."""
    functions = program.functions.values()
    constants = {id(value): value.nbytes for function in functions for value in function.held}
    return max((_memory_of(function, sum(constants.values()), device) for function in functions), key=sum)


def _memory_of(function: Executable, constants: int, device: jax.Device) -> Memory:
    found: Any = function.compiled(device).memory_analysis()
    if found is None:  # not every platform says
        return Memory(constants, 0, 0, 0)
    own = sum(value.nbytes for value in function.held)
    return Memory(
        constants,
        max(0, found.argument_size_in_bytes - own),
        max(0, found.output_size_in_bytes - found.alias_size_in_bytes),
        found.temp_size_in_bytes,
    )
