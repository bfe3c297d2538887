"""`Task`: what is minimized and what is reported; a model, a data set, a loss and metrics."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from dlcore.core import description
from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, function, instance, mapping, number
from dlcore.core.dataset import Dataset, Split
from dlcore.core.dtypes import in_single
from dlcore.core.errors import DataError, described, noted, shown
from dlcore.core.model import Model, ModelState, Params, called

Penalty = Callable[[Params], jax.Array]
Metric = Callable[[Any, Any], jax.Array]
# Loss and metrics of the outputs for a batch or a whole split: `(params, outputs, batch) -> (loss [], {name: []})`.
Report = Callable[[Params, Any, Split], tuple[jax.Array, dict[str, jax.Array]]]


class Forward(Protocol):
    """The forward pass of a batch: `(outputs, next model state)`; outputs of one row do not depend on other rows.

    In evaluation a split may go through it in pieces, whose outputs are then put together.

    Example:
      >>> model, data = dl.models.mlp([4, 3]), dl.data.iris()
      >>> def forward(params, state, batch, *, key=None, train=False):
      ...     return model.apply(params, state, jnp.tanh(batch.inputs), key=key, train=train)
      >>> task = dl.tasks.classification(model, data)._replace(forward=forward)
      >>> outputs, _ = task.forward(*model.init(jax.random.key(0)), data.test)
      >>> outputs.shape
      (30, 3)
    """

    def __call__(
        self, params: Params, state: ModelState, batch: Split, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Any, ModelState]: ...


class Task(NamedTuple):
    """A model, the data it is fitted to, and how a batch is judged; all pure. The functions of `dl.tasks` build one.

    Example:
      >>> task = dl.tasks.classification(dl.models.linear(4, 3), dl.data.iris())
      >>> loss, (metrics, state) = task.objective(*task.model.init(jax.random.key(0)), task.data.train)
      >>> bool(jnp.isclose(loss, jnp.log(3))), list(metrics)  # of zero weights
      (True, ['accuracy'])
    """

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


def supervised_task(
    model: Model,
    data: Dataset,
    loss: Callable[[Any, Any], jax.Array],
    *,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """What `dl.tasks.supervised` makes, of targets that are checked already."""

    def forward(params, state, batch, *, key=None, train=False):
        with noted(lambda: called(batch.inputs, f"key={'key' if train else None}, train={train}")):
            output, state = model.apply(params, state, batch.inputs, key=key, train=train)
        if described(output) == "nothing":
            raise DataError(f"supervised: the model's output is {shown(output)}; expects arrays [B, ...].")
        return output, state

    def report(params, output, batch):
        targets = batch.inputs if batch.targets is None else batch.targets
        values = loss(output, targets)
        _check_losses(values, output, targets, batch)
        value = weighted_mean(values, batch.weights)
        if penalty is not None:
            value = value + penalty(params)
        return value, {name: metric(output, targets) for name, metric in (metrics or {}).items()}

    return Task(model, data, forward, report)


def weighted_mean(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """sum(weights * values) / sum(weights) of [B], or the mean without weights; 0 where all weights are 0."""
    if weights is None:
        return jnp.mean(values)
    total = jnp.sum(weights)
    shares = weights / jnp.where(total > 0, total, 1)
    # What must not count may be anything, NaN too.
    return jnp.sum(shares * jnp.where(weights > 0, values, 0))


def _check_losses(values: Any, output: Any, targets: Any, batch: Split) -> None:
    got = described(values) if hasattr(values, "shape") else shown(values)
    text = f"supervised: the loss of outputs {described(output)} and targets {described(targets)} is {got}; expects "
    if not hasattr(values, "shape") or values.shape != (batch.num_rows,):
        raise DataError(
            f"{text}[{batch.num_rows}], one number for each example. Outputs [B, 1] and targets [B] broadcast to "
            "[B, B]: use output[:, 0]. Take the mean over further axes, not over the examples."
        )


@arguments(strength=number(0))
def l2(strength: float | jax.Array) -> Penalty:
    """`strength / 2 * ||params||^2` over all arrays, biases included.

    >>> dl.tasks.l2(0.5)({"weights": jnp.array([1.0, 1.0])})
    Array(0.5, dtype=float32)
    """

    def penalty(params):
        leaves = [in_single(jnp.asarray(leaf)) for leaf in jax.tree.leaves(params)]
        squares = (jnp.sum(jnp.real(leaf * jnp.conj(leaf))) for leaf in leaves)
        return 0.5 * strength * sum(squares, jnp.zeros(()))

    return penalty
