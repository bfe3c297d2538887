"""`Training`: a run as a pure function, described by `training(...)`, executed by `run` and `sweep`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from dlcore.core.dataset import Split
from dlcore.core.errors import ArgumentError, check_positive_integer, shown, suggest
from dlcore.core.model import ModelState, Params
from dlcore.core.order import SAMPLINGS, Sampling, batch_rows
from dlcore.core.streamed import in_memory, on_device, take
from dlcore.core.task import Task

Record = dict[str, jax.Array]

# Each use of randomness has a key of its own, folded from the root by one of these constants.
INITIALIZATION, ORDER, NOISE = range(3)


class State(NamedTuple):
    """All that changes during a run; with the run's arguments it determines everything that follows.

    step: completed optimizer updates, []; opt_state: what optax keeps.
    """

    step: jax.Array
    params: Params
    model_state: ModelState
    opt_state: Any


class Training(NamedTuple):
    """A run as pure functions; nothing has run yet.

    init: `init() -> State`.
    advance: `advance(State) -> (State, record)`: the optimizer steps up to the next record, and that record.
    num_records: how often to advance.
    measure: `measure(State) -> record` without a step; gives the record at step 0. None if there is none.
    coordinates: name to the value at each record, [num_records + 1] with the one at step 0: "step", "epoch", ...
    attrs: variable to its description.
    """

    init: Callable[[], Any]
    advance: Callable[[Any], tuple[Any, Record]]
    num_records: int
    measure: Callable[[Any], Record] | None = None
    coordinates: Mapping[str, np.ndarray] = {}
    attrs: Mapping[str, str] = {}


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
        remainder is left out, another one each epoch when reshuffling.
      record_every: optimizer steps between records, or "epoch". The data order of one interval is held in memory.
      evaluate: splits on which loss and metrics are recorded; all there are by default, () for none.
      sampling: "reshuffle" (without replacement, a new order each epoch), "shuffle_once" (the same order each epoch),
        "in_order" (as stored) or "with_replacement".

    Returns:
      A `Training` that records `batch_loss` (mean over the interval), `{split}_loss`, `{split}_{metric}` and `finite`.

    Raises:
      ArgumentError: an argument outside its domain.
    """
    _check_key(key)
    _check_optimizer(optimizer)
    if not isinstance(task, Task):
        raise ArgumentError(f"task is {shown(task)}; expects a Task, e.g. dl.tasks.classification(model, data).")
    num_examples = len(task.data.train.inputs)
    if isinstance(batch_size, str) and "train" not in in_memory(task.data):
        raise ArgumentError('batch_size is "full", the train split is streamed; expects a number of examples per step.')
    full = isinstance(batch_size, str) and batch_size == "full"
    size = num_examples if full else _checked_batch_size(batch_size, num_examples)
    steps_per_epoch = num_examples // size
    interval, num_records = _schedule(num_epochs, num_steps, record_every, steps_per_epoch)
    splits = _checked_splits(task, evaluate)
    if not isinstance(sampling, str) or sampling not in SAMPLINGS:
        raise ArgumentError(f"sampling is {sampling!r}; {suggest(sampling, SAMPLINGS)}")

    data = {split: Split(*map(on_device, getattr(task.data, split))) for split in {"train", *splits}}

    def init():
        params, model_state = task.model.init(jax.random.fold_in(key, INITIALIZATION))
        return State(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(params))

    update = _updating(key, task, optimizer, data["train"])
    measure = _measuring(task, {split: data[split] for split in splits})

    def advance(state):
        rows = None
        if not full:
            order_key = jax.random.fold_in(key, ORDER)
            rows = batch_rows(order_key, state.step, interval, num_examples, size, sampling)
        state, losses = lax.scan(update, state, rows, length=interval)
        return state, {"batch_loss": jnp.mean(losses), **measure(state)}

    steps = interval * np.arange(num_records + 1)
    coordinates = {"step": steps, "epoch": steps / steps_per_epoch, "examples": steps * size}
    return Training(init, advance, num_records, measure, coordinates, _descriptions(splits))


