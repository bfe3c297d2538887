"""Comparing variants, each at the learning rate that suits it."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from dlcore.core.arguments import (
    ANYTHING,
    NONE,
    arguments,
    array,
    function,
    instance,
    integer,
    number,
    result_of,
    sequence,
)
from dlcore.core.errors import ArgumentError, DlcoreError, shown
from dlcore.engine.axes import points
from dlcore.engine.sweep import sweep
from dlcore.evidence.tuning import tune

SEEDS = array("iu", ndim=1, text="seeds [n]")


@arguments(
    fit=function,
    variants=ANYTHING,
    rates=sequence(number(0, open_low=True), text="learning rates; it expects those of tune"),
    score=function,
    tuning_seeds=SEEDS,
    seeds=SEEDS,
    max_rounds=integer(0, 100),
    store=instance(pathlib.Path) | NONE,
    lane_width=integer(1) | NONE,
)
def at_own_rates(
    fit: Callable[..., Any],
    variants: Sequence[Any] | np.ndarray,
    rates: Sequence[float] | np.ndarray,
    score: Callable[[xr.Dataset], xr.DataArray],
    *,
    tuning_seeds: np.ndarray,
    seeds: np.ndarray,
    max_rounds: int = 2,
    store: pathlib.Path | None = None,
    lane_width: int | None = None,
) -> xr.Dataset:
    """Runs of each variant at the learning rate that other seeds chose for it.

    Args:
      fit: `fit(variant, learning_rate, seed) -> Training`, as for `dl.sweep`.
      variants: an axis of `dl.sweep`: a list is static, an array, e.g. of numbers of variants, traced.
      rates: first grid of learning rates; see `tune`. Where variants need other rates, `fit` takes them in units of a
        first guess of each.
      score: of a history with dims (variant, learning_rate, seed, step) to dims (variant, learning_rate, seed), lower
        is better; the median over the tuning seeds decides.
      tuning_seeds, seeds: rates are chosen on these, runs are returned of those.
      max_rounds: how often the grid may grow.
      store: a folder for the runs.
      lane_width: as in `dl.sweep`.

    Returns:
      dims (variant, seed, step) and, with dims (variant), learning_rate, and interior: whether the grid goes on beyond
      the rate on both sides; a best rate at the edge is no result. Where no rate has a score it is the first one.

    Raises:
      ArgumentError: arguments of another kind; seeds that are tuned on and judged.

    Example:
      >>> task = dl.tasks.regression(dl.models.linear(1), dl.data.from_arrays(np.ones((4, 1)), np.ones((4, 1))))
      >>> def fit(variant, learning_rate, seed):
      ...     optimizer = optax.sgd(learning_rate * jnp.array([1.0, 0.1])[variant])
      ...     return dl.training(jax.random.key(seed), task, optimizer, batch_size="full", num_steps=3)
      >>> seeds = {"tuning_seeds": np.arange(2), "seeds": np.arange(2, 5)}
      >>> runs = dl.evidence.at_own_rates(
      ...     fit, np.arange(2), 4.0 ** np.arange(-3, 1), lambda history: history.train_loss.isel(step=-1), **seeds
      ... )
      >>> runs.learning_rate.values, runs.train_loss.sizes["seed"]
      (array([0.25, 1.  ]), 3)
    """
    if shared := np.intersect1d(tuning_seeds, seeds).tolist():
        raise ArgumentError(f"at_own_rates: seeds {shared} are tuned on and returned; expects two sets of seeds.")

    def tried(learning_rates):
        where = store and store / "tuning"
        axes = {"variant": variants, "learning_rate": learning_rates, "seed": np.asarray(tuning_seeds)}
        try:
            return sweep(fit, store=where, progress=False, lane_width=lane_width, **axes)
        except DlcoreError:
            raise
        except Exception as error:
            raise ArgumentError(f"at_own_rates: fit fails: {type(error).__name__}: {error}") from error

    tuned = tune(tried, rates, lambda history: _over_seeds(score, history), max_rounds=max_rounds)
    found = tuned.best.notnull()
    best = tuned.best.fillna(float(rates[0])).values
    judged = sweep(
        fit,
        points(variant=variants, learning_rate=best),
        seed=np.asarray(seeds),
        store=store and store / "judged",
        progress=False,
        lane_width=lane_width,
    )
    judged = judged.drop_vars(["variant", "learning_rate"]).rename(point="variant")
    interior = ("variant", (tuned.interior & found).values)
    return judged.assign(learning_rate=("variant", best), interior=interior).assign_coords(
        variant=tuned.best.variant.values
    )


def _over_seeds(score: Callable[[xr.Dataset], xr.DataArray], history: xr.Dataset) -> xr.DataArray:
    """The median over the seeds of the score, which is a number of each run, or an `ArgumentError`."""
    scores = result_of("at_own_rates: score", score, history)
    axes = set(scores.dims) if isinstance(scores, xr.DataArray) else shown(scores)
    if axes != {"variant", "learning_rate", "seed"}:
        raise ArgumentError(
            f"at_own_rates: score gives {axes}; expects one number of each run, a DataArray with the dimensions "
            "variant, learning_rate and seed, e.g. dl.last_record(history).validation_loss."
        )
    return scores.median("seed", skipna=False)
