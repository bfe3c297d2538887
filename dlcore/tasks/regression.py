"""Tasks of real-valued targets."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from dlcore import losses
from dlcore.core.arguments import arguments, function
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.dtypes import is_float
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task, supervised_task
from dlcore.metrics import r2
from dlcore.tasks.outputs import output_of, squeezed
from dlcore.tasks.supervised import check_targets, targets_of


@arguments(model=MODEL, data=DATASET, loss=function, metrics=METRICS, penalty=PENALTY)
def regression(
    model: Model,
    data: Dataset,
    *,
    loss: Callable[[Any, Any], jax.Array] = losses.squared_error,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """Real-valued targets, by mean squared error; reports `r2` too.

    Args:
      model: output of the targets' shape; [B, 1] also fits targets [N].
      data: float targets [N] or [N, ...]; weights of the examples count in the loss, as in `supervised`.
      loss: `loss(predictions, targets) -> [B]`, e.g. `dl.losses.huber`, its options by functools.partial.

    Raises:
      DataError: integer targets, an output that does not fit them; at the first step, a loss that is not [B].

    Example:
      >>> task = dl.tasks.regression(dl.models.linear(10), dl.data.diabetes())
    """
    targets = one_array(data, "targets", "regression")
    output = output_of(model, data)
    if not is_float(targets.dtype):
        raise DataError(
            f"targets are {targets.dtype}; regression expects floats. Use y.astype('float32'), or "
            "dl.tasks.classification."
        )
    if targets.ndim == 1 and output.shape[1:] == (1,):
        model, output = squeezed(model), jax.ShapeDtypeStruct(output.shape[:1], output.dtype)
    elif output.shape[1:] != targets.shape[1:]:
        raise DataError(
            f"the model's output is [B{''.join(f', {n}' for n in output.shape[1:])}], the targets are "
            f"{list(targets.shape)}; expects the same shape of a row. Change the model's last width or the targets."
        )
    check_targets("regression", loss, targets_of(data), output)
    return supervised_task(model, data, loss, metrics={"r2": r2, **(metrics or {})}, penalty=penalty)
