"""A single-shot detector: one network, one look, a grid of cells each of which may hold an object."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.core import Tracer

from dlcore.core.arguments import MOST, arguments, array, instance, integer, number, sequence
from dlcore.core.errors import DataError
from dlcore.core.model import Model
from dlcore.losses.checks import OUTPUTS, check_boxes, check_objects, real
from dlcore.metrics import Boxes, box_iou
from dlcore.nn import activations, initializers
from dlcore.nn.activations import ACTIVATION, Activation
from dlcore.nn.adapters import built_in
from dlcore.nn.blocks import WIDTH, ConvolutionalBlock, Pooling
from dlcore.nn.convolution import Convolution
from dlcore.nn.images import IMAGE_SHAPE, as_images, with_channels
from dlcore.nn.initializers import INITIALIZER, Initializer
from dlcore.nn.normalization import NORMALIZATION, Normalization, check_normalized


class GridPredictions(NamedTuple):
    """What a grid detector says of each cell of an even grid over the image.

    objectness: [B, rows, columns], the logit of the center of an object being in the cell.
    boxes: [B, rows, columns, 4]: top, left, bottom, right in pixels; the center lies in the cell.
    class_logits: [B, rows, columns, num_classes].

    Example:
      >>> model = dl.models.grid_detector((8, 8), 3, channels=[2])
      >>> predictions, _ = model.apply(*model.init(jax.random.key(0)), jnp.zeros((5, 8, 8)))
      >>> predictions.objectness.shape, predictions.boxes.shape, predictions.class_logits.shape
      ((5, 4, 4), (5, 4, 4, 4), (5, 4, 4, 3))
    """

    objectness: jax.Array
    boxes: jax.Array
    class_logits: jax.Array


class Detections(NamedTuple):
    """The best boxes of each image, best first; those that are not there have score 0.

    boxes: [B, max_boxes, 4]. classes: integers [B, max_boxes]. scores: [B, max_boxes], in [0, 1].

    Example:
      >>> model = dl.models.grid_detector((8, 8), 3, channels=[2])
      >>> predictions, _ = model.apply(*model.init(jax.random.key(0)), jnp.zeros((5, 8, 8)))
      >>> found = dl.models.detect(predictions, max_boxes=2)
      >>> found.boxes.shape, found.classes.shape, found.scores.shape
      ((5, 2, 4), (5, 2), (5, 2))
    """

    boxes: jax.Array
    classes: jax.Array
    scores: jax.Array


class GridDetector(nnx.Module):
    """Blocks that halve an image, one that looks around, a prediction for each cell: images -> `GridPredictions`."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        channels: Sequence[int],
        num_classes: int,
        activation: str | Activation,
        normalization: str | Normalization | None,
        weights: Initializer,
        rngs: nnx.Rngs,
    ):
        self.image_shape = image_shape
        options = {
            "normalization": normalization,
            "activation": activation,
            "use_bias": normalization is None,
            "kernel_init": weights,
            "rngs": rngs,
        }
        halved = Pooling("max", padding="SAME")
        self.blocks = nnx.List(
            ConvolutionalBlock(*pair, pooling=halved, **options) for pair in pairwise((image_shape[2], *channels))
        )
        self.around = ConvolutionalBlock(channels[-1], channels[-1], **options)  # a cell sees its neighbors
        self.head = Convolution(channels[-1], 5 + num_classes, (1, 1), kernel_init=weights, rngs=rngs)

    def __call__(self, x):
        x = as_images("grid_detector", x, self.image_shape)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.around(x))
        return GridPredictions(x[..., 0], _boxes(x[..., 1:5], self.image_shape[:2]), x[..., 5:])


@arguments(
    image_shape=IMAGE_SHAPE,
    num_classes=WIDTH,
    channels=sequence(WIDTH, 1, 30, text="1 to 30 positive integers"),
    activation=ACTIVATION,
    normalization=NORMALIZATION,
    initializer=INITIALIZER,
)
def grid_detector(
    image_shape: Sequence[int],
    num_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64),
    activation: str | Activation = "leaky_relu",
    normalization: str | Normalization | None = "batch",
    initializer: str | Initializer = "he_normal",
) -> Model:
    """Blocks of convolution, normalization, activation and pooling, then a prediction for each cell: images ->
    `GridPredictions`.

    Each block halves the sizes, rounded up, so an image of 32 x 32 and three blocks have 4 x 4 cells. `detect` makes
    boxes of the output, `dl.tasks.detection` trains it.

    Args:
      image_shape: (height, width) or (height, width, channels).
      channels: of each block.
      normalization: as in `convolutional`; without one the convolutions have biases.

    Raises:
      ArgumentError: sizes that are not positive integers, an unknown name.
    Reference: Redmon et al., You only look once, CVPR 2016, with one box a cell, whose size is predicted as a
      logarithm.

    Example:
      >>> model = dl.models.grid_detector((8, 8), 3, channels=[2])
      >>> predictions, _ = model.apply(*model.init(jax.random.key(0)), jnp.zeros((5, 8, 8)))
      >>> predictions.boxes.shape
      (5, 4, 4, 4)
    """
    shape, weights = with_channels(image_shape), initializers.by_name(initializer)
    pieces = activations.num_pieces(activation)
    check_normalized("grid_detector", normalization, [pieces * count for count in channels])
    return built_in(lambda rngs: GridDetector(shape, channels, num_classes, activation, normalization, weights, rngs))


