"""`Task`: what is minimized and what is reported; a model, a data set, a loss and metrics."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from dlcore.core import description
from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, function, instance, mapping, number
from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import DataError, described, shown
from dlcore.core.model import Model, ModelState, Params

Penalty = Callable[[Params], jax.Array]
Metric = Callable[[Any, Any], jax.Array]
# Loss and metrics of the outputs for a batch or a whole split: `(params, outputs, batch) -> (loss [], {name: []})`.
Report = Callable[[Params, Any, Split], tuple[jax.Array, dict[str, jax.Array]]]


class Forward(Protocol):
    """The forward pass of a batch: `(outputs, next model state)`; outputs of one row do not depend on other rows.

    In evaluation a split may go through it in pieces, whose outputs are then put together.
    """

    def __call__(
        self, params: Params, state: ModelState, batch: Split, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Any, ModelState]: ...


class Task(NamedTuple):
    """A model, the data it is fitted to, and how a batch is judged; all pure. The functions of `dl.tasks` build one."""

    model: Model
    data: Dataset
    forward: Forward
    report: Report

    def objective(
        self, params: Params, state: ModelState, batch: Split, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], ModelState]]:
        """What is minimized, with what else the forward pass yields: `(loss [], (metrics {name: []}, next state))`."""
        outputs, state = self.forward(params, state, batch, key=key, train=train)
        loss, metrics = self.report(params, outputs, batch)
        return loss, (metrics, state)

    def __repr__(self) -> str:
        return description.task(self).text()

    def _repr_html_(self) -> str:
        return description.task(self).html()


def _accept_metrics(value: Any) -> Any:
    if isinstance(value, Mapping) and "loss" in value:
        raise RefusedError('"loss" is the loss itself: give the metric another name.')
    return mapping(function).accept(value)


MODEL = instance(Model, example="dl.models.mlp([4, 3])")
DATASET = instance(Dataset, example="dl.data.iris()")
METRICS = Constraint("a dictionary from names other than 'loss' to functions", _accept_metrics) | NONE
PENALTY = function | NONE


@arguments(model=MODEL, data=DATASET, loss=function, metrics=METRICS, penalty=PENALTY)
def supervised(
    model: Model,
    data: Dataset,
    loss: Callable[[Any, Any], jax.Array],
    *,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """Minimize the mean of a per-example loss of the model's output.

    Args:
      loss: `loss(output, targets) -> [B]`.
      metrics: name to `metric(output, targets) -> []`, computed on a whole split at once.
      penalty: `penalty(params) -> []`, added to the loss in training and in every report of it.

    Raises:
      DataError: at the first step, a loss that is neither [B] nor [], an output that holds no arrays.

    Example:
      >>> task = dl.tasks.supervised(dl.models.mlp([4, 3]), dl.data.iris(), dl.losses.softmax_cross_entropy)
    """

    def forward(params, state, batch, *, key=None, train=False):
        output, state = model.apply(params, state, batch.inputs, key=key, train=train)
        if described(output) == "nothing":
            raise DataError(f"supervised: the model's output is {shown(output)}; expects arrays [B, ...].")
        return output, state

    def report(params, output, batch):
        value = _mean(loss(output, batch.targets), output, batch.targets)
        if penalty is not None:
            value = value + penalty(params)
        return value, {name: metric(output, batch.targets) for name, metric in (metrics or {}).items()}

    return Task(model, data, forward, report)


def _mean(values: Any, output: Any, targets: Any) -> jax.Array:
    if not hasattr(values, "shape") or values.shape not in ((), targets.shape[:1]):
        got = described(values) if hasattr(values, "shape") else shown(values)
        raise DataError(
            f"supervised: the loss of outputs {described(output)} and targets {described(targets)} is {got}; expects "
            f"[{len(targets)}], one number for each example. Outputs [B, 1] and targets [B] broadcast to [B, B]: use "
            "output[:, 0]; take the mean over further axes."
        )
    return jnp.mean(values)


@arguments(strength=number(0))
def l2(strength: float | jax.Array) -> Penalty:
    """`strength / 2 * ||params||^2` over all arrays, biases included.

    >>> dl.tasks.l2(0.5)({"weights": jnp.array([1.0, 1.0])})
    Array(0.5, dtype=float32)
    """

    def penalty(params):
        return 0.5 * strength * sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)), jnp.zeros(()))

    return penalty