def _updating(key: jax.Array, task: Task, optimizer: optax.GradientTransformation, train: Split):
    """`update(state, rows) -> (state, loss before the update)`: one optimizer step on these rows; on all for None."""

    def update(state, rows):
        batch = train if rows is None else jax.tree.map(lambda values: take(values, rows), train)
        noise = jax.random.fold_in(jax.random.fold_in(key, NOISE), state.step)
        loss = jax.value_and_grad(task.objective, has_aux=True)
        (value, (_, model_state)), gradient = loss(state.params, state.model_state, batch, key=noise, train=True)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(state.step + 1, params, model_state, opt_state), value

    return update


def _measuring(task: Task, data: Mapping[str, Split]):
    """`measure(state) -> record`: whether all parameters are finite, loss and metrics on each split."""

    def measure(state):
        finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state.params)]
        record = {"finite": jnp.all(jnp.asarray(finite))}
        for split, rows in data.items():
            value, (metrics, _) = task.objective(state.params, state.model_state, rows)
            record |= {f"{split}_{name}": metric for name, metric in {"loss": value, **metrics}.items()}
        return record

    return measure


def _schedule(num_epochs, num_steps, record_every, steps_per_epoch: int) -> tuple[int, int]:
    """(steps between records, number of records)."""
    if (num_epochs is None) == (num_steps is None):
        raise ArgumentError(
            f"num_epochs is {num_epochs!r} and num_steps is {num_steps!r}; expects exactly one of them, the length of "
            "the run."
        )
    name, length = ("num_epochs", num_epochs) if num_steps is None else ("num_steps", num_steps)
    check_positive_integer(name, length)
    total = length * steps_per_epoch if num_steps is None else length
    each_epoch = isinstance(record_every, str) and record_every == "epoch"
    if not each_epoch:
        check_positive_integer("record_every", record_every, 'optimizer steps, or "epoch"')
    interval = steps_per_epoch if each_epoch else int(record_every)
    if total % interval:
        raise ArgumentError(
            f"the run has {total} steps and is recorded every {interval}; expects a multiple. "
            f"Nearest lengths: num_steps={max(total // interval, 1) * interval} or "
            f"{(total // interval + 1) * interval}."
        )
    return interval, total // interval


def _checked_batch_size(batch_size: Any, num_examples: int) -> int:
    check_positive_integer("batch_size", batch_size, 'examples per step, or "full"')
    if batch_size > num_examples:
        raise ArgumentError(
            f"batch_size is {batch_size}, the train split has {num_examples} examples; expects at most as many. "
            'Use batch_size="full" for all of them.'
        )
    return int(batch_size)


def _checked_splits(task: Task, evaluate: Sequence[str] | None) -> tuple[str, ...]:
    there = in_memory(task.data)
    if isinstance(evaluate, str):
        raise ArgumentError(f"evaluate is the string {evaluate!r}; expects a sequence of splits, e.g. ({evaluate!r},).")
    if evaluate is not None and not isinstance(evaluate, list | tuple):
        raise ArgumentError(f"evaluate is {evaluate!r}; expects a sequence of splits, e.g. ('test',), or () for none.")
    for split in evaluate or ():
        if split not in there:
            hint = " The train split is streamed, not in memory." * (there != task.data.splits)
            raise ArgumentError(f"evaluate names {split!r}, {task.data.name} has the splits {', '.join(there)}.{hint}")
    return there if evaluate is None else tuple(evaluate)


def _check_key(key: Any) -> None:
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    if not typed:
        got = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array | np.ndarray) else repr(key)
        raise ArgumentError(f"key is {got}; expects one typed key. Use jax.random.key(seed).")


def _check_optimizer(optimizer: Any) -> None:
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise ArgumentError(
            f"optimizer is {shown(optimizer)}; expects an optax.GradientTransformation, e.g. optax.sgd(learning_rate)."
        )


def _descriptions(splits: Sequence[str]) -> dict[str, str]:
    return {
        "batch_loss": "mean of the minibatch losses, each before its update, since the previous record",
        "finite": "whether all parameters are finite",
        **{f"{split}_loss": f"objective on the whole {split} split" for split in splits},
    }
