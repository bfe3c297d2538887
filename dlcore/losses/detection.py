"""Boxes on a grid of cells: what a single-shot detector's output means, and its loss."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax


def cell_boxes(output: jax.Array, image_size: Sequence[int]) -> jax.Array:
    """The box that each cell predicts, in pixels: top, left, bottom, right.

    Args:
      output: [B, rows, columns, 5 + num_classes]: logit of an object; centre, as logits of its place in the cell, down
        and right; log of height and width in cells; logits of the classes.
      image_size: (height, width) in pixels.

    Returns:
      [B, rows, columns, 4].
    """
    rows, columns = output.shape[1:3]
    cell = jnp.asarray([image_size[0] / rows, image_size[1] / columns], output.dtype)[None, None, None]
    corner = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"), axis=-1)[None]
    centre = (corner.astype(output.dtype) + jax.nn.sigmoid(output[..., 1:3])) * cell
    half = 0.5 * jnp.exp(jnp.clip(output[..., 3:5], -5, 5)) * cell
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def grid_detection(
    output: jax.Array, targets: jax.Array, image_size: Sequence[int], box_weight: float | jax.Array = 5.0
) -> jax.Array:
    """Loss of a single-shot detector, summed over cells and objects: -> [B].

    Cross-entropy of "the centre of an object is here" over all cells; and for the cell of each object, cross-entropy
    of its class and `box_weight` times the squared error of centre and of the roots of height and width, in cells.

    Args:
      output: as for `cell_boxes`. targets: [B, K, 6]: whether there is such an object, its class, its box in pixels.
    Source: Redmon et al., You only look once, CVPR 2016, eq. 3; sizes by their roots, as there.
    """
    batch, rows, columns = output.shape[:3]
    cell = jnp.asarray([image_size[0] / rows, image_size[1] / columns], output.dtype)[None, None]
    present, labels, boxes = targets[..., 0], targets[..., 1].astype(jnp.int32), targets[..., 2:]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 / cell
    size = (boxes[..., 2:] - boxes[..., :2]) / cell
    last = jnp.asarray([rows - 1, columns - 1])[None, None]
    place = jnp.clip(jnp.floor(centre).astype(jnp.int32), 0, last)
    index = place[..., 0] * columns + place[..., 1]

    here = jax.nn.one_hot(index, rows * columns, dtype=output.dtype) * present[..., None]
    cells = output.reshape(batch, rows * columns, -1)
    objectness = optax.losses.sigmoid_binary_cross_entropy(cells[..., 0], here.max(axis=1)).sum(axis=1)
    chosen = jnp.take_along_axis(cells, index[..., None], axis=1)
    offset = jax.nn.sigmoid(chosen[..., 1:3]) - (centre - place.astype(output.dtype))
    root = jnp.exp(0.5 * jnp.clip(chosen[..., 3:5], -5, 5)) - jnp.sqrt(size)
    box = jnp.sum(offset**2 + root**2, axis=-1)
    kind = optax.losses.softmax_cross_entropy_with_integer_labels(chosen[..., 5:], labels)
    return objectness + jnp.sum(present * (box_weight * box + kind), axis=1)
