"""Objects in images."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from dlcore import losses
from dlcore.core.arguments import arguments
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.core.task import DATASET, METRICS, MODEL, PENALTY, Metric, Penalty, Task, supervised_task
from dlcore.losses.checks import WEIGHT, check_objects
from dlcore.losses.detection import check_centers
from dlcore.metrics import box_iou
from dlcore.models.detector import GridPredictions, detect
from dlcore.tasks.outputs import two_rows


@arguments(model=MODEL, data=DATASET, metrics=METRICS, penalty=PENALTY, box_weight=WEIGHT, no_object_weight=WEIGHT)
def detection(
    model: Model,
    data: Dataset,
    *,
    metrics: Mapping[str, Metric] | None = None,
    penalty: Penalty | None = None,
    box_weight: float | jax.Array = 5.0,
    no_object_weight: float | jax.Array = 0.5,
) -> Task:
    """Find objects and name them, by `dl.losses.grid_detection`.

    Reports `recall`, the share of the true objects that a box of the right class overlaps by more than half, and
    `precision`, the share of boxes that do so; boxes as `dl.models.detect` gives them by default.

    Args:
      model: `dl.models.grid_detector`, or another with output `GridPredictions`.
      data: images [N, height, width, ...]; targets [N, max_objects, 6]: whether there is one, its class, top, left,
        bottom, right in pixels, as of `dl.data.scattered_digits`.
      metrics: further metrics of (cells, targets).
      box_weight, no_object_weight: as in the loss; may be traced.

    Raises:
      DataError: targets or an output of another form, a class out of range, an object outside the
        image. ArgumentError: a negative weight.

    Example:
      >>> data = dl.data.Dataset((np.ones((1, 8, 8)), np.array([[[1.0, 0, 0, 0, 4, 4]]])))
      >>> task = dl.tasks.detection(dl.models.grid_detector((8, 8), 2, channels=[2]), data)
    """
    inputs, targets = (one_array(data, part, "detection") for part in ("inputs", "targets"))
    if targets.ndim != 3 or targets.shape[2] != 6 or inputs.ndim < 3:
        raise DataError(
            f"detection: inputs are {list(inputs.shape)}, targets {list(targets.shape)}; expects images "
            "[N, height, width, ...] and [N, max_objects, 6], as of dl.data.scattered_digits."
        )
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    cells = jax.eval_shape(lambda *arguments: model.apply(*arguments)[0], params, state, two_rows(data))
    if not isinstance(cells, GridPredictions):
        raise DataError(
            f"detection: the model's output is {cells}; expects GridPredictions, as of dl.models.grid_detector."
        )
    num_classes = cells.class_logits.shape[-1]
    for split in data.splits:
        objects = getattr(data, split).targets
        check_objects(f"detection, {split} split", objects, num_classes)
        check_centers(f"detection, {split} split", objects, inputs.shape[1:3])

    def loss(cells, targets):
        weights: Any = {"box_weight": box_weight, "no_object_weight": no_object_weight}
        return losses.grid_detection(cells, targets, image_size=inputs.shape[1:3], **weights)

    return supervised_task(
        model, data, loss, metrics={"recall": _recall, "precision": _precision, **(metrics or {})}, penalty=penalty
    )


def _matches(cells: GridPredictions, targets: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether box i is of object j, [N, max_boxes, max_objects]; whether boxes and objects are there."""
    found = detect(cells)
    there, boxes = targets[..., 0] > 0, found.scores > 0
    same = found.classes[:, :, None] == targets[:, None, :, 1].astype(int)
    overlap = box_iou(found.boxes[:, :, None], targets[:, None, :, 2:]) > 0.5
    return overlap & same & boxes[:, :, None] & there[:, None], boxes, there


def _recall(cells: GridPredictions, targets: jax.Array) -> jax.Array:
    matches, _, there = _matches(cells, targets)
    return jnp.sum(matches.any(axis=1)) / jnp.maximum(there.sum(), 1)


def _precision(cells: GridPredictions, targets: jax.Array) -> jax.Array:
    matches, boxes, _ = _matches(cells, targets)
    return jnp.sum(matches.any(axis=2)) / jnp.maximum(boxes.sum(), 1)
