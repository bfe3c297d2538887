"""`run` one training, `sweep` a function of trainings over named axes; both return labeled arrays."""

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from dlcore.core.arguments import ANYTHING, NONE, Constraint, arguments, boolean, function, instance, integer, text
from dlcore.core.training import Training
from dlcore.study.axes import Study, check_training, study_of
from dlcore.study.devices import Constants, DaemonThreads, inside_xla
from dlcore.study.program import Block, Program, Traced, build, default_lane_width, trace
from dlcore.study.progress import progress_bar
from dlcore.study.results import Table, check_names, no_results, timeline
from dlcore.study.setup import available_cores, warn_of_idle_cores, warn_of_wrong_gradients

SECONDS_BETWEEN_LOOKS = 0.05  # of the main thread, the only one that sees Ctrl-C
SECONDS_TO_STOP = 1.0  # for blocks that run, after Ctrl-C

TRAINING = instance(Training, example="dl.training(...)")
MAKES_TRAININGS = Constraint("a function that returns dl.training(...)", function.accept)


@arguments(training=TRAINING, final_params=boolean, progress=boolean | NONE)
def run(training: Training, *, final_params: bool = False, progress: bool | None = None) -> xr.Dataset:
    """Execute one run, alone on one device.

    The fastest way to one run. Its numbers differ from those of the same run in a sweep by float rounding, since the
    compiler orders sums differently for one run and for lanes; for the bits of a sweep, sweep axes of one value.

    Args:
      final_params: keep the last parameters too; see `dlcore.final_params`.
      progress: show a progress bar; by default where somebody watches.

    Returns:
      the records, dim "step", with the one at step 0; coordinates epoch and examples.

    Raises:
      KeyboardInterrupt: on Ctrl-C; its attribute `results` holds the records so far.

    Example:
      >>> training = dl.Training(init=lambda: 1.0, advance=lambda x: (x / 2, {"x": x / 2}), num_records=3)
      >>> dl.run(training).x.values
      array([0.5  , 0.25 , 0.125], dtype=float32)
    """
    study = Study(lambda: check_training(training, "the training"), {})
    return _evaluate(study, "step", lambda traced: None, jax.devices()[:1], final_params, progress)


@arguments(
    fn=MAKES_TRAININGS,
    along=text,
    lane_width=integer(1, 4096, meaning="runs side by side on one device") | NONE,
    final_params=boolean,
    progress=boolean | NONE,
    axes=ANYTHING,
)
def sweep(
    fn: Callable[..., Training],
    *,
    along: str = "step",
    lane_width: int | None = None,
    final_params: bool = False,
    progress: bool | None = None,
    **axes: Any,
) -> xr.Dataset:
    """Execute `fn(**cell)` for every cell of the product of the axes, compiled into one program per static cell.

    A cell's numbers depend on its own values, not on the other cells, their order or number, or the number of devices.

    Args:
      fn: pure; returns `dlcore.training(...)`. Called under a trace, with traced scalars for the array axes.
      along: the dimension of time: "step", "epoch" or "examples", or another coordinate of a hand-written training.
        Cells that record at different steps (several batch sizes) can share "epoch".
      lane_width: runs side by side on one device; chosen by the size of state and records by default. Different widths
        give results that differ by float rounding.
      final_params: keep each cell's last parameters too; see `dlcore.final_params`.
      progress: show a progress bar; by default where somebody watches.
      axes: parameter of `fn` to its values. A NumPy or JAX array [n] is traced and mapped; a list or tuple is static
        and compiles once per value.

    Returns:
      the records, dims (*axes in the order given, along, ...); coordinates epoch and examples; provenance in attrs.

    Raises:
      ArgumentError: an axis or parameter that does not fit, before anything compiles.
      KeyboardInterrupt: on Ctrl-C; its attribute `results` holds the cells so far, with a coordinate `finished`.

    Example:
      >>> def fit(start):
      ...     return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2}), num_records=2)
      >>> dl.sweep(fit, start=np.array([1.0, 8.0])).x.values
      array([[0.5 , 0.25],
             [4.  , 2.  ]], dtype=float32)
    """
    study = study_of(fn, axes)
    devices = jax.devices()
    warn_of_idle_cores()

    def width(traced: Traced) -> int:
        return lane_width or default_lane_width(traced, devices[0].platform)

    return _evaluate(study, along, width, devices, final_params, progress)


