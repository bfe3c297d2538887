"""When a run arrives at a target, by one rule for all batch sizes."""

import math

import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, instance, number, text
from dlcore.core.errors import ArgumentError, DataError


@arguments(history=instance(xr.Dataset), metric=text, target=number(), window=number(0), along=text)
def arrival(
    history: xr.Dataset, metric: str, target: float, *, window: float = 0.0, along: str = "examples"
) -> xr.DataArray:
    """Where `metric` first is at `target` or below, and stays there on average over what follows.

    The first record at the target from which on the mean of the records over the next `window` is at the target too. A
    run that only dips below it has not arrived; one that falls steadily arrives when it passes, whatever the window.
    "Three records in a row" mean other numbers of examples for each batch size, this does not.

    Args:
      history: a time dimension "step" among others, with records at equal distances along `along`.
      metric: name of a variable where smaller is better, e.g. "train_loss".
      target: value to reach, in the metric's units.
      window: over which it must stay there, in units of `along`; 0 is dense first passage. Below the distance of two
        records it holds one of them. A window that goes on after the last record confirms nothing.
      along: coordinate of the time dimension in which arrival is told: "examples", "step", "epoch".

    Returns:
      dims (...): in units of `along`; NaN where the run never arrived (a censored observation, not an error).

    Raises:
      ArgumentError: `metric` or `along` is not in `history`.
      DataError: records at unequal distances, or fewer than two.

    Example:
      >>> import xarray as xr
      >>> history = xr.Dataset(
      ...     {"loss": ("step", [3.0, 0.9, 2.0, 0.5, 0.4])}, {"examples": ("step", [0, 10, 20, 30, 40])}
      ... )
      >>> float(dl.evidence.arrival(history, "loss", 1.0)), float(dl.evidence.arrival(history, "loss", 1.0, window=20))
      (10.0, 30.0)
    """
    for name, kind in ((metric, "variable"), (along, "coordinate")):
        if name not in history.variables:
            raise ArgumentError(f"no {kind} {name!r} in the history; it has {', '.join(map(str, history.variables))}.")
    times = history[along]
    if times.ndim != 1 or times.dims[0] not in history[metric].dims:
        raise ArgumentError(f"{along!r} has the dims {times.dims}; expects a time that {metric!r} has too.")
    (dim,) = times.dims
    distances = np.diff(times.values)
    if not len(distances) or not np.allclose(distances, distances[0]):
        raise DataError(f"arrival: records lie at {times.values}; expects two or more at equal distances.")
    values = history[metric].transpose(..., dim)
    num_records = max(1, math.ceil(window / distances[0] - 1e-9))
    arrived = values.values <= target
    if num_records > 1:
        arrived &= _following_mean(values.values, num_records) <= target
    first = np.where(arrived.any(-1), times.values[arrived.argmax(-1)], np.nan)
    return values.isel({dim: 0}, drop=True).copy(data=first).rename(f"{along}_to_target").drop_attrs()


def _following_mean(values: np.ndarray, num_records: int) -> np.ndarray:
    """Mean of each record and those after it, so many in all; NaN where there are not so many."""
    means = np.full(values.shape, np.nan)
    if num_records <= values.shape[-1]:
        windows = np.lib.stride_tricks.sliding_window_view(values, num_records, axis=-1)
        means[..., : windows.shape[-2]] = windows.mean(-1)
    return means
