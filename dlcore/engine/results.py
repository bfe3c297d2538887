"""Labeled results: from the records of a study to an `xarray.Dataset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.core.errors import ArgumentError, shown
from dlcore.core.labeled import by_path
from dlcore.engine.axes import Study, as_given
from dlcore.engine.dtypes import as_numbers
from dlcore.engine.encoding import check_saveable
from dlcore.engine.labels import labels as labels_of
from dlcore.engine.later import xr
from dlcore.engine.program import BEST, ENDED, Block, Segment
from dlcore.engine.provenance import provenance
from dlcore.engine.records import Variable, Variables, common, final, placed, recorded
from dlcore.engine.timeline import Timeline
from dlcore.engine.traced import Traced

# What results hold besides records, times and axes.
MADE = {"finished": "cells", "diverged_at": "cells", "ended_at": "cells", "best_at": "cells"}
FINAL_STATE = "final_state"
SHORTER = "filled_up"  # attribute of arrays that are shorter in some cells


def no_results(study: Study) -> xr.Dataset:
    """The results of a study of which nothing was computed: its axes, and `finished`, which no cell is."""
    finished = (tuple(study.dims), np.zeros(study.shape, bool))
    return xr.Dataset(coords={**study.coordinates(), "finished": finished})


class Kept(NamedTuple):
    """What is kept of runs at their end: parameters and model states, whole states."""

    params: bool = False
    state: bool = False


class Rows(NamedTuple):
    """What was computed of some cells, from one record to another.

    position: of the program. rows: the cells, [n]. begin: number of the first record; that at step 0 has number 0.
    count: how many. records: [n, count, ...] each. final: what is kept, [n, ...] each; None before the runs' end.
    """

    position: int
    rows: np.ndarray
    begin: int
    count: int
    records: Mapping[str, np.ndarray]
    final: Mapping[str, np.ndarray] | None


def rows_of(block: Block, segment: Segment, keeps: Kept) -> Rows:
    """A segment on the host; lanes beyond the block's rows are padding."""
    n = len(block.rows)
    records = {name: np.moveaxis(values[:, :n], 0, 1) for name, values in segment.records.items()}
    final = None
    if segment.is_last:
        kept = jax.tree.map(as_numbers, _kept_arrays(segment.states, segment.final, keeps))
        final = {name: values[:n] for name, values in by_path(jax.device_get(kept)).items()}
    return Rows(block.position, block.rows, segment.begin, segment.count, records, final)


def variables_of(traced: Traced, keeps: Kept) -> Variables:
    """The variables of a program, and of what is kept of its runs."""
    given = None if traced.final is None else traced.final.result
    return Variables(recorded(traced), final(_kept_arrays(traced.state, given, keeps)))


