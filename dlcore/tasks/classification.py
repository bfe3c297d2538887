"""Tasks of class labels."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from dlcore import losses
from dlcore.core.arguments import NONE, arguments, function
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task, supervised_task
from dlcore.losses.checks import check_range
from dlcore.metrics import accuracy, binary_accuracy
from dlcore.tasks.outputs import output_of, squeezed
from dlcore.tasks.supervised import check_targets, targets_of


@arguments(model=MODEL, data=DATASET, loss=function | NONE, metrics=METRICS, penalty=PENALTY)
def classification(
    model: Model,
    data: Dataset,
    *,
    loss: Callable[[Any, Any], jax.Array] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """One class per example, by cross-entropy; reports `accuracy` too.

    Args:
      model: output [B, num_classes] logits; or [B, 1], the logit of class 1 of two.
      data: integer targets [N] in [0, num_classes); weights of the examples count in the loss, as in `supervised`.
      loss: `loss(logits, labels) -> [B]` in place of the cross-entropy, e.g. `dl.losses.weighted_cross_entropy` or
        `multiclass_focal`, their options by functools.partial. With one logit both are [B]: `dl.losses.focal`.
      metrics: further metrics of (logits, labels).
      penalty: as in `supervised`; `l2(...)` for instance.

    Raises:
      DataError: targets that are not integers [N], a label out of range, an output of another shape; at the first
        step, a loss that is not [B].

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 3]), dl.data.iris())
    """
    labels = one_array(data, "targets", "classification")
    output = output_of(model, data)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"targets are {labels.dtype}{list(labels.shape)}; classification expects integer labels [N]. "
            "Use y.astype(int) on whole numbers, y.argmax(1) on one-hot rows, "
            'target_kind="class" where a table is read, or dl.tasks.regression.'
        )
    if len(output.shape) != 2:
        raise DataError(f"the model's output is {list(output.shape)}; classification expects [B, num_classes].")
    binary = output.shape[1] == 1
    for split in data.splits:
        num_classes = 2 if binary else output.shape[1]
        check_range(f"classification, {split} split", getattr(data, split).targets, num_classes)
    if binary:
        model, output = squeezed(model), jax.ShapeDtypeStruct(output.shape[:1], output.dtype)
    loss = loss or (losses.binary_cross_entropy if binary else losses.softmax_cross_entropy)
    check_targets("classification", loss, targets_of(data), output)
    reported = {"accuracy": binary_accuracy if binary else accuracy, **(metrics or {})}
    return supervised_task(model, data, loss, metrics=reported, penalty=penalty)
