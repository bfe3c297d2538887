"""A single-shot detector: each cell of a grid predicts an object, its box and its class."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore import activations, initializers
from dlcore.activations import Activation
from dlcore.errors import ArgumentError, check_name, check_number, check_positive_integer
from dlcore.initializers import Initializer
from dlcore.layers.convolution import Convolution, max_pool
from dlcore.layers.images import as_images, checked_image_shape, checked_sizes
from dlcore.losses.detection import cell_boxes
from dlcore.model import Model, from_nnx
from dlcore.models.convolutional import NORMALISATIONS


class Detections(NamedTuple):
    """boxes [B, N, 4] top, left, bottom, right in pixels; scores [B, N], falling, 0 where there is none; labels."""

    boxes: jax.Array
    scores: jax.Array
    labels: jax.Array


def grid_detector(
    image_shape: Sequence[int],
    num_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64),
    activation: str | Activation = "relu",
    normalisation: str | None = "batch",
    overlap: float = 0.5,
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Detector of objects, at most one a cell: images -> [B, rows, columns, 5 + num_classes], see `cell_boxes`.

    Part "detect": images -> `Detections`, one for each cell, overlapping ones of a class suppressed.

    Args:
      image_shape: (height, width) or (height, width, channels).
      channels: outputs of each 3 x 3 convolution, followed by pooling of 2 x 2: three of them make cells of 8 pixels.
      normalisation: None, "batch", "group" or "layer".
      overlap: detections that share more than this (intersection over union) with a better one of their class go.

    Raises:
      ArgumentError: sizes that are not positive integers or do not divide the image into cells; an unknown name.
    Source: Redmon et al., You only look once, CVPR 2016.
    """
    name = "grid_detector"
    shape = checked_image_shape(name, image_shape)
    channels = checked_sizes(f"{name}: channels", channels, least=1)
    check_positive_integer("num_classes", num_classes)
    check_number("overlap", overlap, 0, 1)
    if normalisation is not None:
        check_name("normalisation", normalisation, NORMALISATIONS)
    cell = 2 ** len(channels)
    if shape[0] % cell or shape[1] % cell:
        raise ArgumentError(
            f"{name}: {len(channels)} blocks make cells of {cell} x {cell} pixels, the image is {shape[0]} x "
            f"{shape[1]}; expects a multiple. Use another number of channels or pad the images."
        )
    function, weights = activations.by_name(activation), initializers.by_name(initializer)
    if activations.num_pieces(function) > 1:
        raise ArgumentError(f"{name}: activation is maxout; expects one that keeps the number of channels.")

    class Block(nnx.Module):
        def __init__(self, num_inputs: int, num_channels: int, rngs: nnx.Rngs):
            self.convolution = Convolution(num_inputs, num_channels, (3, 3), kernel_init=weights, rngs=rngs)
            self.normalisation = None if normalisation is None else NORMALISATIONS[normalisation](num_channels, rngs)
            self.activation = activations.layer(function)

        def __call__(self, x):
            x = self.convolution(x)
            return self.activation(x if self.normalisation is None else self.normalisation(x))

    class GridDetector(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            widths = (shape[2], *channels)
            self.blocks = nnx.List(Block(*pair, rngs) for pair in zip(widths, channels, strict=False))
            self.context = Block(channels[-1], channels[-1], rngs)
            outputs = 5 + num_classes
            self.head = Convolution(channels[-1], outputs, (1, 1), kernel_init=weights, rngs=rngs)

        def __call__(self, x):
            x = as_images(name, x, shape)
            for block in self.blocks:
                x = max_pool(block(x), 2)
            return self.head(self.context(x))

        def detect(self, x):
            return detections(self(x), shape[:2], overlap)

    return from_nnx(GridDetector, parts=("detect",))


def detections(output: jax.Array, image_size: Sequence[int], overlap: float | jax.Array = 0.5) -> Detections:
    """The cells' predictions, best first; scores are the probability of an object times that of its class.

    Greedy non-maximum suppression in fixed shapes: what overlaps a better one of its class gets score 0.
    """
    batch = len(output)
    boxes = cell_boxes(output, image_size).reshape(batch, -1, 4)
    cells = output.reshape(batch, boxes.shape[1], -1)
    classes = jax.nn.softmax(cells[..., 5:])
    scores = jax.nn.sigmoid(cells[..., 0]) * classes.max(axis=-1)
    labels = classes.argmax(axis=-1)
    order = jnp.argsort(-scores, axis=1)
    boxes = jnp.take_along_axis(boxes, order[..., None], axis=1)
    scores, labels = (jnp.take_along_axis(values, order, axis=1) for values in (scores, labels))
    kept = jax.vmap(functools.partial(_kept, overlap=overlap))(boxes, labels)
    return Detections(boxes, jnp.where(kept, scores, jnp.zeros_like(scores)), labels)


def intersection_over_union(a: jax.Array, b: jax.Array) -> jax.Array:
    """Of each box with each: [N, 4], [M, 4] -> [N, M]."""
    low = jnp.maximum(a[:, None, :2], b[None, :, :2])
    high = jnp.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    areas = [jnp.prod(jnp.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1) for boxes in (a, b)]
    return shared / jnp.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)


def _kept(boxes: jax.Array, labels: jax.Array, *, overlap: float | jax.Array) -> jax.Array:
    """Which of the boxes [N, 4], best first, no better one of the same class that is kept itself suppresses: [N]."""
    numbers = jnp.arange(len(boxes))
    rivals = (intersection_over_union(boxes, boxes) > overlap) & (labels[:, None] == labels[None])

    def judge(i, kept):
        beaten = jnp.any(rivals[i] & kept & (numbers < i))
        return kept.at[i].set(~beaten)

    return jax.lax.fori_loop(0, len(boxes), judge, jnp.ones(len(boxes), bool))