class Table:
    """The results of a study in host memory; each block writes its own rows, from whichever thread.

    What a cell lacks (a record that another has, the time after its end) is missing: NaN.

    Args:
      variables: of the programs, in order.
      room: whether there is to be any for the arrays; a plan needs none.

    Raises:
      ArgumentError: cells whose records have other dimensions than the first's; names that results cannot have.
    """

    def __init__(self, study: Study, variables: Sequence[Variables], timeline: Timeline, *, room: bool = True):
        self._study, self._timeline = study, timeline
        names = [name_of_program(static) for static, _ in study.programs]
        self._own = variables
        self._variables = common([own.records for own in variables], names)
        check_names(study, self._variables, timeline)
        self._variables_final = common([own.final for own in variables], names)
        for name in set(self._variables) & set(self._variables_final):
            raise ArgumentError(f"the record {name!r} has the name of a final parameter; expects another. Rename it.")
        if room:
            self._make_room()

    def _make_room(self) -> None:
        study, length = self._study, len(self._timeline)
        self._records = {
            name: _room((study.num_cells, length, *variable.shape), variable)
            for name, variable in self._variables.items()
        }
        self._final = {
            name: _room((study.num_cells, *variable.shape), variable)
            for name, variable in self._variables_final.items()
        }
        self._there = np.zeros((study.num_cells, length), bool)
        self._last = np.full(study.num_cells, np.iinfo(int).max)  # number of the record at which a run ended early
        self._finished, self._ends = (np.zeros(study.num_cells, bool) for _ in range(2))  # ends: whether they are kept

    @property
    def common(self) -> Variables:
        """What all cells have."""
        return Variables(self._variables, self._variables_final)

    @property
    def num_times(self) -> int:
        """Records of the longest runs, with the one at step 0."""
        return len(self._timeline)

    @property
    def finished(self) -> np.ndarray:
        """Which cells are, [num_cells]."""
        return self._finished

    def put(self, part: Rows) -> None:
        """Take what was computed of some cells."""
        rows, own = part.rows, self._own[part.position]
        positions = self._timeline.positions(part.position, part.begin, part.count)
        index = np.ix_(rows, positions)
        for name, values in part.records.items():
            self._records[name][index] = placed(values, own.records[name], self._variables[name])
        numbers = part.begin + np.arange(part.count)
        if ENDED in part.records:
            ends = np.where(part.records[ENDED], numbers, np.iinfo(int).max).min(axis=1)
            self._last[rows] = np.minimum(self._last[rows], ends)
        there = numbers <= self._last[rows, None]
        self._there[index] = there
        if part.final is not None:
            for name, values in part.final.items():
                self._final[name][rows] = placed(values, own.final[name], self._variables_final[name])
            self._finished[rows] = True
            self._ends[rows] |= bool(part.final)

    def dataset(
        self,
        descriptions: Mapping[str, str],
        attrs: Mapping[str, Any],
        *,
        always_finished: bool = False,
        whole: bool = False,
    ) -> xr.Dataset:
        """The results with the dimensions in the order given, then time, then each variable's own.

        Where cells are unfinished, or if it is asked for, a coordinate `finished` says which; what they lack is missing
        (NaN), and time ends with the last record that any of them has, or with its own end if it is to be whole.
        """
        study, along = self._study, self._timeline.along
        dims = tuple(study.dims)
        if not (whole or self._there.any()):
            return no_results(study)
        length = self.num_times if whole else int(np.flatnonzero(self._there.any(axis=0))[-1]) + 1
        variables, labels = {}, {}
        for kept, own, time, known in (
            (self._records, self._variables, (along,), self._there[:, :length]),
            (self._final, self._variables_final, (), self._ends),
        ):
            for name, values in kept.items():
                if name in (ENDED, BEST):
                    continue
                variable = own[name]
                values = values[:, :length] if time else values
                values = values if known.all() else _masked(values, known, variable)
                inner = tuple(dim or f"{name}_{i}" for i, dim in enumerate(variable.field.dims))
                labels |= {dim: each for dim, each in zip(inner, variable.field.labels, strict=True) if each}
                variables[name] = xr.Variable((*dims, *time, *inner), values.reshape((*study.shape, *values.shape[1:])))
                variables[name].attrs = {"description": descriptions[name]} if name in descriptions else {}
                if not time and not variable.whole:
                    variables[name].attrs[SHORTER] = "with NaN, to the size of the largest cell"
        coordinates = {**study.coordinates(), **self._timeline.coordinates(length)}
        coordinates |= {dim: ((dim,), as_given(labels_of(each))) for dim, each in labels.items()}
        results = xr.Dataset(variables, coordinates, {**provenance(), **attrs})
        if always_finished or not self._finished.all():
            results = results.assign_coords(finished=(dims, self._finished.reshape(study.shape)))
        return results.assign(self._moments(results))

    def _moments(self, results: xr.Dataset) -> dict[str, xr.DataArray]:
        """When runs diverged, and when they ended early."""
        along, found = self._timeline.along, {}
        if "finite" in results:
            not_finite = (results["finite"] == 0).astype(bool)
            text = f"{along} of the first record that is not finite"
            found["diverged_at"] = _first(results[along], not_finite, along).assign_attrs(description=text)
        there = self._there[:, : results.sizes[along]]
        if ENDED in self._variables:
            ended = (self._records[ENDED][:, : there.shape[1]] > 0) & there
            text = f"{along} of the record at which the run was stopped"
            found["ended_at"] = self._first(results, ended).assign_attrs(description=text)
        if BEST in self._variables:
            steps = np.where(there, self._records[BEST][:, : there.shape[1]], -np.inf)  # of the best so far: they grow
            text = f"{along} of the best record"
            best = self._first(results, (steps == steps.max(axis=1, keepdims=True)) & there)
            if along == "step":  # of a run that goes on it may be before its first record
                last = xr.DataArray(steps.max(axis=1).reshape(self._study.shape), dims=self._study.dims)
                best = best.where((last < 0) | (last >= results[along][0]), last)
            found["best_at"] = best.assign_attrs(description=text)
        return found

    def _first(self, results: xr.Dataset, where: np.ndarray) -> xr.DataArray:
        """The first time at which something is so, in each cell [num_cells, time]."""
        along = self._timeline.along
        shaped = where.reshape((*self._study.shape, where.shape[1]))
        return _first(results[along], xr.DataArray(shaped, dims=(*self._study.dims, along)), along)


