"""When the cells of a study record: one axis of time for all."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dlcore.core.errors import ArgumentError
from dlcore.core.training import Training
from dlcore.engine.axes import Study


class Clock(NamedTuple):
    """When the runs of a program record.

    times: coordinate to its value at each record, the one at step 0 first where there is one. measured: whether there
    is.
    """

    times: Mapping[str, np.ndarray]
    measured: bool

    @property
    def num_records(self) -> int:
        """After step 0."""
        return len(next(iter(self.times.values()))) - self.measured


def clock_of(training: Training, continued: Mapping[str, np.ndarray] | None = None) -> Clock:
    """The clock of a training.

    Args:
      continued: coordinates of a run that goes on from a state, which has no record there.
    """
    measured = training.measure is not None and continued is None
    times = dict(training.coordinates if continued is None else continued)
    times = times or {"step": np.arange(training.num_records + 1)}
    return Clock({key: np.asarray(values)[0 if measured else 1 :] for key, values in times.items()}, measured)


class Timeline:
    """The times of the records.

    Args:
      clocks: of the programs, in order. names: of the programs, in words.
      along: the coordinate that all cells share, e.g. "step".

    Raises:
      ArgumentError: cells that record at different values of `along`, other than that some end earlier.
    """

    def __init__(self, study: Study, clocks: Sequence[Clock], names: Sequence[str], along: str):
        self.along, self._study = along, study
        self._measured = [clock.measured for clock in clocks]
        if len(set(self._measured)) > 1:
            one, other = self._measured.index(True), self._measured.index(False)
            raise ArgumentError(
                f"{names[one]} has a record at step 0, {names[other]} has none; expects the same of all cells. Give "
                "all trainings a measure, or none."
            )
        times = [clock.times for clock in clocks]
        for name, time in zip(names, times, strict=True):
            if along not in time:
                raise ArgumentError(f"along is {along!r}; {name} has the times {', '.join(time)}.")
        self._shared = _shared(times, names, along)
        self._positions = [np.searchsorted(self._shared, time[along]) for time in times]
        self._times = times
        self.names = tuple(dict.fromkeys(name for time in times for name in time))

    def __len__(self) -> int:
        return len(self._shared)

    def positions(self, program: int, begin: int, count: int) -> np.ndarray:
        """Where the records number `begin` to `begin + count - 1` of a program are; that at step 0 has number 0."""
        first = begin - (not self._measured[program])
        return self._positions[program][max(first, 0) : max(first, 0) + count]

    def coordinates(self, length: int) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Every time at the first records, as xarray takes them: along `along`, and axes on which it depends."""
        found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {self.along: ((self.along,), self._shared[:length])}
        for name in self.names:
            if name != self.along:
                found[name] = self._coordinate(name, length)
        return found

    def _coordinate(self, name: str, length: int) -> tuple[tuple[str, ...], np.ndarray]:
        exact = all(time[name].dtype.kind in "iu" for time in self._times if name in time)
        rows = np.full((len(self._times), len(self._shared)), np.nan)
        for row, time, positions in zip(rows, self._times, self._positions, strict=True):
            if name in time:
                row[positions] = time[name]
        rows = rows[:, :length]
        known = functools.reduce(lambda some, more: np.where(np.isnan(some), more, some), rows)
        if np.all((rows == known) | np.isnan(rows)):
            return (self.along,), _as_counted(known, exact)
        static = [dim for dim, along in self._study.dims.items() if any(values.traced is None for values in along)]
        cells = np.empty(self._study.num_cells, int)
        for number, (_, members) in enumerate(self._study.programs):
            cells[members] = number
        index = tuple(slice(None) if dim in static else 0 for dim in self._study.dims)
        values = rows[cells.reshape(self._study.shape)[index]]
        kept = []
        for dim in static:
            axis = len(kept)
            if np.array_equal(values, np.broadcast_to(values.take([0], axis=axis), values.shape), equal_nan=True):
                values = values.take(0, axis=axis)
            else:
                kept.append(dim)
        return (*kept, self.along), _as_counted(values, exact)


def _as_counted(values: np.ndarray, exact: bool) -> np.ndarray:
    """Integers again, where none is missing."""
    return values.astype(np.int64) if exact and np.isfinite(values).all() else values


def _shared(all_times: Sequence[Mapping[str, np.ndarray]], names: Sequence[str], along: str) -> np.ndarray:
    """The times of all: those of the longest, and the ends of others."""
    others = [other for other in all_times[0] if _fit([time.get(other) for time in all_times])]
    advice = "Sweep them apart, or record them alike: record_every=..."
    if others:
        advice = f"Name the time they share: dl.sweep(..., along={others[0]!r})."
    times = [time[along] for time in all_times]
    longest = max(range(len(times)), key=lambda i: len(times[i]))
    for name, time in zip(names, times, strict=True):
        if not _fit([times[longest], time]):
            raise ArgumentError(
                f"cells record at different values of {along!r}: {names[longest]} at {_excerpt(times[longest])}, "
                f"{name} at {_excerpt(time)}. {advice}"
            )
    return np.unique(np.concatenate(times)) if len({len(time) for time in times}) > 1 else times[longest]


def _fit(times: Sequence[np.ndarray | None]) -> bool:
    """Whether all are beginnings of the longest; the end of a shorter one may lie between."""
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return False
    longest = max(known, key=len)
    return all(
        np.array_equal(time, longest) or np.array_equal(time[:-1], longest[:-1][: len(time) - 1]) for time in known
    )


def _excerpt(values: np.ndarray) -> str:
    """The first few values, for a message."""
    return ", ".join(f"{value:g}" for value in values[:3]) + (", ..." if len(values) > 3 else "")
