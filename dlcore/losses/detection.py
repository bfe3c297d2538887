"""The loss of a grid detector."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from dlcore.core.arguments import arguments, array, integer, sequence
from dlcore.core.errors import DataError
from dlcore.losses.checks import WEIGHT, check_objects, record

CELLS = record("of dl.models.grid_detector", objectness="BRC", boxes="BRC4", class_logits="BRCK")


@arguments(
    cells=CELLS,
    targets=array("f", ndim=3, text="floats [B, max_objects, 6]"),
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
      DataError: targets of another shape. ArgumentError: a negative weight.
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
    targets = jnp.asarray(targets)
    grid = cells.objectness.shape[1:]
    cell = jnp.asarray([size / count for size, count in zip(image_size, grid, strict=True)], targets.dtype)
    there = targets[..., 0] > 0
    centers, sizes = _center_and_size(targets[..., 2:], cell)
    # Compiled, `centers` may be products with a reciprocal, which puts an object on a border into the cell before.
    middle = (targets[..., 2:4] + targets[..., 4:]) / 2
    inside = jnp.floor_divide(middle, cell.reshape(1, 1, 2)).astype(int)
    inside = jnp.clip(inside, 0, jnp.asarray(grid).reshape(1, 1, 2) - 1)
    here = jax.nn.one_hot(inside[..., 0] * grid[1] + inside[..., 1], grid[0] * grid[1], dtype=bool) & there[..., None]
    holds = here.any(axis=1)  # [B, cells]
    first = jnp.argmax(here, axis=1)  # the object that each cell answers for

    flat = jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0], grid[0] * grid[1], *leaf.shape[3:]), cells)
    objectness = optax.losses.sigmoid_binary_cross_entropy(flat.objectness, holds)
    found_centers, found_sizes = _center_and_size(flat.boxes, cell)

    def of_first(values):
        return jnp.take_along_axis(values, first[..., None], axis=1)

    box = (found_centers - of_first(centers)) ** 2 + (
        jnp.sqrt(found_sizes) - jnp.sqrt(jnp.where(holds[..., None], of_first(sizes), 1))
    ) ** 2
    labels = jnp.take_along_axis(targets[..., 1].astype(int), first, axis=1)
    kind = optax.losses.softmax_cross_entropy_with_integer_labels(flat.class_logits, labels)
    each = jnp.where(holds, objectness + box_weight * box.sum(axis=-1) + kind, no_object_weight * objectness)
    return each.sum(axis=1)


def _center_and_size(boxes: jax.Array, cell: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Centers and sizes of boxes [..., 4] in cells, [..., 2] each."""
    low, high = boxes[..., :2], boxes[..., 2:]
    cell = cell.reshape((1,) * (low.ndim - 1) + cell.shape)
    return (low + high) / 2 / cell, (high - low) / cell
