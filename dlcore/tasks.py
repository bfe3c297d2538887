"""`Task`: what is minimised and what is reported; a model, a data set, a loss and metrics."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore import losses
from dlcore.data import Dataset, Split
from dlcore.errors import DataError
from dlcore.metrics import accuracy, binary_accuracy, r2
from dlcore.model import Model, ModelState, Params

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
    """Minimise the mean of a per-example loss of the model's output.

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


def classification(
    model: Model, data: Dataset, *, metrics: Mapping[str, Metric] | None = None, penalty: Penalty | None = None
) -> Task:
    """One class per example, by cross-entropy; reports `accuracy` too.

    Args:
      model: output [B, num_classes] logits; or [B, 1], the logit of class 1 of two.
      data: integer targets [N] in [0, num_classes).
      metrics: further metrics of (logits, labels).
      penalty: as in `supervised`; `l2(...)` for instance.

    Raises:
      DataError: targets that are not integers [N], a label out of range, an output of another shape.
    """
    output = _output(model, data)
    labels = data.train.targets
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"targets are {labels.dtype}{list(labels.shape)}; classification expects integer labels [N]. "
            "Use y.astype(int) on whole numbers, y.argmax(1) on one-hot rows, or dl.tasks.regression."
        )
    if len(output.shape) != 2:
        raise DataError(f"the model's output is {list(output.shape)}; classification expects [B, num_classes].")
    binary = output.shape[1] == 1
    _check_labels(data, num_classes=2 if binary else output.shape[1], width=output.shape[1])
    if binary:
        return supervised(
            _squeezed(model),
            data,
            losses.logistic,
            metrics={"accuracy": binary_accuracy, **(metrics or {})},
            penalty=penalty,
        )
    return supervised(
        model,
        data,
        losses.softmax_cross_entropy,
        metrics={"accuracy": accuracy, **(metrics or {})},
        penalty=penalty,
    )


def regression(
    model: Model, data: Dataset, *, metrics: Mapping[str, Metric] | None = None, penalty: Penalty | None = None
) -> Task:
    """Real-valued targets, by mean squared error; reports `r2` too.

    Args:
      model: output of the targets' shape; [B, 1] also fits targets [N].
      data: float targets [N] or [N, ...].

    Raises:
      DataError: integer targets, an output that does not fit them.
    """
    output, targets = _output(model, data), data.train.targets
    if targets.dtype.kind != "f":
        raise DataError(
            f"targets are {targets.dtype}; regression expects floats. Use y.astype('float32'), or "
            "dl.tasks.classification."
        )
    if targets.ndim == 1 and output.shape[1:] == (1,):
        model = _squeezed(model)
    elif output.shape[1:] != targets.shape[1:]:
        raise DataError(
            f"the model's output is [B{''.join(f', {n}' for n in output.shape[1:])}], the targets are "
            f"{list(targets.shape)}; expects the same shape of a row. Change the model's last width or the targets."
        )
    return supervised(model, data, losses.squared_error, metrics={"r2": r2, **(metrics or {})}, penalty=penalty)


def l2(strength: float) -> Penalty:
    """`strength / 2 * ||params||^2` over all arrays, biases included."""

    def penalty(params):
        return 0.5 * strength * sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)), jnp.zeros(()))

    return penalty


def _output(model: Model, data: Dataset) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the model's output for two rows of the data; nothing is computed."""

    def forward(x):
        return model.apply(*model.init(jax.random.key(0)), x)[0]

    inputs = data.train.inputs
    output = jax.eval_shape(forward, jax.ShapeDtypeStruct((2, *inputs.shape[1:]), inputs.dtype))
    if not isinstance(output, jax.ShapeDtypeStruct) or output.shape[:1] != (2,):
        raise DataError(f"the model's output for 2 rows is {output}; expects one array [B, ...].")
    return output


def _check_labels(data: Dataset, num_classes: int, width: int) -> None:
    for split in data.splits:
        labels = getattr(data, split).targets
        if isinstance(labels, Tracer):
            continue  # made inside the compiled run: there are no values yet
        wrong = (labels < 0) | (labels >= num_classes)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"labels must lie in [0, {num_classes}), found {labels[row]} at row {row} of the {split} split. "
                "JAX would clamp it silently and train on the wrong class. Relabel from 0, or widen the model's output "
                f"(now {width})."
            )


def _squeezed(model: Model) -> Model:
    """The model with output [B] in place of [B, 1]; [B, 1] against targets [B] would broadcast to [B, B]."""

    def apply(params, state, x, *, key=None, train=False):
        output, state = model.apply(params, state, x, key=key, train=train)
        return output[:, 0], state

    return Model(model.init, apply)
