"""`Task`: what is minimized and what is reported; a model, a data set, a loss and metrics."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import DataError
from dlcore.core.model import Model, ModelState, Params

Penalty = Callable[[Params], jax.Array]
Metric = Callable[[Any, Any], jax.Array]


class Objective(Protocol):
    """Loss of a batch, with what else the forward pass yields: `(loss [], (metrics {name: []}, next model state))`."""

    def __call__(
        self, params: Params, state: ModelState, batch: Split, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], ModelState]]: ...


class Task(NamedTuple):
    """A model, the data it is fitted to and the objective; all pure. `supervised` and its kin build one."""

    model: Model
    data: Dataset
    objective: Objective


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
    """

    def objective(params, state, batch, *, key=None, train=False):
        output, state = model.apply(params, state, batch.inputs, key=key, train=train)
        value = jnp.mean(loss(output, batch.targets))
        if penalty is not None:
            value = value + penalty(params)
        return value, ({name: metric(output, batch.targets) for name, metric in (metrics or {}).items()}, state)

    return Task(model, data, objective)


def l2(strength: float) -> Penalty:
    """`strength / 2 * ||params||^2` over all arrays, biases included."""

    def penalty(params):
        return 0.5 * strength * sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)), jnp.zeros(()))

    return penalty


def output_of(model: Model, data: Dataset) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the model's output for two rows of the data; nothing is computed."""

    def forward(x):
        return model.apply(*model.init(jax.random.key(0)), x)[0]

    inputs = data.train.inputs
    output = jax.eval_shape(forward, jax.ShapeDtypeStruct((2, *inputs.shape[1:]), inputs.dtype))
    if not isinstance(output, jax.ShapeDtypeStruct) or output.shape[:1] != (2,):
        raise DataError(f"the model's output for 2 rows is {output}; expects one array [B, ...].")
    return output


def squeezed(model: Model) -> Model:
    """The model with output [B] in place of [B, 1]; [B, 1] against targets [B] would broadcast to [B, B]."""

    def apply(params, state, x, *, key=None, train=False):
        output, state = model.apply(params, state, x, key=key, train=train)
        return output[:, 0], state

    return model._replace(apply=apply)