def _evaluate(
    study: Study,
    along: str,
    width: Callable[[Traced], int | None],
    devices: Sequence[jax.Device],
    final_params: bool,
    progress: bool | None,
) -> xr.Dataset:
    """Trace everything, check it, then run all cells block by block."""
    warn_of_wrong_gradients()
    so_far = functools.partial(no_results, study)
    try:
        constants = Constants()
        traced = [
            trace(lambda cell, static=static: study.training({**cell, **static}), study.abstract_cell(), constants)
            for static in study.static_cells()
        ]
        coordinates = timeline(study, [part.training for part in traced], along)
        check_names(study, traced, coordinates)
        table = Table(study, traced, final_params=final_params)
        widths = [width(part) for part in traced]
        attrs = {"lane_width": ", ".join(sorted({str(each or "none") for each in widths}))}
        so_far = functools.partial(table.dataset, along, coordinates, traced[0].training.attrs, attrs)
        _run_blocks(study, traced, widths, devices, constants, table, progress)
    except KeyboardInterrupt as interrupt:
        interrupt.results = so_far()  # pyright: ignore[reportAttributeAccessIssue]
        raise
    return so_far()


def _run_blocks(
    study: Study,
    traced: Sequence[Traced],
    widths: Sequence[int | None],
    devices: Sequence[jax.Device],
    constants: Constants,
    table: Table,
    progress: bool | None,
) -> None:
    """Hand the blocks to the devices as they fall free; device memory is bounded by blocks x devices."""
    cells = study.traced_cells()
    compilers = DaemonThreads(available_cores())
    with progress_bar(len(traced) * study.num_traced_cells, shown=progress) as advance:

        def run_block(device: jax.Device, program: Program, block: Block) -> Iterator[None]:
            padded = np.pad(block.rows, (0, program.num_lanes - len(block.rows)), mode="edge")
            values = {name: axis[padded] for name, axis in cells.items()}
            for segment in program.segments(device, values):
                table.put(block, segment)
                if segment.begin:
                    advance(segment.count * len(block.rows) / program.num_records)
                yield

        try:
            with Workers(devices, run_block) as workers:
                for position, (part, width) in enumerate(zip(traced, widths, strict=True)):
                    program = build(part, lane_width=width, device=devices[0], threads=compilers, constants=constants)
                    for begin in range(0, study.num_traced_cells, program.num_lanes):
                        rows = np.arange(begin, min(begin + program.num_lanes, study.num_traced_cells))
                        workers.submit(program, Block(position, rows))
                workers.finish()
        finally:
            compilers.close()


class Workers:
    """One thread a device, each of which takes the next task when it is free.

    Args:
      run: `run(device, *task)`, an iterator; between its steps a worker looks whether it has to stop.

    An error in a worker ends the others, and is raised where tasks are submitted or waited for.
    """

    def __init__(self, devices: Sequence[jax.Device], run: Callable[..., Iterator[Any]]):
        self._run = run
        self._x64 = bool(jax.config.read("jax_enable_x64"))  # `with jax.enable_x64()` holds for one thread only
        self._tasks: queue.Queue[Any] = queue.Queue(maxsize=2 * len(devices))  # so few programs are built ahead
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(device,), daemon=True, name=f"dlcore {device}")
            for device in devices
        ]

    def __enter__(self) -> "Workers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        until = time.monotonic() + SECONDS_TO_STOP
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def submit(self, *task: Any) -> None:
        """Queue a task; waits while enough are waiting."""
        while True:
            self._raise_errors()
            with contextlib.suppress(queue.Full):
                return self._tasks.put(task, timeout=SECONDS_BETWEEN_LOOKS)

    def finish(self) -> None:
        """Wait until all tasks are done."""
        for _ in self._threads:
            self.submit()
        while any(thread.is_alive() for thread in self._threads):
            self._raise_errors()
            for thread in self._threads:
                thread.join(SECONDS_BETWEEN_LOOKS)
        self._raise_errors()

    def _raise_errors(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _work(self, device: jax.Device) -> None:
        with jax.enable_x64(self._x64):
            self._work_until_stopped(device)

    def _work_until_stopped(self, device: jax.Device) -> None:
        try:
            while not self._stopped.is_set():
                with contextlib.suppress(queue.Empty):
                    if not (task := self._tasks.get(timeout=SECONDS_BETWEEN_LOOKS)):
                        return
                    with inside_xla():
                        for _ in self._run(device, *task):
                            if self._stopped.is_set():
                                return
                    del task
        except BaseException as error:  # raised again in the main thread
            self._errors.append(error)
            self._stopped.set()
