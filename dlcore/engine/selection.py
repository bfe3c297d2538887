"""Records out of results: the last of each run, and the best."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, instance, one_of, text
from dlcore.core.errors import ArgumentError, suggest
from dlcore.core.watching import mode_of
from dlcore.engine.later import xr

RESULTS = instance("xarray.Dataset", example="what dl.run and dl.sweep return")


@arguments(results=RESULTS)
def last_record(results: xr.Dataset) -> xr.Dataset:
    """The last record of each run, also where some runs are shorter or were stopped: `.isel(step=-1)` is missing there.

    Args:
      results: of `dlcore.run` or `dlcore.sweep`, or a part of them that still has its time.

    Returns:
      the results without the dimension of time, whose coordinates say where each run's last record is.

    Raises:
      ArgumentError: results without time.

    Example:
      >>> def fit(num_records):
      ...     return dl.Training(lambda: 1.0, lambda x: (x / 2, {"x": x / 2}), num_records)
      >>> dl.last_record(dl.sweep(fit, num_records=[1, 3])).x.values
      array([0.5  , 0.125], dtype=float32)
    """
    along = _time(results)
    records = [variable for variable in results.data_vars.values() if along in variable.dims]
    shared = set.intersection(*(set(variable.dims) for variable in records))
    there = [variable.notnull().any([dim for dim in variable.dims if dim not in shared]) for variable in records]
    known = results["finite"].notnull() if "finite" in results else xr.concat(there, "record").any("record")
    number = xr.DataArray(np.arange(1, known.sizes[along] + 1), dims=along)
    return _known(results.isel({along: (known * number).argmax(along)}))


def _accept_record(value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2:
        raise RefusedError(f"Say dl.best_record(results, {value[0]!r}, mode={value[1]!r}).")
    return text.accept(value)


@arguments(results=RESULTS, by=Constraint(text.expected, _accept_record), mode=one_of("min", "max") | NONE)
def best_record(results: xr.Dataset, by: str, mode: str | None = None) -> xr.Dataset:
    """The record of each run at which `by` is best; of equals the first.

    Args:
      results: of `dlcore.run` or `dlcore.sweep`, or a part of them that still has its time.
      by: name of a record of one number, e.g. "validation_loss".
      mode: whether less ("min") or more ("max") is better; by default what the name says, as in `early_stopping`.

    Returns:
      the results without the dimension of time, whose coordinates say where each run's best record is.

    Raises:
      ArgumentError: a name that is no record, or that does not say what is better.

    Example:
      >>> training = dl.Training(lambda: 3.0, lambda x: (x - 1, {"loss": (x - 2) ** 2}), num_records=4)
      >>> dl.best_record(dl.run(training), "loss").step.item()
      2
    """
    along = _time(results)
    if by not in results.data_vars or along not in results[by].dims:
        raise ArgumentError(
            f"best_record: by is {by!r}, which is no record; {suggest(by, map(str, results.data_vars))}"
        )
    mode = mode or mode_of(by)
    if mode is None:
        raise ArgumentError(f"best_record: the name {by!r} does not say what is better; expects mode='min' or 'max'.")
    worst = np.inf if mode == "min" else -np.inf
    values = results[by].fillna(worst)
    return _known(results.isel({along: values.argmin(along) if mode == "min" else values.argmax(along)}))


def _known(record: xr.Dataset) -> xr.Dataset:
    """The record with `finite` as Boolean again, which became a number beside records that a run has not."""
    if "finite" in record and record["finite"].dtype != bool and bool(record["finite"].notnull().all()):
        return record.assign(finite=record["finite"].astype(bool))
    return record


def _time(results: xr.Dataset) -> str:
    """The dimension of time."""
    for name in (results.attrs.get("along"), "step", "epoch", "examples"):
        if name in results.dims:
            return str(name)
    raise ArgumentError(f"the results have the dimensions {', '.join(map(str, results.dims))}; expects one of time.")
