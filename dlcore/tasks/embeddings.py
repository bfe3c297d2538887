"""Tasks of embeddings: examples of one identity shall lie near each other."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments, function
from dlcore.core.dataset import Dataset, Split, one_array, refuse_weights
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task
from dlcore.losses.checks import check_range
from dlcore.losses.softmax import are_classes
from dlcore.metrics import nearest_neighbor_accuracy


@arguments(model=MODEL, data=DATASET, loss=function, metrics=METRICS, penalty=PENALTY)
def embedding(
    model: Model,
    data: Dataset,
    loss: Callable[[Any, Any], jax.Array],
    *,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
) -> Task:
    """Embed examples so that identities can be told apart; reports `nearest_neighbor_accuracy` too.

    The test split may hold people who are not in the train split, which is how verification is measured. With class
    weights its loss is then the mean over the identities that have them, NaN if none has.

    Losses that compare examples need several of one identity in a batch: `dl.data.grouped(data, K)` makes rows of K
    examples, so that `batch_size=P` gives batches of P x K. On a whole split `triplet` compares all triples, the
    metric all pairs: leave large splits out with `evaluate`.

    Args:
      model: from `dl.models.embedding` or `probabilistic_embedding`.
      data: identities as integers, targets [N]; or rows of several examples, inputs [N, K, ...], targets [N, K]; no
        weights of examples.
      loss: `loss(output, labels)` -> [B] or []; e.g. `dl.losses.triplet`, `mutual_likelihood`. Where the model has
        class weights, of its `Angles`: `dl.losses.arcface`, `cosface`, `sphereface`. Options by functools.partial.
      metrics: further metrics of (embeddings, labels).
      penalty: as in `supervised`.

    Raises:
      DataError: targets that are no integers [N] or [N, K]; with class weights, a label of the train split without.

    Example:
      >>> task = dl.tasks.embedding(dl.models.mlp([4, 2]), dl.data.iris(), dl.losses.triplet)
    """
    labels = one_array(data, "targets", "embedding")
    refuse_weights(data, "embedding")
    if labels.dtype.kind not in "iu" or labels.ndim not in (1, 2):
        raise DataError(
            f"targets are {labels.dtype}{list(labels.shape)}; embedding expects integer identities [N], or [N, K] from "
            "dl.data.grouped."
        )
    compared = model.parts.get("angles", model)
    num_classes = _num_classes(compared, data) if "angles" in model.parts else None
    if num_classes is not None:
        check_range("embedding, train split", labels, num_classes)
    reported = {"nearest_neighbor_accuracy": nearest_neighbor_accuracy, **(metrics or {})}

    def forward(params, state, batch, *, key=None, train=False):
        inputs = _examples(batch).inputs
        output, next_state = compared.apply(params, state, inputs, key=key, train=train)
        if num_classes is None:
            return (output, output), next_state
        # In training nobody asks for the metrics, and the compiler drops this second pass.
        return (output, model.apply(params, state, inputs, key=key, train=train)[0]), next_state

    def report(params, outputs, batch):
        (output, embeddings), labels = outputs, _examples(batch).targets
        if num_classes is None:
            value = jnp.mean(loss(output, labels))
        else:
            known = are_classes(labels, num_classes)
            losses = jnp.where(known, loss(output, jnp.where(known, labels, 0)), 0)
            value = jnp.sum(losses) / jnp.sum(known)
        if penalty is not None:
            value = value + penalty(params)
        return value, {name: metric(embeddings, labels) for name, metric in reported.items()}

    return Task(model, data, forward, report)


def _examples(batch: Split) -> Split:
    """Groups [P, K, ...] taken apart to [P * K, ...]."""
    if batch.targets.ndim == 1:
        return batch
    return jax.tree.map(lambda values: values.reshape(-1, *values.shape[2:]), batch)


def _num_classes(angles: Model, data: Dataset) -> int:
    def of_row(values):
        return jax.ShapeDtypeStruct((2, *values.shape[data.train.targets.ndim :]), values.dtype)

    rows = jax.tree.map(of_row, data.train.inputs)
    found = jax.eval_shape(lambda x: angles.apply(*angles.init(jax.random.key(0)), x)[0], rows)
    return found.cosines.shape[1]