def name_of_program(static: Mapping[str, Any]) -> str:
    """Static values in words, for a message."""
    return ", ".join(f"{name}={shown(value)}" for name, value in static.items()) or "the run"


def check_names(study: Study, variables: Mapping[str, Variable], timeline: Timeline) -> None:
    """Raise `ArgumentError` for names and labels that results cannot have, or that could not be saved.

    An axis cannot have the name of a time or a record, since results hold one thing of a name.
    """
    coordinates = study.coordinates()
    check_saveable(variables, {name: labels for name, (_, labels) in coordinates.items()})
    dims: dict[str, Any] = {}
    for name, variable in variables.items():
        if name in timeline.names or name in MADE:
            raise ArgumentError(
                f"the record {name!r} has the name of something else in the results; expects another. "
                f"Record it as e.g. '{name}_value'."
            )
        for i, (dim, size, labels) in enumerate(
            zip(variable.field.dims, variable.shape, variable.field.labels, strict=True)
        ):
            known = dims.setdefault(dim or f"{name}_{i}", (size, labels, name))
            if known[:2] != (size, labels):
                raise ArgumentError(
                    f"the records {known[2]!r} and {name!r} have a dimension {dim!r} of different size or labels; "
                    "expects one set of labels for each name. Name one dimension otherwise."
                )
    taken = MADE | dict.fromkeys(timeline.names, "time") | dict.fromkeys(variables, "records")
    taken |= dict.fromkeys(dims, "a dimension")
    for name in coordinates:
        if name in taken:
            raise ArgumentError(
                f"axis {name!r} has the name of something else in the results ({taken[name]}); expects another. "
                f"Rename the function's parameter, e.g. to 'num_{name}' or '{name}_value'."
            )
    for dim in dims:
        if dim in variables or dim in timeline.names or dim in MADE:
            raise ArgumentError(
                f"the dimension {dim!r} has the name of a record or a time; expects another. Rename it."
            )


def _kept_arrays(state: Any, given: Any, keeps: Kept) -> dict[str, Any]:
    """Parameters and model state of a state, or those given; and the whole state."""
    kept: dict[str, Any] = {}
    if keeps.params:
        if given is None:
            given = parameters_of(state)
        kept |= dict(zip(("params", "state"), given, strict=True))
    if keeps.state:
        kept[FINAL_STATE] = state
    return kept


def parameters_of(state: Any) -> tuple[Any, Any]:
    """Parameters and model state of any training's state: by these names, or the whole of it as parameters."""

    def find(name, otherwise):
        return state.get(name, otherwise) if isinstance(state, Mapping) else getattr(state, name, otherwise)

    params = find("params", None)
    return (state, {}) if params is None else (params, find("model_state", {}))


def _room(shape: tuple[int, ...], variable: Variable) -> np.ndarray:
    """An array for a variable, missing until it is written where a cell may lack a part of it."""
    if variable.whole:
        return np.zeros(shape, variable.dtype)
    return np.full(shape, np.nan, variable.missing)


def _masked(values: np.ndarray, known: np.ndarray, variable: Variable) -> np.ndarray:
    """The values with NaN where they are not known."""
    floats = values.astype(variable.missing)
    floats[~known] = np.nan
    return floats


def _first(times: xr.DataArray, where: xr.DataArray, along: str) -> xr.DataArray:
    """The first time at which something is so; NaN if it never is."""
    found = xr.where(where, times, np.inf).min(along)
    return found.where(np.isfinite(found))
