"""Tasks of finding objects in images."""

import jax
import jax.numpy as jnp
from jax.core import Tracer

from dlcore.data import Dataset
from dlcore.errors import DataError, check_number
from dlcore.losses.detection import grid_detection
from dlcore.model import Model
from dlcore.models.detector import Detections, detections, intersection_over_union
from dlcore.tasks.task import Task, output_of


def detection(model: Model, data: Dataset, *, box_weight: float | jax.Array = 5.0) -> Task:
    """Boxes and classes of the objects in images, by `grid_detection`; reports `found`.

    Args:
      model: output [B, rows, columns, 5 + num_classes], e.g. `dl.models.grid_detector`.
      data: inputs [N, height, width, ...]; targets float [N, K, 6]: whether there is such an object, its class and its
        box top, left, bottom, right in pixels, as `dl.data.scattered_digits` has them.
      box_weight: of the boxes' errors; may be traced.

    Raises:
      DataError: targets or an output of another shape, a class that the model does not have.
    """
    check_number("box_weight", box_weight, 0)
    targets, output = data.train.targets, output_of(model, data)
    if targets.ndim != 3 or targets.shape[-1] != 6 or targets.dtype.kind != "f":
        raise DataError(
            f"targets are {targets.dtype}{list(targets.shape)}; detection expects floats [N, K, 6]: whether "
            "there is an object, its class, top, left, bottom, right."
        )
    if len(output.shape) != 4 or output.shape[-1] < 6:
        raise DataError(
            f"the model's output is {list(output.shape)}; detection expects [B, rows, columns, 5 + num_classes]."
        )
    num_classes = output.shape[-1] - 5
    if not isinstance(targets, Tracer) and not (0 <= targets[..., 1].min() <= targets[..., 1].max() < num_classes):
        raise DataError(
            f"classes must lie in [0, {num_classes}), found {targets[..., 1].min()} to {targets[..., 1].max()}."
        )
    size = data.train.inputs.shape[1:3]

    def objective(params, state, batch, *, key=None, train=False):
        output, state = model.apply(params, state, batch.inputs, key=key, train=train)
        loss = jnp.mean(grid_detection(output, batch.targets, size, box_weight))
        metrics = {} if train else {"found": found(detections(output, size), batch.targets)}
        return loss, (metrics, state)

    return Task(model, data, objective)


def found(detected: Detections, targets: jax.Array, least_score: float = 0.5) -> jax.Array:
    """Share of objects with a detection of their class that overlaps by more than half: targets [B, K, 6] -> []."""

    def in_image(boxes, scores, labels, targets):
        overlaps = intersection_over_union(targets[:, 2:], boxes) > 0.5
        right = (targets[:, 1:2].astype(labels.dtype) == labels[None]) & (scores >= least_score)[None]
        return jnp.any(overlaps & right, axis=1)

    present = targets[..., 0] > 0.5
    return jnp.sum(jax.vmap(in_image)(*detected, targets) & present) / jnp.maximum(jnp.sum(present), 1)
