"""`Training`: a run as pure functions, described by `training(...)`, executed by `run` and `sweep`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from dlcore.core.arguments import NONE, arguments, instance, integer, one_of, sequence, text
from dlcore.core.arguments import key as key_constraint
from dlcore.core.dataset import in_memory, on_device
from dlcore.core.errors import ArgumentError
from dlcore.core.order import SAMPLINGS, Sampling, batch_rows
from dlcore.core.task import Task
from dlcore.core.update import INITIALIZATION, OPTIMIZER, ORDER, State, make_update

Record = dict[str, jax.Array]


class Training(NamedTuple):
    """A run as pure functions; nothing has run yet.

    init: `init() -> State`.
    advance: `advance(State) -> (State, record)`: the optimizer steps up to the next record, and that record.
    num_records: how often to advance.
    measure: `measure(State) -> record` without a step, for the record at step 0; None: there is no such record.
    coordinates: name to the value at each record, [num_records + 1] with the one at step 0: "step", "epoch", ...
    attrs: variable to its description.
    """

    init: Callable[[], Any]
    advance: Callable[[Any], tuple[Any, Record]]
    num_records: int
    measure: Callable[[Any], Record] | None = None
    coordinates: Mapping[str, np.ndarray] = {}
    attrs: Mapping[str, str] = {}


@arguments(
    key=key_constraint,
    task=instance(Task, example="dl.tasks.classification(model, data)"),
    optimizer=OPTIMIZER,
    batch_size=integer(meaning="examples per step") | one_of("full"),
    num_epochs=integer() | NONE,
    num_steps=integer() | NONE,
    record_every=integer(meaning="optimizer steps") | one_of("epoch"),
    evaluate=sequence(text, text="splits, e.g. ('test',), or () for none") | NONE,
    sampling=one_of(*SAMPLINGS),
)
def training(
    key: jax.Array,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    batch_size: int | Literal["full"],
    num_epochs: int | None = None,
    num_steps: int | None = None,
    record_every: int | Literal["epoch"] = "epoch",
    evaluate: Sequence[str] | None = None,
    sampling: Sampling = "reshuffle",
) -> Training:
    """Describe the minimization of `task` by `optimizer`.

    Args:
      key: a typed key, `jax.random.key(seed)`; consumed. Initialization, data order and noise depend on nothing else.
      optimizer: any optax transformation; built from traced hyperparameters inside a sweep.
      batch_size: examples per step, or "full" for the whole train split, unsampled.
      num_epochs, num_steps: the length; exactly one of them. An epoch is `num_examples // batch_size` steps: the
        remainder is left out, other examples each epoch when reshuffling.
      record_every: optimizer steps between records, or "epoch". The data order of one interval is held in memory.
      evaluate: splits on which loss and metrics are recorded; all that are in memory by default, () for none.
      sampling: "reshuffle" (without replacement, a new order each epoch), "shuffle_once" (the same order each epoch),
        "in_order" (as stored) or "with_replacement".

    Returns:
      A `Training` that records `batch_loss` (mean over the interval), `{split}_loss`, `{split}_{metric}` and `finite`.

    Raises:
      ArgumentError: an argument outside its domain.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2)
      >>> run.num_records, run.coordinates["step"]
      (2, array([ 0,  6, 12]))
    """
    num_examples = task.data.train.num_rows
    full = batch_size == "full"
    size = num_examples if full else int(batch_size)
    _check_size(task, size, full=full)
    steps_per_epoch = num_examples // size
    interval, num_records = _schedule(num_epochs, num_steps, record_every, steps_per_epoch)
    splits = _checked_splits(task, evaluate)
    update = make_update(key, task, optimizer)

    def init():
        params, model_state = task.model.init(jax.random.fold_in(key, INITIALIZATION))
        return State(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(params))

    def measure(state):
        return _measure_splits(task, splits, state)

    def advance(state):
        rows = None
        if not full:
            order_key = jax.random.fold_in(key, ORDER)
            rows = batch_rows(order_key, state.step, interval, num_examples, size, sampling)
        train = on_device(task.data.train)

        def step(state, rows):
            state, taken = update(state, train, rows)
            return state, taken.loss

        state, losses = lax.scan(step, state, rows, length=interval)
        return state, {"batch_loss": jnp.mean(losses), **measure(state)}

    steps = interval * np.arange(num_records + 1)
    coordinates = {"step": steps, "epoch": steps / steps_per_epoch, "examples": steps * size}
    return Training(init, advance, num_records, measure, coordinates, _descriptions(splits))


def _measure_splits(task: Task, splits: Sequence[str], state: State) -> Record:
    """Whether all parameters are finite, loss and metrics on each split."""
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state.params)]
    record = {"finite": jnp.all(jnp.asarray(finite))}
    for split in splits:
        rows = on_device(getattr(task.data, split))
        value, (metrics, _) = task.objective(state.params, state.model_state, rows)
        record |= {f"{split}_{name}": metric for name, metric in {"loss": value, **metrics}.items()}
    return record


def _schedule(num_epochs, num_steps, record_every, steps_per_epoch: int) -> tuple[int, int]:
    """(steps between records, number of records)."""
    if (num_epochs is None) == (num_steps is None):
        raise ArgumentError(
            f"num_epochs is {num_epochs!r} and num_steps is {num_steps!r}; expects exactly one of them, the length of "
            "the run."
        )
    total = num_steps or num_epochs * steps_per_epoch
    interval = steps_per_epoch if record_every == "epoch" else record_every
    if total % interval:
        raise ArgumentError(
            f"the run has {total} steps and is recorded every {interval}; expects a multiple. "
            f"Nearest lengths: num_steps={max(total // interval, 1) * interval} or "
            f"{(total // interval + 1) * interval}."
        )
    return interval, total // interval


def _check_size(task: Task, size: int, *, full: bool) -> None:
    """Refuse a batch larger than the train split, and full batches of streamed data."""
    num_examples = task.data.train.num_rows
    if full and "train" not in in_memory(task.data):
        raise ArgumentError('batch_size is "full", the train split is streamed; expects a number of examples per step.')
    if size > num_examples:
        raise ArgumentError(
            f"batch_size is {size}, the train split has {num_examples} examples; expects at most as many. "
            'Use batch_size="full" for all of them.'
        )


def _checked_splits(task: Task, evaluate: Sequence[str] | None) -> tuple[str, ...]:
    there = in_memory(task.data)
    for split in evaluate or ():
        if split not in there:
            hint = " The train split is streamed, not in memory." * (there != task.data.splits)
            raise ArgumentError(f"evaluate names {split!r}, {task.data.name} has the splits {', '.join(there)}.{hint}")
    return there if evaluate is None else tuple(evaluate)


def _descriptions(splits: Sequence[str]) -> dict[str, str]:
    return {
        "batch_loss": "mean of the minibatch losses, each before its update, since the previous record",
        "finite": "whether all parameters are finite",
        **{f"{split}_loss": f"objective on the whole {split} split" for split in splits},
    }
