"""How fast runs converge: steps to a target."""

import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, instance, integer, number, text
from dlcore.core.errors import ArgumentError, DataError


@arguments(history=instance(xr.Dataset), metric=text, target=number(), along=text, consecutive=integer())
def steps_to_target(
    history: xr.Dataset, metric: str, target: float, *, along: str = "step", consecutive: int = 1
) -> xr.DataArray:
    """Where along time `metric` first falls to `target` or below, at the resolution of the records.

    Args:
      history: dims (..., along), as returned by `dl.sweep`.
      metric: name of a variable where smaller is better, e.g. "train_loss".
      target: value to reach, in the metric's units.
      along: "step", or another dimension of time.
      consecutive: records in a row, this one the first, that have to be there; 1 counts a dip.

    Returns:
      dims (...): steps, as float; NaN where the run never got there (a censored observation, not an error).

    Raises:
      ArgumentError: `metric` or `along` is not in `history`; the message lists what is.
      DataError: a metric without that dimension, or of no numbers.
    Reference: Shallue et al., Measuring the effects of data parallelism on neural network training, JMLR 2019, sec. 3.

    Example:
      >>> import xarray as xr
      >>> history = xr.Dataset({"loss": ("step", [3.0, 0.9, 2.0, 0.5, 0.4])}, {"step": [0, 10, 20, 30, 40]})
      >>> float(dl.evidence.steps_to_target(history, "loss", 1.0, consecutive=2))
      30.0
    """
    if metric not in history.data_vars:
        raise ArgumentError(f"no variable {metric!r} in the history; it has {', '.join(map(str, history.data_vars))}.")
    if along not in history.dims:
        raise ArgumentError(f"no dimension {along!r} in the history; it has {', '.join(map(str, history.dims))}.")
    values, times = history[metric], history[along]
    if along not in values.dims or values.dtype.kind not in "biuf" or times.dtype.kind not in "iuf":
        raise DataError(
            f"steps_to_target: {metric!r} is {values.dtype}, dims {values.dims}, along {times.dtype}; expects numbers "
            f"with the dimension {along!r}."
        )
    reached = values <= target
    reached = reached.copy(data=_beginnings(reached.values, reached.get_axis_num(along), consecutive))
    first = xr.where(reached, times, np.inf).min(along)
    return first.where(np.isfinite(first)).rename(f"{along}s_to_target")


def _beginnings(there: np.ndarray, axis: int, consecutive: int) -> np.ndarray:
    """Where this and the next entries along the axis, so many in all, are true; a window past the end is none."""
    there = np.moveaxis(there, axis, -1)
    found = np.zeros(there.shape, bool)
    num_windows = there.shape[-1] - consecutive + 1
    if num_windows > 0:
        before = np.concatenate([np.zeros_like(there[..., :1], int), np.cumsum(there, axis=-1)], axis=-1)
        found[..., :num_windows] = before[..., consecutive:] - before[..., :num_windows] == consecutive
    return np.moveaxis(found, -1, axis)
