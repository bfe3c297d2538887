"""How long steps take, with the error of the measurement."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import arguments, function, instance, integer, number, sequence
from dlcore.core.training import Training
from dlcore.engine.devices import Constants
from dlcore.engine.places import Place, agreed
from dlcore.engine.program import Program, build
from dlcore.engine.setup import available_cores
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.traced import trace


@arguments(
    trainings=sequence(instance(Training), 1, text="trainings, e.g. dl.training(...)"),
    blocks=integer(1, 1000),
    seconds=number(0, 60),
)
def seconds_per_step(trainings: Sequence[Training], *, blocks: int = 10, seconds: float = 0.02) -> np.ndarray:
    """Wall-clock seconds of an optimizer step of each run, alone on its device or mesh, after compilation; [blocks, k].

    In each block all runs take turns, every other block backward, so that what slows the machine down slows all of
    them: ratios of two columns are independent between blocks, and `geometric_mean_interval` of them has the error of
    the measurement. A run's records are part of it: to time the steps, describe it with `evaluate=()` and long
    intervals.

    Args:
      trainings: the "step" coordinate tells the steps of a record.
      blocks: how often each run has its turn.
      seconds: how long a turn lasts, at least.

    Example:
      >>> task = dl.tasks.regression(dl.models.linear(1, 1), dl.data.from_arrays(np.ones((4, 1)), np.ones((4, 1))))
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=2, num_epochs=1, evaluate=())
      >>> dl.evidence.seconds_per_step([run, run], blocks=3, seconds=0.0).shape
      (3, 2)
    """
    constants, threads = Constants(), DaemonThreads(available_cores())
    places = [jax.local_devices()[0] if training.mesh is None else training.mesh for training in trainings]
    try:
        programs = [
            build(
                trace(lambda cell, training=training: training, {}, constants),
                lane_width=None,
                place=place,
                threads=threads,
                constants=constants,
            )
            for training, place in zip(trainings, places, strict=True)
        ]
        clocks = [
            _started(program, training, place, seconds)
            for program, training, place in zip(programs, trainings, places, strict=True)
        ]
        times = np.empty((blocks, len(clocks)))
        for block in range(blocks):
            for side in range(len(clocks))[:: -1 if block % 2 else 1]:
                times[block, side] = clocks[side].step()
        return times
    finally:
        threads.close()


@arguments(
    calls=sequence(function, 1, text="functions without arguments, e.g. functools.partial(jax.jit(loss), params)"),
    blocks=integer(1, 1000),
    seconds=number(0, 60),
)
def seconds_per_call(calls: Sequence[Callable[[], Any]], *, blocks: int = 10, seconds: float = 0.02) -> np.ndarray:
    """Wall-clock seconds of each function, until its arrays are there, after a first call that compiles; [blocks, k].

    They take turns as the runs of `seconds_per_step` do.

    Args:
      calls: functions without arguments.
      blocks: how often each has its turn.
      seconds: how long a turn lasts, about; a call at least.

    Example:
      >>> dl.evidence.seconds_per_call([lambda: 1, lambda: 2], blocks=3, seconds=0.0).shape
      (3, 2)
    """
    repeats = []
    for call in calls:
        jax.block_until_ready(call())
        repeats.append(max(1, round(seconds / max(_seconds(call, 1), 1e-7))))
    times = np.empty((blocks, len(calls)))
    for block in range(blocks):
        for side in range(len(calls))[:: -1 if block % 2 else 1]:
            times[block, side] = _seconds(calls[side], repeats[side])
    return times


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        jax.block_until_ready(call())
    return (time.perf_counter() - began) / repeats


class _Clock:
    """A compiled run that goes on, some records at a time."""

    def __init__(self, program: Program, place: Place, steps_per_record: float) -> None:
        self.advance = program.advance.on(place)
        self.states, _ = program.start.on(place)({})
        self.steps_per_record, self.num_records = steps_per_record, 1

    def elapsed(self) -> float:
        """Seconds of the next records."""
        began = time.perf_counter()
        self.states, _ = jax.block_until_ready(self.advance({}, self.states, np.int32(self.num_records)))
        return time.perf_counter() - began

    def step(self) -> float:
        """Seconds of a step, over the next records."""
        return self.elapsed() / (self.num_records * self.steps_per_record)


def _started(program: Program, training: Training, place: Place, seconds: float) -> _Clock:
    """After the first call, which is slower; with as many records a turn as it takes."""
    steps = np.diff(training.coordinates["step"])
    clock = _Clock(program, place, float(steps[0]))
    clock.elapsed()
    num_records = max(1, min(program.capacity, math.ceil(seconds / clock.elapsed())))
    clock.num_records = agreed(num_records, place)
    return clock
