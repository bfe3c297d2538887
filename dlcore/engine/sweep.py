"""`run` one training, `sweep` a study of trainings; both return labeled arrays."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.core import Tracer

from dlcore.core.arguments import ANYTHING, NONE, arguments, boolean, instance, integer, text
from dlcore.core.errors import ArgumentError, described
from dlcore.core.labeled import by_path
from dlcore.core.training import Training
from dlcore.engine.axes import MAKES_TRAININGS, POINTS, Points, Study
from dlcore.engine.axes import study as study_of
from dlcore.engine.checks import check_training
from dlcore.engine.devices import Constants
from dlcore.engine.program import Block, Program, Traced, build, default_lane_width, trace
from dlcore.engine.progress import progress_bar
from dlcore.engine.results import Table, name_of_program, no_results
from dlcore.engine.setup import available_cores, warn_of_idle_cores, warn_of_wrong_gradients
from dlcore.engine.threads import DaemonThreads, Workers
from dlcore.engine.timeline import Timeline

TRAINING = instance(Training, example="dl.training(...)")
STUDY = MAKES_TRAININGS | instance(Study, example="dl.study(fit, seed=np.arange(4))")


class Options(NamedTuple):
    """How a study is executed; see `sweep`."""

    along: str
    lane_width: int | None
    final_params: bool
    final_state: bool
    progress: bool | None


@arguments(training=TRAINING, start=ANYTHING, final_params=boolean, final_state=boolean, progress=boolean | NONE)
def run(
    training: Training,
    *,
    start: Any = None,
    final_params: bool = False,
    final_state: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    """Execute one run, alone on one device.

    The fastest way to one run. Its numbers differ from those of the same run in a sweep by float rounding, since the
    compiler orders sums differently for one run and for lanes; for the bits of a sweep, sweep axes of one value.

    Args:
      start: a state to go on from, in place of the training's first: `dlcore.final_state(results, training)` of a run
        with `final_state=True`. The training's length is what is added; the records are those after the start. Bit for
        bit what one longer run gives.
      final_params: keep the last parameters too, or the best: see `dlcore.final_params`.
      final_state: keep the last state too: see `dlcore.final_state`.
      progress: show a progress bar; by default where somebody watches.

    Returns:
      the records, dim "step", with the one at step 0; coordinates epoch and examples.

    Raises:
      ArgumentError: a state that does not fit the training.
      KeyboardInterrupt: on Ctrl-C; its attribute `results` holds the records so far.

    Example:
      >>> training = dl.Training(init=lambda: 1.0, advance=lambda x: (x / 2, {"x": x / 2}), num_records=3)
      >>> dl.run(training).x.values
      array([0.5  , 0.25 , 0.125], dtype=float32)
    """
    study = Study(lambda: check_training(training, "the training"))
    options = Options("step", None, final_params, final_state, progress)
    return _evaluate(study, options, lambda traced: None, jax.devices()[:1], start)


@arguments(
    fn=STUDY,
    points=POINTS,
    along=text,
    lane_width=integer(1, 4096, meaning="runs side by side on one device") | NONE,
    final_params=boolean,
    final_state=boolean,
    progress=boolean | NONE,
    axes=ANYTHING,
)
def sweep(
    fn: Study | Callable[..., Training],
    /,
    *points: Points,
    along: str = "step",
    lane_width: int | None = None,
    final_params: bool = False,
    final_state: bool = False,
    progress: bool | None = None,
    **axes: Any,
) -> xr.Dataset:
    """Execute a study, compiled into one program for each combination of static values.

    A cell's numbers depend on its own values, not on the other cells, their order or number, or the number of devices.

    Args:
      fn: a `dlcore.study`; or a function, of which `sweep(fn, *points, **axes)` makes `study(fn, *points, **axes)`.
        A parameter of the function that is called like an option of this one is an axis of a study only.
      points, axes: as in `dlcore.study`.
      along: the dimension of time: "step", "epoch" or "examples", or another coordinate of a hand-written training.
        Cells that record at different steps (several batch sizes) can share "epoch".
      lane_width: runs side by side on one device; chosen by the size of state and records by default. Different widths
        give results that differ by float rounding.
      final_params: keep each cell's last parameters too, or its best; see `dlcore.final_params`.
      final_state: keep each cell's last state too; see `dlcore.final_state`.
      progress: show a progress bar; by default where somebody watches.

    Returns:
      the records, dims (*points and axes in the order given, along, ...); coordinates epoch and examples; provenance in
      attrs. What a cell lacks is NaN: the time after its end, a record or a part of an array that only others have.

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
    if isinstance(fn, Study):
        if points or axes:
            given = ", ".join(axes) or "points"
            raise ArgumentError(f"sweep: a study and {given} are given; expects one or the other: study(fn, {given}).")
        study = fn
    else:
        study = study_of(fn, *points, **axes)
    devices = jax.devices()
    warn_of_idle_cores()

    def width(traced: Traced) -> int:
        return lane_width or default_lane_width(traced, devices[0].platform)

    return _evaluate(study, Options(along, lane_width, final_params, final_state, progress), width, devices)


