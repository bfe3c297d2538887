"""Tasks of any number of labels per example."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from dlcore import losses
from dlcore.core.arguments import arguments, function
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import DataError, described
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task, supervised_task
from dlcore.losses.checks import check_flags
from dlcore.metrics import f1, hamming_loss, subset_accuracy
from dlcore.tasks.outputs import output_of
from dlcore.tasks.supervised import check_targets, targets_of


@arguments(model=MODEL, data=DATASET, loss=function, metrics=METRICS, penalty=PENALTY)
def multi_label(
    model: Model,
    data: Dataset,
    *,
    loss: Callable[[Any, Any], jax.Array] = losses.multi_label_cross_entropy,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """Any number of labels per example, by the mean cross-entropy of each.

    Reports `subset_accuracy`, `hamming_loss` and `micro_f1` too.

    Args:
      model: output [B, num_labels], the logit of each label.
      data: targets [N, num_labels], integers or Booleans, 0 and 1.
      loss: `loss(logits, labels) -> [B]`, e.g. `dl.losses.focal`, its options by functools.partial.
      metrics: further metrics of (logits, labels).
      penalty: as in `supervised`.

    Raises:
      DataError: targets that are not 0 and 1, an output of another width.

    Example:
      >>> data = dl.data.Dataset((np.ones((2, 4)), np.array([[0, 1], [1, 1]])))
      >>> task = dl.tasks.multi_label(dl.models.mlp([4, 2]), data)
    """
    targets = one_array(data, "targets", "multi_label")
    output = output_of(model, data)
    if targets.dtype.kind not in "biu" or targets.ndim != 2:
        raise DataError(
            f"targets are {described(targets)}; multi_label expects integers or Booleans [N, num_labels], 0 and 1. "
            "For one class per example use dl.tasks.classification."
        )
    if output.shape[1:] != targets.shape[1:]:
        raise DataError(
            f"the model's output is [B{''.join(f', {n}' for n in output.shape[1:])}], the targets are "
            f"{list(targets.shape)}; multi_label expects one logit for each label. Change the model's last width."
        )
    for split in data.splits:
        labels = getattr(data, split).targets
        check_flags(f"multi_label, {split} split", labels, labels)
    built_in = {
        "subset_accuracy": subset_accuracy,
        "hamming_loss": hamming_loss,
        "micro_f1": functools.partial(f1, average="micro"),
    }
    check_targets("multi_label", loss, targets_of(data), output)
    return supervised_task(model, data, loss, metrics={**built_in, **(metrics or {})}, penalty=penalty)
