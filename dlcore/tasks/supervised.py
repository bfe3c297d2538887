"""Tasks of a loss of one's own choice; losses of ours see the targets when a task is made."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from dlcore.core.arguments import arguments, function
from dlcore.core.dataset import Dataset, Fetched
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task, supervised_task
from dlcore.tasks.outputs import two_rows


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

    Where examples have weights, the mean is sum(weights * losses) / sum(weights), of a batch and of a split; metrics
    count all examples alike. Where data have no targets, loss and metrics get the inputs in their place.

    Args:
      model: gets the batch's inputs as the data set has them: an array, or a dictionary or tuple of arrays.
      loss: `loss(output, targets) -> [B]`.
      metrics: name to `metric(output, targets) -> []`, computed on a whole split at once.
      penalty: `penalty(params) -> []`, added to the loss in training and in every report of it.

    Raises:
      DataError: targets of any split that a loss of `dl.losses` refuses; at the first step, a loss that is not [B], an
        output that holds no arrays.

    Example:
      >>> task = dl.tasks.supervised(dl.models.mlp([4, 3]), dl.data.iris(), dl.losses.softmax_cross_entropy)
    """
    if is_ours(loss):
        output = jax.eval_shape(
            lambda x: model.apply(*model.init(jax.random.key(0)), x, key=None, train=False)[0], two_rows(data)
        )
        check_targets("supervised", loss, targets_of(data), output)
    return supervised_task(model, data, loss, metrics=metrics, penalty=penalty)


def is_ours(loss: Any) -> bool:
    """Whether a loss is one of this library, also with some of its arguments fixed."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    return str(getattr(loss, "__module__", "")).startswith("dlcore.")


def check_targets(who: str, loss: Any, targets: Mapping[str, Any], output: Any) -> None:
    """Raise `DataError` where a loss of ours would refuse targets, if it could see their values in the step.

    Args:
      targets: of each split, as the loss gets them. output: shapes and dtypes of the model's output for some rows, as
        of `jax.eval_shape`. Nothing is computed. Losses of other origin are left alone, and streamed targets.
    """
    for split, values in targets.items():
        leaves = jax.tree.leaves(values)
        if not is_ours(loss) or any(isinstance(leaf, Fetched) for leaf in leaves):
            continue
        of_split = [
            jax.ShapeDtypeStruct((len(leaves[0]), *leaf.shape[1:]), leaf.dtype) for leaf in jax.tree.leaves(output)
        ]
        try:
            jax.eval_shape(
                lambda output, values=values: loss(output, values),
                jax.tree.unflatten(jax.tree.structure(output), of_split),
            )
        except DataError as error:
            raise DataError(f"{who}, {split} split: {error}") from None


def targets_of(data: Dataset) -> dict[str, Any]:
    """The targets of each split; where there are none, the inputs."""
    splits = {split: getattr(data, split) for split in data.splits}
    return {name: split.inputs if split.targets is None else split.targets for name, split in splits.items()}
