"""Blocks that are run to see how long they take: all devices at once, a few records each."""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from dlcore.engine.program import Program
from dlcore.engine.threads import Workers

ENOUGH_SECONDS = 0.5  # for each device, after a warm-up of one record


class Timed(NamedTuple):
    """Seconds of a program: to load it on one device, and of a whole block while all devices are busy."""

    loading: float
    block: float


def timed(program: Program, devices: Sequence[jax.Device], cells: Sequence[Mapping[str, np.ndarray]]) -> Timed:
    """Time a compiled program for about `ENOUGH_SECONDS`, or as long as it needs for one record.

    Args:
      devices: that are busy at once.
      cells: of a block for each of them, name to values [lanes].
    """
    loading = 0.0
    for device in devices:
        began = time.perf_counter()
        for function in program.functions.values():
            function.on(device)
        loading = max(loading, time.perf_counter() - began)
    found: list[float] = []
    lock = threading.Lock()

    def run(device: jax.Device, values: Mapping[str, np.ndarray]) -> Iterator[None]:
        stopwatch = _Stopwatch(program, device, values)
        yield from stopwatch.run()
        with lock:
            found.extend(stopwatch.found)

    with Workers(devices, run) as workers:
        for values in cells:
            workers.submit(values)
        workers.finish()
    return Timed(loading, float(np.mean(found)))


class _Stopwatch:
    """Blocks of one device. found: seconds of each."""

    def __init__(self, program: Program, device: jax.Device, values: Mapping[str, np.ndarray]):
        self._program, self._device, self._values = program, device, dict(values)
        self.found: list[float] = []

    def run(self) -> Iterator[None]:
        """One record to warm up, unless it alone takes long; then blocks, or the beginning of one."""
        began = time.perf_counter()
        marks = []
        for mark in itertools.islice(self._marks(), 2):
            marks.append(mark)
            yield
        if time.perf_counter() - began >= ENOUGH_SECONDS:
            self.found.append(whole_block(marks, self._program.num_records))
            return
        began = time.perf_counter()
        while time.perf_counter() - began < ENOUGH_SECONDS:
            marks = []
            for mark in self._marks():
                marks.append(mark)
                yield
                if len(marks) > 1 and time.perf_counter() - began >= ENOUGH_SECONDS:
                    break
            if marks[-1][2] or not self.found:  # the beginning of a block says less than whole ones
                self.found.append(whole_block(marks, self._program.num_records))

    def _marks(self) -> Iterator[tuple[int, float, bool]]:
        """Records done, seconds since the block began, and whether it has ended, after each segment."""
        began = time.perf_counter()
        for segment in self._program.segments(self._device, self._values):
            yield max(0, segment.begin + segment.count - 1), time.perf_counter() - began, segment.is_last


def whole_block(marks: Sequence[tuple[int, float, bool]], num_records: int) -> float:
    """Seconds of a block, from how far it got: the rest goes on at the speed of the last segments.

    Args:
      marks: records done, seconds, whether the block has ended; the first is the start, without records.
    """
    done, seconds, ended = marks[-1]
    if ended:
        return seconds
    before, seconds_before, _ = marks[max(0, len(marks) - 3)] if len(marks) > 3 else marks[-2]
    return seconds + (num_records - done) * (seconds - seconds_before) / (done - before)
