"""Watching a record: keeping the best parameters, and ending a run that no longer improves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import NONE, arguments, integer, number, one_of, text
from dlcore.core.errors import ArgumentError, suggest

BETTER = {"min": ("loss", "error", "perplexity"), "max": ("accuracy", "auc", "r2", "f1", "precision", "recall")}


class EarlyStopping(NamedTuple):
    """A rule that ends runs; see `early_stopping`."""

    record: str
    patience: int
    min_change: float
    mode: str


@arguments(
    record=text,
    patience=integer(meaning="records"),
    min_change=number(0),
    mode=one_of("min", "max") | NONE,
)
def early_stopping(
    record: str, *, patience: int, min_change: float | jax.Array = 0.0, mode: str | None = None
) -> EarlyStopping:
    """End a run once a record has not improved for `patience` records in a row; for `dlcore.training(stop=...)`.

    The record that ends it is its last; later ones are missing in the results. A value that is NaN is no improvement.

    Args:
      record: name of a record of one number, e.g. "validation_loss".
      patience: records without improvement that end the run.
      min_change: what counts as an improvement is by more than this, in the record's unit; may be traced.
      mode: whether less ("min") or more ("max") is better; by default what the name says: of a loss, an error
        or a perplexity less, of an accuracy, auc, r2, f1, precision or recall more.

    Raises:
      ArgumentError: no mode for a record whose name does not say it.
    Reference: Prechelt, Early stopping - but when?, 1998.

    Example:
      >>> dl.early_stopping("validation_loss", patience=5)
      EarlyStopping(record='validation_loss', patience=5, min_change=0.0, mode='min')
    """
    mode = mode or mode_of(record)
    if mode is None:
        raise ArgumentError(
            f"early_stopping: the name {record!r} does not say whether less or more is better; expects a loss, an "
            "error, an accuracy or the like. Say it: mode='max'."
        )
    return EarlyStopping(record, patience, min_change, mode)  # pyright: ignore[reportArgumentType]


class Watch(NamedTuple):
    """What is remembered of the records so far; a part of the state.

    best: the best value; NaN before the first. params, model_state, step: those it was measured with. waited: records
    since `stop` saw an improvement over `least`. ended: whether the run has ended.
    """

    best: Any = ()
    params: Any = ()
    model_state: Any = ()
    step: Any = ()
    least: Any = ()
    waited: Any = ()
    ended: Any = ()


def mode_of(record: str) -> str | None:
    """Whether less ("min") or more ("max") of a record is better, if its name says so."""
    return next((mode for mode, endings in BETTER.items() if record.endswith(endings)), None)


def first_watch(keep_best: tuple[str, str] | None, stop: EarlyStopping | None, params: Any, model_state: Any) -> Watch:
    """Before any record."""
    watch = Watch()
    if keep_best:
        watch = watch._replace(best=jnp.nan * jnp.zeros(()), params=params, model_state=model_state, step=jnp.int32(0))
    if stop:
        watch = watch._replace(least=jnp.nan * jnp.zeros(()), waited=jnp.int32(0), ended=jnp.zeros((), bool))
    return watch


def next_watch(
    watch: Watch,
    record: dict[str, jax.Array],
    keep_best: tuple[str, str] | None,
    stop: EarlyStopping | None,
    kept: tuple[Any, Any, jax.Array],
    *,
    first: bool = False,
) -> Watch:
    """After a record.

    kept: parameters and model state that it was measured with, and the step. first: of the record at step 0, which may
    lack what is watched.
    """
    if keep_best and not (first and keep_best[0] not in record):
        name, mode = keep_best
        value = _watched(record, name, "keep_best")
        better = _improves(value, watch.best, 0.0, mode)
        old = (watch.best, watch.params, watch.model_state, watch.step)
        new = (value.astype(watch.best.dtype), *kept)
        best, params, model_state, step = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)
        watch = watch._replace(best=best, params=params, model_state=model_state, step=step)
    if stop and not (first and stop.record not in record):
        value = _watched(record, stop.record, "stop")
        better = _improves(value, watch.least, stop.min_change, stop.mode)
        waited = jnp.where(better, 0, watch.waited + (not first))  # step 0 is nobody's turn to improve
        watch = watch._replace(
            least=jnp.where(better, value.astype(watch.least.dtype), watch.least),
            waited=waited,
            ended=watch.ended | (waited >= stop.patience),
        )
    return watch


def _improves(value: jax.Array, best: jax.Array, by: Any, mode: str) -> jax.Array:
    gain = best - value if mode == "min" else value - best
    return ~jnp.isnan(value) & (jnp.isnan(best) | (gain > by))


def _watched(record: dict[str, Any], name: str, who: str) -> jax.Array:
    if name not in record:
        raise ArgumentError(f"{who} watches {name!r}, the records are {', '.join(record)}; {suggest(name, record)}")
    value = record[name]
    if not jax.tree_util.all_leaves([value]) or np.shape(value) != ():
        raise ArgumentError(f"{who} watches {name!r}, which is no single number; expects a record of one number.")
    return jnp.asarray(value)