def _evaluate(
    study: Study,
    options: Options,
    width: Callable[[Traced], int | None],
    devices: Sequence[jax.Device],
    start: Any = None,
) -> xr.Dataset:
    """Trace everything, check it, then run all cells block by block."""
    if isinstance(jnp.zeros(()), Tracer):
        raise ArgumentError(
            "dl.run or dl.sweep is called while JAX traces a function (inside jit, vmap or grad, or in the function of "
            "another study); expects a call from outside, since it compiles and executes programs itself. Inside, call "
            "training.init() and training.advance(state)."
        )
    warn_of_wrong_gradients()
    so_far = functools.partial(no_results, study)  # what an interrupt gets, until there is room for results
    try:
        constants, cell = Constants(), study.abstract_cell()
        programs = study.programs
        traced = [
            trace(functools.partial(_training_of, study, static), cell, constants, final_params=options.final_params)
            for static, _ in programs
        ]
        for part, (_, rows) in zip(traced, programs, strict=True):
            part.check({name: values[rows] for name, values in study.traced.items()})
        names = [name_of_program(static) for static, _ in programs]
        states, continued = _going_on(traced[0], start) if start is not None else (None, None)
        timeline = Timeline(study, [part.training for part in traced], names, options.along, continued)
        kept = {"final_params": options.final_params, "final_state": options.final_state}
        table = Table(study, traced, timeline, **kept)
        widths = [width(part) for part in traced]
        attrs = {"along": options.along, "lane_width": ", ".join(sorted({str(each or "none") for each in widths}))}
        so_far = functools.partial(table.dataset, traced[0].training.attrs, attrs)
        _run_blocks(study, traced, widths, devices, constants, table, options.progress, states)
    except KeyboardInterrupt as interrupt:
        interrupt.results = so_far()  # pyright: ignore[reportAttributeAccessIssue]
        raise
    return so_far()


def _training_of(study: Study, static: Mapping[str, Any], cell: Mapping[str, Any]) -> Training:
    return study.training({**cell, **static})


def _going_on(traced: Traced, start: Any) -> tuple[Any, Mapping[str, np.ndarray] | None]:
    """The state to go on from as that of one lane, and the coordinates from there on."""
    if isinstance(start, xr.Dataset):
        raise ArgumentError("start is a Dataset of results; expects a state: dl.final_state(results, training).")
    given, expected = by_path(start), by_path(traced.state)
    for name in {**expected, **given}:
        if described(given.get(name)) != described(expected.get(name)):
            raise ArgumentError(
                f"start holds {described(given.get(name))} as {name!r}, a state of this training "
                f"{described(expected.get(name))}. Take it from dl.final_state(results, training) of a run with the "
                "same model, optimizer, keep_best and stop."
            )
    if jax.tree.structure(start) != jax.tree.structure(traced.state):
        raise ArgumentError(f"start is a {type(start).__name__}; expects a {type(traced.state).__name__}.")
    training = traced.training
    coordinates = training.coordinates if training.continued is None else training.continued(start)
    check_training(training._replace(coordinates=coordinates), "the training that goes on")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], start), coordinates


def _run_blocks(
    study: Study,
    traced: Sequence[Traced],
    widths: Sequence[int | None],
    devices: Sequence[jax.Device],
    constants: Constants,
    table: Table,
    progress: bool | None,
    states: Any,
) -> None:
    """Hand the blocks to the devices as they fall free; memory is bounded by one block a device."""
    cells = study.traced
    compilers = DaemonThreads(available_cores())
    with progress_bar(study.num_cells, shown=progress) as report:

        def run_block(device: jax.Device, program: Program, block: Block) -> Iterator[None]:
            padded = np.pad(block.rows, (0, program.num_lanes - len(block.rows)), mode="edge")
            values = {name: axis[padded] for name, axis in cells.items()}
            reported = 0.0
            for segment in program.segments(device, values, states):
                table.put(block, segment)
                done = 1.0 if segment.is_last else (segment.begin + segment.count - 1) / program.num_records
                report(max(0.0, done - reported) * len(block.rows))
                reported = max(done, 0.0)
                yield

        try:
            with Workers(devices, run_block) as workers:
                for position, (part, width) in enumerate(zip(traced, widths, strict=True)):
                    program = build(part, lane_width=width, device=devices[0], threads=compilers, constants=constants)
                    _, rows = study.programs[position]
                    for begin in range(0, len(rows), program.num_lanes):
                        workers.submit(program, Block(position, rows[begin : begin + program.num_lanes]))
                workers.finish()
        finally:
            compilers.close()