def cell_size(grid: Sequence[int], image_size: Sequence[int]) -> tuple[float, float]:
    """(height, width) of a cell in pixels."""
    return image_size[0] / grid[0], image_size[1] / grid[1]


MAX_BOXES = integer(1, 100_000)
SHARE = number(0, 1)


@arguments(
    boxes=real("numbers [B, N, 4]: top, left, bottom, right", 3),
    scores=real("numbers [B, N]", 2),
    classes=array("iu", ndim=2, text="integers [B, N]"),
    max_boxes=MAX_BOXES,
    iou_threshold=SHARE,
)
def non_max_suppression(
    boxes: jax.Array,
    scores: jax.Array,
    classes: jax.Array,
    *,
    max_boxes: int = 10,
    iou_threshold: float | jax.Array = 0.5,
) -> Detections:
    """The best boxes of each image: by score, without those that overlap a better one of their class.

    Args:
      boxes: [B, N, 4]: top, left, bottom, right.
      scores: [B, N], 0 or more; a box of score 0 is not there.
      classes: integers [B, N].
      max_boxes: of an image; all shapes are fixed, so it may be compiled and mapped.
      iou_threshold: a box is dropped whose overlap with a better one of its class is larger; may be traced.

    Raises:
      ArgumentError: a number out of its range.
      DataError: shapes that do not fit each other; where known, scores below 0 or NaN, corners out of order or NaN.

    Example:
      >>> boxes = jnp.array([[[0.0, 0, 2, 2], [0.0, 0, 2, 2.1], [5.0, 5, 7, 7]]])
      >>> dl.models.non_max_suppression(boxes, jnp.array([[0.5, 0.9, 0.6]]), jnp.zeros((1, 3), int)).scores[0, :3]
      Array([0.9, 0.6, 0. ], dtype=float32)
    """
    if not boxes.shape == (*scores.shape, 4) == (*classes.shape, 4) or not scores.shape[1]:
        raise DataError(
            f"non_max_suppression: boxes are {list(boxes.shape)}, scores {list(scores.shape)}, classes "
            f"{list(classes.shape)}; expects [B, N, 4], [B, N] and [B, N], N of 1 or more."
        )
    _check_found(boxes, scores)

    def suppressed(boxes, scores, classes):
        def take_best(left, _):
            best = jnp.argmax(left)
            overlapping = box_iou(boxes[best][None], boxes) > iou_threshold
            dropped = (overlapping & (classes == classes[best])) | (jnp.arange(len(left)) == best)
            return jnp.where(dropped, 0, left), (boxes[best], classes[best], left[best])

        return lax.scan(take_best, scores, length=max_boxes)[1]

    return Detections(*jax.vmap(suppressed)(*map(jnp.asarray, (boxes, scores, classes))))


