"""A study before it runs: everything is traced and checked, nothing is lowered or compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh

from dlcore.core.errors import ArgumentError, DlcoreError, described
from dlcore.core.labeled import by_path
from dlcore.core.training import Training
from dlcore.engine.axes import Study
from dlcore.engine.checks import check_training
from dlcore.engine.devices import Constants
from dlcore.engine.later import xr
from dlcore.engine.places import Place, is_first_process, mesh_words, own_devices
from dlcore.engine.program import Program, build
from dlcore.engine.records import Variables
from dlcore.engine.results import Kept, Table, name_of_program, variables_of
from dlcore.engine.setup import warn_of_wrong_gradients
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.timeline import Clock, Timeline, clock_of
from dlcore.engine.traced import Traced, trace


class Options(NamedTuple):
    """How a study is executed; see `sweep`."""

    along: str = "step"
    keeps: Kept = Kept()
    progress: bool | None = None

    def shown_on(self, place: Place) -> bool | None:
        """Whether a progress bar is shown, as `progress_bar` takes it: of several processes one shows it."""
        return self.progress if is_first_process(place) else False


class Prepared(NamedTuple):
    """A study that is traced and checked.

    traced: its programs, in order. widths: lanes of each, None for one run that is not vectorized. variables, clocks:
    of each. states: of one lane, to go on from in place of the start, or None. attrs: of the results. failures: by the
    position of a program, what the function raised; another program stands in its place.
    """

    study: Study
    options: Options
    traced: Sequence[Traced]
    widths: Sequence[int | None]
    constants: Constants
    variables: Sequence[Variables]
    clocks: Sequence[Clock]
    table: Table
    states: Any
    attrs: Mapping[str, Any]
    failures: Mapping[int, Exception] = {}

    def results(self) -> xr.Dataset:
        """What there is so far."""
        return self.table.dataset(self.traced[0].training.attrs, self.attrs)

    def program(self, position: int, place: Place, threads: DaemonThreads) -> Program:
        """One of the programs, lowered; compiled in threads when it is used."""
        traced, width = self.traced[position], self.widths[position]
        return build(traced, lane_width=width, place=place, threads=threads, constants=self.constants)


def prepare(
    study: Study,
    options: Options,
    width: Callable[[Traced], int | None],
    start: Any = None,
    *,
    mesh: Mesh | None = None,
    room: bool = True,
    tolerant: bool = False,
) -> Prepared:
    """Trace and check a study.

    Args:
      width: lanes of a program. start: a state to go on from, of a study of one run. mesh: of that run, or None.
      room: for results; see `Table`. tolerant: note what the user's function raises for some static values only.
    """
    if isinstance(jnp.zeros(()), Tracer):
        raise ArgumentError(
            "dl.run or dl.sweep is called while JAX traces a function (inside jit, vmap or grad, or in the function of "
            "another study); expects a call from outside, since it compiles and executes programs itself. Inside, call "
            "training.init() and training.advance(state)."
        )
    if not jax.sharding.get_abstract_mesh().empty:
        raise ArgumentError(
            "dl.run or dl.sweep is called after jax.set_mesh; expects no mesh of JAX's own: it places arrays itself. "
            "Leave jax.set_mesh out, and pass the mesh: dl.training(..., mesh=mesh)."
        )
    warn_of_wrong_gradients()
    constants, cell, keeps = Constants(), study.abstract_cell(), options.keeps
    programs = study.programs

    def traced_one(static: Mapping[str, Any], rows: np.ndarray) -> Traced:
        found = trace(functools.partial(training_of, study, static), cell, constants, final_params=keeps.params)
        found.check({name: values[rows] for name, values in study.traced.items()})
        return found

    traced, failures = _all_traced(traced_one, programs, tolerant)
    names = [name_of_program(static) for static, _ in programs]
    _check_mesh(traced, names, mesh)
    states, continued = _going_on(traced[0], start) if start is not None else (None, None)
    clocks = [clock_of(part.training, continued) for part in traced]
    timeline = Timeline(study, clocks, names, options.along)
    variables = [variables_of(part, keeps) for part in traced]
    table = Table(study, variables, timeline, room=room)
    widths = [width(part) for part in traced]
    attrs = {"along": options.along, "lane_width": ", ".join(sorted({str(each or "none") for each in widths}))}
    if mesh is not None:
        attrs["mesh"] = mesh_words(mesh)
    return Prepared(study, options, traced, widths, constants, variables, clocks, table, states, attrs, failures)


def _all_traced(
    traced_one: Callable[..., Traced], programs: Sequence[tuple[Mapping[str, Any], np.ndarray]], tolerant: bool
) -> tuple[list[Traced], dict[int, Exception]]:
    """All programs traced; and by position what the user's function raised, where it did not for all of them."""
    found: dict[int, Traced] = {}
    failures: dict[int, Exception] = {}
    for position, (static, rows) in enumerate(programs):
        try:
            found[position] = traced_one(static, rows)
        except DlcoreError:  # a wrong argument, which is better said at once
            raise
        except Exception as error:
            if not tolerant:
                raise
            failures[position] = error
    if not found:
        raise failures[0]
    first = next(iter(found.values()))
    return [found.get(position, first) for position in range(len(programs))], failures


def training_of(study: Study, static: Mapping[str, Any], cell: Mapping[str, Any]) -> Training:
    """The training of one cell; static: its values by parameter."""
    return study.training({**cell, **static})


def _check_mesh(traced: Sequence[Traced], names: Sequence[str], mesh: Mesh | None) -> None:
    """Raise `ArgumentError` for a mesh of other processes, or one in a study, whose cells have one device each."""
    if mesh is not None and not own_devices(mesh):
        raise ArgumentError(
            f"the mesh has no device of process {jax.process_index()}; expects one or more. Call dl.run in the others "
            "only, or make the mesh of all devices: jax.make_mesh((jax.device_count(),), ('data',))."
        )
    for part, name in zip(traced, names, strict=True):
        if part.training.mesh not in (None, mesh):
            raise ArgumentError(
                f"{name} has a mesh of {part.training.mesh.size} devices; expects none in a sweep, which keeps all "
                "devices busy with runs of their own. Leave mesh out, or run the cells one after another: "
                "dl.run(fit(...))."
            )


def _going_on(traced: Traced, start: Any) -> tuple[Any, Mapping[str, np.ndarray] | None]:
    """The state to go on from as that of one lane, and the coordinates from there on."""
    if isinstance(start, xr.Dataset):
        raise ArgumentError("start is a Dataset of results; expects a state: dl.final_state(results, training).")
    given, expected = by_path(start), by_path(traced.state)
    for name in {**expected, **given}:
        if described(given.get(name)) != described(expected.get(name)):
            there, wanted = (described(state[name]) if name in state else "none" for state in (given, expected))
            raise ArgumentError(
                f"start has {there} as {name!r}; this training expects {wanted}. Take the state for the training that "
                "goes on, dl.run(training, start=dl.final_state(results, training)), with the model and optimizer that "
                "ran; it may leave out stop and keep_best."
            )
    if jax.tree.structure(start) != jax.tree.structure(traced.state):
        raise ArgumentError(f"start is a {type(start).__name__}; expects a {type(traced.state).__name__}.")
    training = traced.training
    coordinates = training.coordinates if training.continued is None else training.continued(start)
    check_training(training._replace(coordinates=coordinates), "the training that goes on")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], start), coordinates
