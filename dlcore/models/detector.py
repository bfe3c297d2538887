"""A single-shot detector: one network, one look, a grid of cells each of which may hold an object."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from dlcore.core.errors import check_number, check_positive_integer
from dlcore.core.model import Model
from dlcore.metrics import Boxes, box_iou
from dlcore.nn import activations, initializers
from dlcore.nn.activations import Activation
from dlcore.nn.adapters import from_nnx
from dlcore.nn.convolution import Convolution, max_pool
from dlcore.nn.images import as_images, checked_image_shape, checked_sizes
from dlcore.nn.initializers import Initializer


class GridPredictions(NamedTuple):
    """What a grid detector says of each cell of an even grid over the image.

    objectness: [B, rows, columns], the logit of the center of an object being in the cell.
    boxes: [B, rows, columns, 4]: top, left, bottom, right in pixels; the center lies in the cell.
    class_logits: [B, rows, columns, num_classes].
    """

    objectness: jax.Array
    boxes: jax.Array
    class_logits: jax.Array


class Detections(NamedTuple):
    """The best boxes of each image, best first; those that are not there have score 0.

    boxes: [B, max_boxes, 4]. classes: integers [B, max_boxes]. scores: [B, max_boxes], in [0, 1].
    """

    boxes: jax.Array
    classes: jax.Array
    scores: jax.Array


def grid_detector(
    image_shape: Sequence[int],
    num_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64),
    activation: str | Activation = "leaky_relu",
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Blocks of convolution, batch norm, activation and pooling, then a prediction for each cell: images ->
    `GridPredictions`.

    Each block halves the sizes, rounded up, so an image of 32 x 32 and three blocks have 4 x 4 cells. `detect` makes
    boxes of the output, `dl.tasks.detection` trains it.

    Args:
      image_shape: (height, width) or (height, width, channels).
      channels: of each block.

    Raises:
      ArgumentError: sizes that are not positive integers, an unknown name.
    Reference: Redmon et al., You only look once, CVPR 2016, with one box a cell, whose size is predicted as a
      logarithm.
    """
    image_shape = checked_image_shape("grid_detector", image_shape)
    channels = checked_sizes("grid_detector: channels", channels, least=1)
    check_positive_integer("grid_detector: num_classes", num_classes)
    weights, pieces = initializers.by_name(initializer), activations.num_pieces(activation)

    class Block(nnx.Module):
        def __init__(self, num_inputs: int, num_channels: int, rngs: nnx.Rngs):
            width = num_channels * pieces
            self.convolution = Convolution(num_inputs, width, (3, 3), use_bias=False, kernel_init=weights, rngs=rngs)
            self.normalization = nnx.BatchNorm(width, momentum=0.9, rngs=rngs)
            self.activation = activations.layer(activation)

        def __call__(self, x):
            return self.activation(self.normalization(self.convolution(x)))

    class GridDetector(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            widths = pairwise((image_shape[2], *channels))
            self.blocks = nnx.List(Block(*width, rngs) for width in widths)
            self.around = Block(channels[-1], channels[-1], rngs)  # a cell sees its neighbors
            self.head = Convolution(channels[-1], 5 + num_classes, (1, 1), kernel_init=weights, rngs=rngs)

        def __call__(self, x):
            x = as_images("grid_detector", x, image_shape)
            for block in self.blocks:
                x = max_pool(block(x), 2, 2, "SAME")
            x = self.head(self.around(x))
            return GridPredictions(x[..., 0], _boxes(x[..., 1:5], image_shape[:2]), x[..., 5:])

    return from_nnx(GridDetector)


def cell_size(grid: Sequence[int], image_size: Sequence[int]) -> tuple[float, float]:
    """(height, width) of a cell in pixels."""
    return image_size[0] / grid[0], image_size[1] / grid[1]


def detect(
    cells: GridPredictions, *, max_boxes: int = 10, score_threshold: float | jax.Array = 0.5, iou_threshold: float = 0.5
) -> Detections:
    """The best boxes of each image: by score, without those that overlap a better one of their class.

    Args:
      max_boxes: of an image; all shapes are fixed, so it may be compiled and mapped.
      score_threshold: least score, objectness times the probability of the class; may be traced.
      iou_threshold: overlap with a better box of the same class from which on a box is dropped.

    Raises:
      ArgumentError: a number out of its range.
    """
    check_positive_integer("detect: max_boxes", max_boxes)
    check_number("detect: score_threshold", score_threshold, 0, 1)
    check_number("detect: iou_threshold", iou_threshold, 0, 1)
    num_images, num_cells = cells.objectness.shape[0], math.prod(cells.objectness.shape[1:])
    boxes = cells.boxes.reshape(num_images, num_cells, 4)
    probabilities = jax.nn.softmax(cells.class_logits).reshape(num_images, num_cells, -1)
    classes = jnp.argmax(probabilities, axis=-1)
    scores = jax.nn.sigmoid(cells.objectness).reshape(num_images, num_cells) * probabilities.max(axis=-1)
    scores = jnp.where(scores >= score_threshold, scores, 0)

    def suppressed(boxes, classes, scores):
        def take_best(left, _):
            best = jnp.argmax(left)
            overlapping = box_iou(boxes[best][None], boxes) > iou_threshold
            dropped = (overlapping & (classes == classes[best])) | (jnp.arange(len(left)) == best)
            return jnp.where(dropped, 0, left), (boxes[best], classes[best], left[best])

        return lax.scan(take_best, scores, length=max_boxes)[1]

    return Detections(*jax.vmap(suppressed)(boxes, classes, scores))


def found_boxes(detections: Detections) -> Boxes:
    """The boxes that are there, in all images together, on the host: for `dl.metrics.detection_average_precision`."""
    boxes, classes, scores = map(np.asarray, detections)
    images, places = np.nonzero(scores)
    return Boxes(boxes[images, places], images, classes[images, places], scores[images, places])


def true_boxes(targets: np.ndarray | jax.Array) -> Boxes:
    """The same of targets [N, max_objects, 6], as of `dl.data.scattered_digits`."""
    targets = np.asarray(targets)
    images, places = np.nonzero(targets[..., 0])
    rows = targets[images, places]
    return Boxes(rows[:, 2:], images, rows[:, 1].astype(int))


def _boxes(x: jax.Array, image_size: Sequence[int]) -> jax.Array:
    """Boxes in pixels from [B, rows, columns, 4]: place of the center in the cell, logarithm of the size in cells."""
    grid = x.shape[1:3]
    corners = jnp.stack(jnp.meshgrid(*map(jnp.arange, grid), indexing="ij"), axis=-1)[None]
    cell = jnp.asarray(cell_size(grid, image_size), x.dtype).reshape(1, 1, 1, 2)
    centers = (corners + jax.nn.sigmoid(x[..., :2])) * cell
    sizes = jnp.exp(jnp.clip(x[..., 2:], -8, 8)) * cell
    return jnp.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)
