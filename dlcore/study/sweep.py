"""`run` one training, `sweep` a function of trainings over named axes; both return labeled arrays."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import xarray as xr

from dlcore.core.errors import ArgumentError
from dlcore.core.training import Training
from dlcore.study import program as engine
from dlcore.study.axes import Study, check_training, study_of
from dlcore.study.progress import progress_bar
from dlcore.study.results import Table, timeline
from dlcore.study.setup import available_cores, warn_of_idle_cores, warn_of_wrong_gradients


def run(training: Training, *, final_params: bool = False, progress: bool | None = None) -> xr.Dataset:
    """Execute one run, alone on one device.

    The fastest way to one run. Its numbers differ from those of the same run in a sweep by float rounding, since the
    compiler orders sums differently for one run and for lanes; for the bits of a sweep, sweep axes of one value.

    Args:
      final_params: keep the last parameters too; see `dlcore.final_params`.
      progress: show a progress bar; by default where somebody watches.

    Returns:
      the records, dim "step", with the one at step 0; coordinates epoch and examples.
    """
    check_training(training, "run's argument")
    traced = engine.trace(lambda cell: training, {})
    return _evaluate(Study(lambda: training, {}), [traced], "step", [None], jax.devices()[:1], final_params, progress)


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
      along: the dimension of time: "step", "epoch" or "examples". Cells that record at different steps (several batch
        sizes) can share "epoch".
      lane_width: runs side by side on one device; chosen by the size of the state by default. Different widths give
        results that differ by float rounding.
      final_params: keep each cell's last parameters too; see `dlcore.final_params`.
      progress: show a progress bar; by default where somebody watches.
      axes: parameter of `fn` to its values. A NumPy or JAX array [n] is traced and mapped; a list or tuple is static
        and compiles once per value.

    Returns:
      the records, dims (*axes in the order given, along, ...); coordinates epoch and examples; provenance in attrs.

    Raises:
      ArgumentError: an axis or parameter that does not fit, before anything compiles.
    """
    study = study_of(fn, axes)
    if lane_width is not None and (isinstance(lane_width, bool) or not isinstance(lane_width, int) or lane_width < 1):
        raise ArgumentError(f"lane_width is {lane_width!r}; expects a positive integer, or None to choose by size.")
    traced = [
        engine.trace(lambda cell, static=static: study.training({**cell, **static}), study.abstract_cell())
        for static in study.static_cells()
    ]
    warn_of_idle_cores()
    devices = jax.devices()
    widths = [lane_width or engine.default_lane_width(part.state, devices[0].platform) for part in traced]
    return _evaluate(study, traced, along, widths, devices, final_params, progress)


def _evaluate(
    study: Study,
    traced: Sequence[engine.Traced],
    along: str,
    lane_widths: Sequence[int | None],
    devices: Sequence[jax.Device],
    final_params: bool,
    progress: bool | None,
) -> xr.Dataset:
    """Run all cells, chunk by chunk: device memory is bounded by the lanes, whatever the number of cells."""
    warn_of_wrong_gradients()
    coordinates = timeline(study, [part.training for part in traced], along)
    _check_same_variables(study, traced)
    table = Table(study)
    cells = study.traced_cells()
    pool = ThreadPoolExecutor(available_cores())
    try:
        with progress_bar(len(traced) * study.num_traced_cells, shown=progress) as advance:
            for position, program in enumerate(_programs(traced, lane_widths, devices, pool)):
                for rows, padded in _chunks(study.num_traced_cells, program.num_lanes):
                    share = len(rows) / program.num_records
                    chunk = {name: values[padded] for name, values in cells.items()}
                    first, records, states = engine.execute(program, chunk, lambda n, share=share: advance(n * share))
                    table.put(position, rows, first, records, states if final_params else None)
    finally:
        pool.shutdown(cancel_futures=True)
    widths = sorted({str(width or "none") for width in lane_widths})
    return table.dataset(along, coordinates, traced[0].training.attrs, {"lane_width": ", ".join(widths)})


def _check_same_variables(study: Study, traced: Sequence[engine.Traced]) -> None:
    """One array per variable holds all cells; refuse records that differ before anything compiles."""
    first, *others = [jax.tree.map(lambda leaf: leaf.shape, part.start.result[1]) for part in traced]
    for static, shapes in zip(study.static_cells()[1:], others, strict=True):
        differing = sorted(set(first.items()) ^ set(shapes.items()))
        if differing:
            names = ", ".join(dict.fromkeys(name for name, _ in differing))
            raise ArgumentError(
                f"{study.name_of(static)} records other variables, or in other shapes, than "
                f"{study.name_of(study.static_cells()[0])}: {names}. Record the same in all cells, or sweep them apart."
            )


def _chunks(num_cells: int, num_lanes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the cells of each chunk, and the same padded to whole lanes by repeating the last."""
    for begin in range(0, num_cells, num_lanes):
        rows = np.arange(begin, min(begin + num_lanes, num_cells))
        yield rows, np.pad(rows, (0, num_lanes - len(rows)), mode="edge")


def _programs(
    traced: Sequence[engine.Traced],
    lane_widths: Sequence[int | None],
    devices: Sequence[jax.Device],
    pool: ThreadPoolExecutor,
) -> Iterator[engine.Program]:
    """The program of each static cell, compiled a few ahead while the present one runs."""
    waiting: deque[Callable[[], engine.Program]] = deque()
    for part, width in zip(traced, lane_widths, strict=True):
        waiting.append(engine.build(part, lane_width=width, devices=devices, pool=pool))
        if len(waiting) > available_cores():
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()
