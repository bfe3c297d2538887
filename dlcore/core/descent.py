"""The run that `training` describes: optimizer steps from record to record."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh

from dlcore.core.dataset import on_device
from dlcore.core.errors import ArgumentError, described, shown
from dlcore.core.evaluation import Observation, Observer, diverged_is_infinite, measure_splits
from dlcore.core.length import Length
from dlcore.core.order import batch_rows, whole_epoch_rows
from dlcore.core.task import Task
from dlcore.core.update import INITIALIZATION, OPTIMIZER, ORDER, State, Step, make_update
from dlcore.core.watching import EarlyStopping, first_watch, next_watch

__all__ = ["OPTIMIZER", "Descent", "State"]

# Optimizer steps in a pass of the loop: on a CPU one is fastest, accelerators lose time between passes. Measured: see
# benchmarks/README.md, "On an H200".
UNROLL = {"cpu": 1, "elsewhere": 4}
RESERVED = ("batch_loss", "best_step", "ended")  # records that are made after the observers'


def _unroll() -> int:
    return UNROLL.get(jax.default_backend(), UNROLL["elsewhere"])


class Descent(NamedTuple):
    """The arguments of `training`, checked, and the functions of its run.

    order: how rows are drawn, see `order.sampling_of`.
    """

    key: jax.Array
    task: Task
    optimizer: optax.GradientTransformation
    length: Length
    order: Any
    splits: Sequence[str]
    observers: Mapping[str, Observer]
    evaluate_params: Callable[[State], Any] | None
    keep_best: tuple[str, str] | None
    stop: EarlyStopping | None
    mesh: Mesh | None = None

    def init(self) -> State:
        """The state at step 0."""
        params, model_state = self.task.model.init(jax.random.fold_in(self.key, INITIALIZATION))
        state = State(jnp.zeros((), jnp.int32), params, model_state, self.optimizer.init(params))
        if not (self.keep_best or self.stop):
            return state
        watch = first_watch(self.keep_best, self.stop, *self.parameters_now(state))
        return self._watched(state._replace(watch=watch), self._record(state, self._no_step(state)), first=True)

    def measure(self, state: State) -> dict[str, Any]:
        """The record at step 0."""
        return self._marked(state, self._record(state, self._no_step(state)))

    def advance(self, num_steps: int, state: State) -> tuple[State, dict[str, Any]]:
        """The state after so many steps, and its record."""
        new, last = self._descend(num_steps, state)
        record = self._record(new, last)
        record = {"batch_loss": diverged_is_infinite(last.loss, record["finite"]), **record}
        if self.keep_best or self.stop:
            new = self._watched(new, record)
        return new, self._marked(new, record)

    def parameters(self, state: State) -> tuple[Any, Any]:
        """Parameters and model state that are kept of a run: the best, if asked for, else those evaluated last."""
        return (state.watch.params, state.watch.model_state) if self.keep_best else self.parameters_now(state)

    def parameters_now(self, state: State) -> tuple[Any, Any]:
        """Parameters and model state to be evaluated."""
        if self.evaluate_params is None:
            return state.params, state.model_state
        params = self.evaluate_params(state)
        same = jax.tree.structure(params) == jax.tree.structure(state.params)
        if not same or described(params) != described(state.params):
            raise ArgumentError(
                f"evaluate_params gave {shown(described(params))}; expects a tree like the parameters, "
                f"{shown(described(state.params))}."
            )
        return params, state.model_state

    def continued(self, state: State) -> dict[str, np.ndarray]:
        """The coordinates of a run that goes on from this state."""
        if not isinstance(state, State):
            raise ArgumentError(f"start is {shown(state)}; expects a dl.State, from dl.final_state(results, training).")
        step = int(state.step)
        if self.stop and state.watch.ended:
            raise ArgumentError(
                f"start is the state of a run that was stopped at step {step}; expects one that has not ended. To "
                "train on, take it for a training without stop and keep_best, and start that one: "
                "dl.run(training, start=dl.final_state(results, training))."
            )
        unit = self.length.epoch if self.length.keeps_rest else math.gcd(self.length.alignment, self.length.epoch)
        if step % unit:
            raise ArgumentError(
                f"start is a state at step {step}, this training records every {self.length.interval} steps; expects a "
                f"multiple of {unit}. Give a record_every that divides {step}."
            )
        return self.length.coordinates(step)

    def _record(self, state: State, last: Step) -> dict[str, Any]:
        record = measure_splits(self.task, self.splits, state.params, *self.parameters_now(state), self.mesh)
        seen = Observation(state, self.task, last.gradient, last.updates)
        for name, observer in self.observers.items():
            if name in record or name in RESERVED:
                raise ArgumentError(f"observe: {name!r} is recorded already; expects another name.")
            record[name] = observer(seen)
        return record

    def _descend(self, num_steps: int, state: State) -> tuple[State, Step]:
        """After so many steps: the state, and the last step with the mean loss of all."""
        update = make_update(self.key, self.task, self.optimizer, self.mesh)
        train = on_device(self.task.data.train)
        order_key = jax.random.fold_in(self.key, ORDER)
        length = self.length

        def one(carry, rows):
            new, step = update(carry[0], train, rows)
            # The gradient goes from step to step only where somebody looks at it.
            return (new, (step.gradient, step.updates) if self.observers else None), step.loss

        def whole_epoch(carry, _):
            full, rest = whole_epoch_rows(order_key, carry[0].step, length.examples, length.size, self.order)
            carry, losses = lax.scan(one, carry, full, unroll=_unroll())
            carry, loss = one(carry, rest)
            return carry, (jnp.sum(losses) * length.size + loss * len(rest)) / length.examples

        begin = (state, self._no_step(state)[1:] if self.observers else None)
        if length.keeps_rest:
            (state, last), losses = lax.scan(whole_epoch, begin, length=num_steps // length.epoch)
        else:
            of_steps = (num_steps, length.examples, length.size, self.order, length.alignment)
            rows = None if length.full else batch_rows(order_key, state.step, *of_steps)
            (state, last), losses = lax.scan(one, begin, rows, length=num_steps, unroll=_unroll())
        return state, Step(jnp.mean(losses), *(last or (None, None)))

    def _no_step(self, state: State) -> Step:
        """Gradient and updates before the first step: NaN."""
        if not self.observers:
            return Step(jnp.nan * jnp.zeros(()), None, None)
        update = make_update(self.key, self.task, self.optimizer, self.mesh)
        rows = jnp.zeros(self.length.size, jnp.int32)
        step = jax.eval_shape(lambda: update(state, on_device(self.task.data.train), rows)[1])
        return jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), step)

    def _watched(self, state: State, record: dict[str, Any], *, first: bool = False) -> State:
        kept = (*self.parameters_now(state), state.step)
        return state._replace(watch=next_watch(state.watch, record, self.keep_best, self.stop, kept, first=first))

    def _marked(self, state: State, record: dict[str, Any]) -> dict[str, Any]:
        """The record with what the watch says."""
        if self.keep_best:
            record = {**record, "best_step": state.watch.step}
        return {**record, "ended": state.watch.ended} if self.stop else record
