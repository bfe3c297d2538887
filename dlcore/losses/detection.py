"""The loss of a grid detector."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments, integer, sequence
from dlcore.core.errors import DataError
from dlcore.losses.checks import WEIGHT, check_boxes, check_objects, real, record
from dlcore.losses.softmax import binary_surprisal, surprisal_of

EMPTY = np.array([0, 0, 0, 0, 1, 1], np.float32)  # an object that stands where there is none
CELLS = record("of dl.models.grid_detector", objectness="BRC", boxes="BRC4", class_logits="BRCK")


@arguments(
    cells=CELLS,
    targets=real("numbers [B, max_objects, 6]", 3),
    image_size=sequence(integer(), 2, 2, text="positive integers, height and width in pixels"),
    box_weight=WEIGHT,
    no_object_weight=WEIGHT,
)
def grid_detection(
    cells: Any,
    targets: jax.Array,
    *,
    image_size: Sequence[int],
    box_weight: float | jax.Array = 5.0,
    no_object_weight: float | jax.Array = 0.5,
) -> jax.Array:
    """Loss of each image, [B]: objectness in all cells, box and class in those that hold the center of an object.

    Cross-entropy of objectness and class, squared error of the center and of the square roots of height and width,
    both in cells. Of two objects in one cell the first counts.

    Args:
      cells: as of `dl.models.grid_detector`.
      targets: [B, max_objects, 6]: whether there is one, its class, top, left, bottom, right in pixels.
      image_size: (height, width) in pixels.
      box_weight, no_object_weight: of the box's error, and of objectness where there is no object.

    Raises:
      DataError: targets of another shape, an object whose center lies outside the image, predicted boxes whose corners
        are swapped. ArgumentError: a negative weight.
    Reference: Redmon et al., You only look once, CVPR 2016, eq. 3, with cross-entropies for its squared errors.

    Example:
      >>> boxes, classes = jnp.array([[[[0.0, 0, 8, 8]]]]), jnp.zeros((1, 1, 1, 2))
      >>> cells = dl.models.GridPredictions(jnp.zeros((1, 1, 1)), boxes, classes)
      >>> dl.losses.grid_detection(cells, jnp.array([[[1.0, 0, 0, 0, 8, 8]]]), image_size=(8, 8))
      Array([1.3862944], dtype=float32)
    """
    check_objects("grid_detection", targets, cells.class_logits.shape[-1])
    if len(targets) != len(cells.objectness) or not targets.shape[1]:
        raise DataError(
            f"grid_detection: targets are {list(targets.shape)}, cells of {len(cells.objectness)} images; expects "
            "[B, max_objects, 6], one row for each image and room for one object."
        )
    check_boxes("grid_detection: predictions", cells.boxes, jnp.isfinite(cells.boxes).all(axis=-1))
    check_centers("grid_detection", targets, image_size)
    grid = cells.objectness.shape[1:]
    cell = jnp.asarray([size / count for size, count in zip(image_size, grid, strict=True)], targets.dtype)
    there = targets[..., 0] > 0
    # Compiled, a division may be a product with the reciprocal, which puts an object on a border into the cell before.
    middle = (targets[..., 2:4] + targets[..., 4:]) / 2
    inside = jnp.floor_divide(middle, cell.reshape(1, 1, 2)).astype(int)
    inside = jnp.clip(inside, 0, jnp.asarray(grid).reshape(1, 1, 2) - 1)
    here = jax.nn.one_hot(inside[..., 0] * grid[1] + inside[..., 1], grid[0] * grid[1], dtype=bool) & there[..., None]
    holds = here.any(axis=1)  # [B, cells]
    first = jnp.argmax(here, axis=1)  # the object that each cell answers for

    flat = jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0], grid[0] * grid[1], *leaf.shape[3:]), cells)
    # Where there is no object nothing may depend on the box and the class: the root's derivative at 0 is infinite.
    there = jnp.where(holds[..., None], jnp.take_along_axis(targets, first[..., None], axis=1), EMPTY)
    boxes = jnp.where(holds[..., None], flat.boxes, EMPTY[2:])
    logits = jnp.where(holds[..., None], flat.class_logits, 0)
    objectness = binary_surprisal(flat.objectness, holds.astype(flat.objectness.dtype))
    known = box_weight * _box_error(boxes, there[..., 2:], cell) + surprisal_of(logits, there[..., 1].astype(int))
    return jnp.where(holds, objectness + known, no_object_weight * objectness).sum(axis=1)


def _box_error(found: jax.Array, true: jax.Array, cell: jax.Array) -> jax.Array:
    """Squared errors of centers and of roots of the sizes, in cells [2]: boxes [..., 4], [..., 4] -> [...]."""
    cell = cell.reshape((1,) * (found.ndim - 1) + cell.shape)
    # Differences before sums: far from the origin the centers round away what they differ in.
    low, high = jnp.split((found - true) / jnp.concatenate([cell, cell], axis=-1), 2, axis=-1)
    roots = [jnp.sqrt((boxes[..., 2:] - boxes[..., :2]) / cell) for boxes in (found, true)]
    return jnp.sum(((low + high) / 2) ** 2 + (roots[0] - roots[1]) ** 2, axis=-1)


def check_centers(name: str, targets: Any, image_size: Sequence[int]) -> None:
    """Raise `DataError` unless the center of each object [B, max_objects, 6] lies in the image (height, width)."""
    if isinstance(targets, Tracer):
        return
    values = np.asarray(targets)
    centers = (values[..., 2:4] + values[..., 4:]) / 2
    wrong = ((centers < 0) | (centers > np.asarray(image_size))).any(axis=-1) & (values[..., 0] > 0)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"{name}: the object at {list(index)} has its center at {centers[index].tolist()}, the image is "
            f"{list(image_size)}; expects it inside. Leave the object out, or give its box in pixels."
        )
