"""`Training`: a run as pure functions, described by `training(...)`, executed by `run` and `sweep`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from dlcore.core import description
from dlcore.core.arguments import (
    NONE,
    Constraint,
    RefusedError,
    arguments,
    array,
    function,
    instance,
    integer,
    mapping,
    one_of,
    sequence,
    text,
    when,
)
from dlcore.core.arguments import key as key_constraint
from dlcore.core.dataset import in_memory
from dlcore.core.descent import OPTIMIZER, Descent, State
from dlcore.core.errors import ArgumentError
from dlcore.core.evaluation import Observer
from dlcore.core.length import length_of
from dlcore.core.mesh import MESH, check_shares
from dlcore.core.order import SAMPLINGS, Sampling, sampling_of
from dlcore.core.task import Task
from dlcore.core.watching import EarlyStopping, mode_of

Record = dict[str, Any]


class Training(NamedTuple):
    """A run as pure functions; nothing has run yet.

    init: `init() -> State`.
    advance: `advance(State) -> (State, record)`: the optimizer steps up to the next record, and that record: names to
      arrays, to trees of arrays, or to `dlcore.labeled(...)`.
    num_records: how often to advance.
    measure: `measure(State) -> record` without a step, for the record at step 0; None: there is no such record.
    coordinates: name to the value at each record, [num_records + 1] with the one at step 0: "step", "epoch", ...
    attrs: variable to its description.
    last: in place of `advance` for the last record, where fewer steps are left; None: as the others.
    parameters: `parameters(State) -> (params, model_state)`, what `final_params` keeps; None: those of the state.
    continued: `continued(State) -> coordinates` of a run that goes on from there; raises where it cannot.
    mesh: devices that execute it together, its state on each of them; None: one device does.

    A Boolean record "ended" says that a record is its run's last.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 3]), dl.data.iris())
      >>> training = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2)
      >>> state, record = training.advance(training.init())  # what `dl.run` compiles
      >>> int(state.step), "test_loss" in record
      (6, True)
    """

    init: Callable[[], Any]
    advance: Callable[[Any], tuple[Any, Record]]
    num_records: int
    measure: Callable[[Any], Record] | None = None
    coordinates: Mapping[str, np.ndarray] = {}
    attrs: Mapping[str, str] = {}
    last: Callable[[Any], tuple[Any, Record]] | None = None
    parameters: Callable[[Any], tuple[Any, Any]] | None = None
    continued: Callable[[Any], Mapping[str, np.ndarray]] | None = None
    mesh: Mesh | None = None

    def __repr__(self) -> str:
        return description.training(self).text()

    def _repr_html_(self) -> str:
        return description.training(self).html()


def _accept_best(value: Any) -> Any:
    if isinstance(value, str):
        if (mode := mode_of(value)) is None:
            raise RefusedError(f"Say which is better: keep_best=({value!r}, 'min' or 'max').")
        return value, mode
    record, mode = when(lambda pair: isinstance(pair, tuple | list) and len(pair) == 2)(value)
    return text.accept(record), one_of("min", "max").accept(mode)


KEEP_BEST = Constraint("the name of a record, or (name, 'min' or 'max')", _accept_best)


@arguments(
    key=key_constraint,
    task=instance(Task, example="dl.tasks.classification(model, data)"),
    optimizer=OPTIMIZER,
    batch_size=integer(meaning="examples per step") | one_of("full"),
    num_epochs=integer() | NONE,
    num_steps=integer() | NONE,
    record_every=integer(meaning="optimizer steps") | one_of("epoch"),
    evaluate=sequence(text, text="splits, e.g. ('test',), or () for none") | NONE,
    sampling=one_of(*SAMPLINGS) | array("biuf", ndim=1, text="the weight of each row [N]"),
    last_batch=one_of("drop", "keep"),
    observe=mapping(function) | NONE,
    evaluate_params=function | NONE,
    keep_best=KEEP_BEST | NONE,
    stop=instance(EarlyStopping, example="dl.early_stopping('validation_loss', patience=5)") | NONE,
    mesh=MESH | NONE,
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
    sampling: Sampling | np.ndarray | jax.Array = "reshuffle",
    last_batch: Literal["drop", "keep"] = "drop",
    observe: Mapping[str, Observer] | None = None,
    evaluate_params: Callable[[State], Any] | None = None,
    keep_best: str | tuple[str, str] | None = None,
    stop: EarlyStopping | None = None,
    mesh: Mesh | None = None,
) -> Training:
    """Describe the minimization of `task` by `optimizer`.

    Args:
      key: a typed key, `jax.random.key(seed)`; consumed. Initialization, data order and noise depend on nothing else.
      task: data, model and loss; see `dlcore.tasks`.
      optimizer: any optax transformation; built from traced hyperparameters inside a sweep.
      batch_size: examples per step, or "full" for the whole train split, unsampled.
      num_epochs, num_steps: the length; exactly one of them. The last record comes at the end.
      record_every: optimizer steps between records, or "epoch". The data order of one interval is held in memory.
      evaluate: splits on which loss and metrics are recorded; all that are in memory by default, () for none. Splits
        too long for memory go through the model in pieces.
      sampling: "reshuffle" (without replacement, a new order each epoch), "shuffle_once" (the same order each epoch),
        "in_order" (as stored), "with_replacement", "balanced" (with replacement, all classes equally often), or a
        weight for each row of the train split (with replacement, in proportion to it).
      last_batch: what an epoch does with the examples that do not fill a batch: "drop" leaves them out, others each
        epoch when reshuffling; "keep" takes them as a smaller batch. An epoch is the whole number of steps.
      observe: name to `observer(seen)`, a pure function of an `Observation` (state, task, gradient, updates), recorded
        with the rest; see `dlcore.labeled` for dimensions with names.
      evaluate_params: `evaluate_params(State) -> params`: what is evaluated in place of the parameters, e.g. their
        average.
      keep_best: the record by which `final_params` keeps the parameters of the best record in place of the last ones:
        its name, or (name, "min" or "max"); by default what the name says, as in `early_stopping`.
      stop: ends a run early; see `early_stopping`.
      mesh: devices over which the examples of each step, and of each split that is evaluated, are split, for one large
        run by `dlcore.run`: `jax.make_mesh((4,), ("data",))`. All have the data, the parameters and the optimizer's
        state. Equals the run on one device within rounding.

    Returns:
      A `Training` that records `batch_loss` (mean over the examples since the record before), `{split}_loss`,
      `{split}_{metric}`, `finite`, and what is observed.

    Raises:
      ArgumentError: an argument outside its domain.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2)
      >>> run.num_records, run.coordinates["step"]
      (2, array([ 0,  6, 12]))
    """
    length = length_of(task.data, batch_size, num_epochs, num_steps, record_every, last_batch)
    splits = _checked_splits(task, evaluate)
    check_shares(mesh, length, streamed="train" not in in_memory(task.data))
    order = sampling_of(sampling, task.data.train.targets, length.examples, full=length.full)
    descent = Descent(
        key,
        task,
        optimizer,
        length,
        order,
        splits,
        observe or {},
        evaluate_params,
        keep_best,  # pyright: ignore[reportArgumentType]
        stop,
        mesh,
    )
    return Training(
        descent.init,
        functools.partial(descent.advance, length.interval),
        length.num_records,
        descent.measure,
        length.coordinates(0),
        _descriptions(splits, descent),
        functools.partial(descent.advance, length.rest) if length.rest else None,
        descent.parameters if keep_best or evaluate_params else None,
        descent.continued,
        mesh,
    )


def _checked_splits(task: Task, evaluate: Sequence[str] | None) -> tuple[str, ...]:
    there = in_memory(task.data)
    for split in evaluate or ():
        if split not in there:
            hint = " The train split is streamed, not in memory." * (there != task.data.splits)
            raise ArgumentError(f"evaluate names {split!r}, {task.data.name} has the splits {', '.join(there)}.{hint}")
    return there if evaluate is None else tuple(evaluate)


def _descriptions(splits: Sequence[str], descent: Descent) -> dict[str, str]:
    """What the records are."""
    return {
        "batch_loss": "mean of the minibatch losses, each before its update, since the previous record",
        "finite": "whether all parameters are finite",
        **{f"{split}_loss": f"objective on the whole {split} split" for split in splits},
    }