@arguments(
    predictions=instance(GridPredictions, example="the output of dl.models.grid_detector"),
    max_boxes=MAX_BOXES,
    score_threshold=SHARE,
    iou_threshold=SHARE,
)
def detect(
    predictions: GridPredictions,
    *,
    max_boxes: int = 10,
    score_threshold: float | jax.Array = 0.5,
    iou_threshold: float | jax.Array = 0.5,
) -> Detections:
    """The best boxes of each image that a grid detector sees, after `non_max_suppression`.

    Args:
      predictions: the detector's output.
      max_boxes: of an image; all shapes are fixed, so it may be compiled and mapped.
      score_threshold: least score, objectness times the probability of the class; may be traced.
      iou_threshold: a box is dropped whose overlap with a better one of its class is larger; may be traced.

    Raises:
      ArgumentError: a number out of its range.
      DataError: predictions whose shapes do not fit each other, or that are NaN, where that is known.

    Example:
      >>> model = dl.models.grid_detector((8, 8), 3, channels=[2])
      >>> predictions, _ = model.apply(*model.init(jax.random.key(0)), jnp.zeros((5, 8, 8)))
      >>> dl.models.detect(predictions, max_boxes=2).classes.shape
      (5, 2)
    """
    predictions = GridPredictions(*(OUTPUTS.check("detect: predictions", field) for field in predictions))
    grid = jnp.shape(predictions.objectness)
    shapes = [jnp.shape(predictions.boxes), jnp.shape(predictions.class_logits)[:3]]
    if len(grid) != 3 or shapes != [(*grid, 4), grid] or 0 in jnp.shape(predictions.class_logits):
        raise DataError(
            f"detect: objectness is {list(grid)}, boxes and classes are {list(map(list, shapes))}; expects "
            "[B, rows, columns], none of them 0, and for boxes and class logits one axis more."
        )
    if not all(isinstance(field, Tracer) or np.isfinite(field).all() for field in predictions):
        raise DataError(
            "detect: predictions hold NaN or inf; expects numbers. Look at the parameters: those of a run that has "
            "diverged are NaN."
        )
    boxes = predictions.boxes.reshape(grid[0], -1, 4)
    probabilities = jax.nn.softmax(predictions.class_logits).reshape(*boxes.shape[:2], -1)
    scores = jax.nn.sigmoid(predictions.objectness).reshape(boxes.shape[:2]) * probabilities.max(axis=-1)
    scores = jnp.where(scores >= score_threshold, scores, 0)
    classes = jnp.argmax(probabilities, axis=-1)
    return non_max_suppression(boxes, scores, classes, max_boxes=max_boxes, iou_threshold=iou_threshold)


@arguments(detections=instance(Detections, example="of dl.models.detect"))
def found_boxes(detections: Detections) -> Boxes:
    """The boxes that are there, in all images together, on the host: for `dl.metrics.detection_average_precision`.

    Example:
      >>> detections = dl.models.Detections(jnp.ones((1, 2, 4)), jnp.zeros((1, 2), int), jnp.array([[0.9, 0.0]]))
      >>> dl.models.found_boxes(detections).boxes.shape
      (1, 4)
    """
    boxes, classes, scores = map(np.asarray, detections)
    images, places = np.nonzero(scores)
    return Boxes(boxes[images, places], images, classes[images, places], scores[images, places])


@arguments(targets=array(ndim=3, text="targets [N, max_objects, 6]"))
def true_boxes(targets: np.ndarray | jax.Array) -> Boxes:
    """The boxes of targets [N, max_objects, 6], in all images together, on the host.

    A target is (whether it is there, class, top, left, bottom, right), as of `dl.data.scattered_digits`.

    Raises:
      DataError: targets of another shape.

    Example:
      >>> dl.models.true_boxes(np.array([[[1.0, 3, 0, 0, 2, 2], [0.0, 0, 0, 0, 0, 0]]])).classes
      array([3])
    """
    targets = np.asarray(targets)
    check_objects("true_boxes", targets, MOST)
    there, classes = targets[..., 0], targets[..., 1]
    wrong = ~np.isin(there, (0, 1)) | ((there == 1) & ((classes != np.round(classes)) | np.isnan(classes)))
    if wrong.any():
        index = [int(i) for i in np.argwhere(wrong)[0]]
        raise DataError(
            f"true_boxes: the object at {index} is {targets[tuple(index)].tolist()}; expects 0 or 1, whether it is "
            "there, and then its class, a whole number."
        )
    images, places = np.nonzero(targets[..., 0])
    rows = targets[images, places]
    return Boxes(rows[:, 2:], images, rows[:, 1].astype(int))


def _check_found(boxes: jax.Array, scores: jax.Array) -> None:
    if isinstance(boxes, Tracer) or isinstance(scores, Tracer):
        return
    if not (np.asarray(scores) >= 0).all():
        raise DataError(f"non_max_suppression: scores hold {np.min(scores)}; expects numbers of 0 or more, no NaN.")
    check_boxes("non_max_suppression", boxes, scores > 0)


def _boxes(x: jax.Array, image_size: Sequence[int]) -> jax.Array:
    """Boxes in pixels from [B, rows, columns, 4]: place of the center in the cell, logarithm of the size in cells."""
    grid = x.shape[1:3]
    corners = jnp.stack(jnp.meshgrid(*map(jnp.arange, grid), indexing="ij"), axis=-1)[None]
    cell = jnp.asarray(cell_size(grid, image_size), x.dtype).reshape(1, 1, 1, 2)
    centers = (corners + jax.nn.sigmoid(x[..., :2])) * cell
    sizes = jnp.exp(jnp.clip(x[..., 2:], -8, 8)) * cell
    return jnp.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)
