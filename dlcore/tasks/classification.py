"""Tasks of class labels."""

from collections.abc import Mapping

import numpy as np
from jax.core import Tracer

from dlcore import losses
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import Metric, Penalty, Task, output_of, squeezed, supervised
from dlcore.metrics import accuracy, binary_accuracy


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
    output = output_of(model, data)
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
            squeezed(model),
            data,
            losses.binary_cross_entropy,
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
