"""Choosing a learning rate: a grid that grows at its edges and is refined around its best value."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from dlcore.core.arguments import arguments, function, integer, number, result_of, sequence
from dlcore.core.errors import ArgumentError, shown


class Tuned(NamedTuple):
    """What `tune` found.

    history: the whole grid, dims (..., learning_rate, ...). best: learning rate of the lowest score, dims as the
    score's without learning_rate; NaN where no rate has a finite score. interior: whether the grid goes on beyond it on
    both sides; a best value at the edge is no result.

    Example:
      >>> import xarray as xr
      >>> def run_rates(rates):
      ...     return xr.Dataset({"loss": ("learning_rate", np.log(rates) ** 2)}, {"learning_rate": rates})
      >>> tuned = dl.evidence.tune(run_rates, [0.5, 1.0, 2.0], lambda history: history.loss)
      >>> float(tuned.best), bool(tuned.interior)
      (1.0, True)
    """

    history: xr.Dataset
    best: xr.DataArray
    interior: xr.DataArray


@arguments(
    run_rates=function,
    learning_rates=sequence(
        number(0, open_low=True), text="learning rates; it expects 3 or more, increasing with a constant ratio"
    ),
    score=function,
    max_rounds=integer(0, 100),
    refine=integer(1, 64),
)
def tune(
    run_rates: Callable[[np.ndarray], xr.Dataset],
    learning_rates: Sequence[float] | np.ndarray,
    score: Callable[[xr.Dataset], xr.DataArray],
    *,
    max_rounds: int = 8,
    refine: int = 1,
) -> Tuned:
    """Run a logarithmic grid of learning rates that grows while a best value sits at its edge, then refine it there.

    Args:
      run_rates: `run_rates(rates [k]) -> Dataset` with dim learning_rate; called for new rates only.
      learning_rates: first grid, [k], k of 3 or more, increasing with a constant ratio.
      score: `score(Dataset) -> DataArray` with dim learning_rate, lower is better, inf or NaN for no result.
      max_rounds: how often the grid may grow, by two rates at a time.
      refine: into how many steps, of equal ratio, the grid is divided next to each best value; 4 turns factors of 2
        into factors of 2^(1/4). It matters for batch descent, whose best rate lies at the edge of stability.

    Raises:
      ArgumentError: a grid of another kind, functions that return something else.

    Example:
      >>> import xarray as xr
      >>> def run_rates(rates):
      ...     return xr.Dataset({"loss": ("learning_rate", np.log(rates) ** 2)}, {"learning_rate": rates})
      >>> tuned = dl.evidence.tune(run_rates, [0.1, 0.2, 0.4], lambda history: history.loss, refine=4)
      >>> round(float(tuned.best), 2), tuned.history.sizes["learning_rate"]
      (0.95, 11)
    """
    rates = np.asarray(learning_rates, float)
    ratio = rates[1] / rates[0] if len(rates) > 2 else math.nan
    if not (ratio > 1 and math.isfinite(ratio) and np.allclose(rates[1:] / rates[:-1], ratio)):
        raise ArgumentError(
            f"tune: learning_rates are {shown(learning_rates)}; expects 3 or more, increasing with a constant ratio."
        )
    tuned = _best(_ran(run_rates, rates), score)
    for _ in range(max_rounds):
        new = _beyond(tuned, ratio)
        if not len(new):
            break
        tuned = _best(_joined(tuned.history, _ran(run_rates, new)), score)
    new = _between(tuned, ratio, refine)
    return _best(_joined(tuned.history, _ran(run_rates, new)), score) if len(new) else tuned


def _beyond(tuned: Tuned, ratio: float) -> np.ndarray:
    """Two rates more at each edge of the grid where a best value sits."""
    rates = tuned.history.learning_rate.values
    at_edge = tuned.best.where(~tuned.interior)
    below = rates[0] * ratio ** np.array([-2.0, -1.0]) if bool((at_edge == rates[0]).any()) else np.empty(0)
    above = rates[-1] * ratio ** np.array([1.0, 2.0]) if bool((at_edge == rates[-1]).any()) else np.empty(0)
    new = np.concatenate([below, above])
    return new if (np.isfinite(new) & (new > 0)).all() else np.empty(0)


def _between(tuned: Tuned, ratio: float, refine: int) -> np.ndarray:
    """The rates of a finer grid between each best value and its neighbors."""
    best = np.unique(tuned.best.where(tuned.interior).values)
    powers = np.arange(1 - refine, refine) / refine
    new = best[np.isfinite(best), None] * ratio ** powers[powers != 0]
    return _distinct(new.ravel())


def _distinct(rates: np.ndarray) -> np.ndarray:
    """Ascending, each once: neighbors of two best values coincide up to rounding."""
    rates = np.sort(rates)
    return rates[np.append(True, np.diff(np.log(rates)) > 1e-6)] if len(rates) else rates


def _joined(history: xr.Dataset, new: xr.Dataset) -> xr.Dataset:
    return xr.concat([history, new], "learning_rate", join="exact").sortby("learning_rate")


def _ran(run_rates: Callable[[np.ndarray], xr.Dataset], rates: np.ndarray) -> xr.Dataset:
    history = result_of("tune: run_rates", run_rates, rates)
    fits = isinstance(history, xr.Dataset) and "learning_rate" in history.coords
    if not fits or history.sizes.get("learning_rate") != len(rates):
        raise ArgumentError(
            f"tune: run_rates gives {shown(history)} for {len(rates)} rates; expects a Dataset with the coordinate "
            f"learning_rate [{len(rates)}]."
        )
    return history


def _best(history: xr.Dataset, score: Callable[[xr.Dataset], xr.DataArray]) -> Tuned:
    scores = result_of("tune: score", score, history)
    fits = isinstance(scores, xr.DataArray) and scores.dtype.kind in "biuf"
    if not fits or scores.sizes.get("learning_rate") != history.sizes["learning_rate"]:
        raise ArgumentError(
            f"tune: score gives {shown(scores)}; expects a DataArray of numbers with the dimension learning_rate, e.g. "
            "history.train_loss.isel(step=-1)."
        )
    scores = scores.where(np.isfinite(scores), np.inf)
    position = scores.argmin("learning_rate")
    found = np.isfinite(scores.min("learning_rate"))
    interior = (position > 0) & (position < scores.sizes["learning_rate"] - 1)
    best = history.learning_rate[position].drop_vars("learning_rate").where(found)
    return Tuned(history, best.rename("best_learning_rate"), interior | ~found)
