"""`run` one training, `sweep` a study of trainings; both return labeled arrays."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from dlcore.core.arguments import ANYTHING, NONE, arguments, boolean, instance, integer, text
from dlcore.core.arguments import path as a_path
from dlcore.core.errors import ArgumentError, FailedCellsError
from dlcore.core.training import Training
from dlcore.engine.axes import MAKES_TRAININGS, POINTS, Points, Study
from dlcore.engine.axes import study as study_of
from dlcore.engine.checks import check_training
from dlcore.engine.distributed.pools import EXECUTOR
from dlcore.engine.durable.remote import run_remote
from dlcore.engine.durable.stored import open_matching, run_missing
from dlcore.engine.durable.workplace import Remote
from dlcore.engine.execution import run_blocks
from dlcore.engine.later import xr
from dlcore.engine.places import Place
from dlcore.engine.preparation import Options, Prepared, prepare
from dlcore.engine.program import default_lane_width
from dlcore.engine.results import Kept, no_results
from dlcore.engine.setup import available_cores, warn_of_idle_cores
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.traced import Traced

TRAINING = instance(Training, example="dl.training(...)")
STUDY = MAKES_TRAININGS | instance(Study, example="dl.study(fit, seed=np.arange(4))")


STORE = a_path | NONE


class Stores(NamedTuple):
    """Where a study is kept, and who computes it.

    states: whether its states are kept too. executor: whose workers compute it, or None. lane_width: of theirs.
    """

    path: str
    states: bool
    executor: Any
    lane_width: int | None


@arguments(
    training=TRAINING,
    start=ANYTHING,
    store=STORE,
    final_params=boolean,
    final_state=boolean | NONE,
    progress=boolean | NONE,
)
def run(
    training: Training,
    *,
    start: Any = None,
    store: str | os.PathLike | None = None,
    final_params: bool = False,
    final_state: bool | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Execute one run, alone on one device, or on all the devices of its mesh.

    The fastest way to one run. Its numbers differ from those of the same run in a sweep by float rounding, since the
    compiler orders sums differently for one run and for lanes; for the bits of a sweep, sweep axes of one value.

    Args:
      start: a state to go on from, in place of the training's first: `dlcore.final_state(results, training)` of a run
        with `final_state=True`. The training's length is what is added; the records are those after the start. Bit for
        bit what one longer run gives.
      store: a folder that keeps the run: what is there is read, the rest is computed, from the last state there (one a
        minute is kept, and the last). So the same call goes on after a crash, and a longer one from a shorter one.
      final_params: keep the last parameters too, or the best: see `dlcore.final_params`.
      final_state: keep the last state too: see `dlcore.final_state`. With a store, states are in it unless this is
        False.
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
    if start is not None and store is not None:
        raise ArgumentError(
            "run: a start and a store are given; expects one of them. A store goes on by itself: pass the same "
            "training, longer, without start."
        )
    study = Study(lambda: check_training(training, "the training"))
    options = Options("step", Kept(final_params, bool(final_state)), progress)
    places = jax.local_devices()[:1] if training.mesh is None else [training.mesh]
    return _evaluate(study, options, lambda traced: None, places, _stores(store, final_state), start)


@arguments(
    fn=STUDY,
    points=POINTS,
    along=text,
    lane_width=integer(1, 4096, meaning="runs side by side on one device") | NONE,
    store=STORE,
    executor=EXECUTOR | NONE,
    final_params=boolean,
    final_state=boolean | NONE,
    progress=boolean | NONE,
    axes=ANYTHING,
)
def sweep(
    fn: Study | Callable[..., Training],
    /,
    *points: Points,
    along: str = "step",
    lane_width: int | None = None,
    store: str | os.PathLike | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    final_params: bool = False,
    final_state: bool | None = None,
    progress: bool | None = None,
    **axes: Any,
) -> xr.Dataset:
    """Execute a study, compiled into one program for each combination of static values.

    A cell's numbers depend on its own values, not on the other cells, their order or number, or the number of devices.
    Those of `dlcore.run` may differ in the last bits.

    Args:
      fn: a `dlcore.study`; or a function, of which `sweep(fn, *points, **axes)` makes `study(fn, *points, **axes)`.
        A parameter of the function that is called like an option of this one is an axis of a study only.
      points, axes: as in `dlcore.study`.
      along: the dimension of time: "step", "epoch" or "examples", or another coordinate of a hand-written training.
        Cells that record at different steps (several batch sizes) can share "epoch".
      lane_width: runs side by side on one device; chosen by the size of state and records by default. Different widths
        give results that differ by float rounding.
      store: a folder that keeps each cell as soon as it is computed, and is read by `dlcore.load` at any time. The same
        call on it computes what is missing there: after a crash, of new values, of longer runs, with other processes.
      executor: whose workers compute the blocks, into the store, which they all have to see: any executor of
        `concurrent.futures`, of Dask (`client.get_executor(pure=False)`), of SLURM (`dlcore.executors.submitit`), or a
        function that makes one. Each worker uses one device.
      final_params: keep each cell's last parameters too, or its best; see `dlcore.final_params`.
      final_state: keep each cell's last state too; see `dlcore.final_state`. With a store, states are in it unless this
        is False: longer runs go on from them.
      progress: show a progress bar; by default where somebody watches.

    Returns:
      the records, dims (*points and axes in the order given, along, ...); coordinates epoch and examples; provenance in
      attrs. What a cell lacks is NaN: the time after its end, a record or a part of an array that only others have.

    Raises:
      ArgumentError: an axis or parameter that does not fit, a store of another study or program, before anything
        compiles.
      FailedCellsError: with a store: some cells failed, the others are there.
      KeyboardInterrupt: on Ctrl-C; its attribute `results` holds the cells so far, with a coordinate `finished`.

    Example:
      >>> def fit(start):
      ...     return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2}), num_records=2)
      >>> dl.sweep(fit, start=np.array([1.0, 8.0])).x.values
      array([[0.5 , 0.25],
             [4.  , 2.  ]], dtype=float32)
    """
    study = study_given("sweep", fn, points, axes)
    if executor is not None and store is None:
        raise ArgumentError(
            "sweep: an executor and no store are given; expects both. Workers write what they compute into a folder "
            "that they all see: store='runs/NAME'."
        )
    options = Options(along, Kept(final_params, bool(final_state)), progress)
    width = functools.partial(width_of, lane_width)
    if _instead:
        return _instead[-1](study, options, width, store)
    if executor is None:
        warn_of_idle_cores()
    return _evaluate(study, options, width, jax.local_devices(), _stores(store, final_state, executor, lane_width))


def _stores(path: Any, final_state: bool | None, executor: Any = None, lane_width: int | None = None) -> Stores | None:
    return None if path is None else Stores(os.fspath(path), final_state is not False, executor, lane_width)


def study_given(
    who: str, fn: Study | Callable[..., Training], points: Sequence[Points], axes: Mapping[str, Any]
) -> Study:
    """The study that the function `who` got: itself, or a function with its points and axes."""
    if not isinstance(fn, Study):
        return study_of(fn, *points, **axes)
    if points or axes:
        given = ", ".join(axes) or "points"
        raise ArgumentError(f"{who}: a study and {given} are given; expects one or the other: study(fn, {given}).")
    return fn


def width_of(lane_width: int | None, traced: Traced) -> int:
    """The lanes of a program: those asked for, or as many as suit it."""
    return lane_width or default_lane_width(traced, jax.devices()[0].platform)


_instead: list[Callable[..., xr.Dataset]] = []


@contextlib.contextmanager
def doing_instead(action: Callable[..., xr.Dataset]) -> Iterator[None]:
    """Within it every `sweep`, of any thread, is `action(study, options, width, store)`.

    For the command lines, which plan what they would run.
    """
    _instead.append(action)
    try:
        yield
    finally:
        _instead.remove(action)


def _evaluate(
    study: Study,
    options: Options,
    width: Callable[[Traced], int | None],
    places: Sequence[Place],
    store: Stores | None = None,
    start: Any = None,
) -> xr.Dataset:
    """Trace everything, check it, then run all cells block by block, or those that a store does not have."""
    prepared: list[Prepared] = []
    mesh = places[0] if isinstance(places[0], Mesh) else None

    def so_far() -> xr.Dataset:
        return prepared[-1].results() if prepared else no_results(study)

    def prepare_it() -> Prepared:
        prepared.append(prepare(study, options, width, start, mesh=mesh, tolerant=store is not None))
        return prepared[-1]

    compilers = DaemonThreads(available_cores())
    try:
        if store is None:
            run_blocks(prepare_it(), places, compilers)
        elif store.executor is not None:
            remote = Remote(options, store.lane_width, store.states)
            attrs = run_remote(prepare_it(), store.path, store.executor, remote)
            return so_far().assign_attrs(attrs)
        else:
            found, session = open_matching(prepare_it, store.path, places, compilers, store.states)
            run_missing(session, found, places)
    except (KeyboardInterrupt, FailedCellsError) as error:
        error.results = so_far()  # pyright: ignore[reportAttributeAccessIssue]
        raise
    finally:
        compilers.close()
    return so_far()
