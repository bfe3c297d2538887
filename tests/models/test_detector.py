"""The grid detector: contract, loss, search for boxes, and that it finds digits on canvases it has not seen."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_contract import Case, ModelContract

import dlcore as dl
from dlcore.models import GridPredictions


def canvases(num_train: int, num_test: int = 0, **options) -> dl.data.Dataset:
    """Digits scattered on 15 x 15 or larger canvases; those of the test split are other digits."""
    pictures = dl.data.digit_pictures()
    parts = [pictures.select(rows) for rows in (slice(1500), slice(1500, None))]
    train = dl.data.scattered_digits(jax.random.key(0), num_train, digits=parts[0], **options)
    test = dl.data.scattered_digits(jax.random.key(1), num_test, digits=parts[1], **options) if num_test else None
    return dl.data.Dataset(train, test=test, name="scattered digits")


class TestGridDetector(ModelContract):
    """A tiny one."""

    CASES = {
        "grid_detector": Case(
            lambda: dl.tasks.detection(
                dl.models.grid_detector((15, 15), 10, channels=(8, 16)), canvases(32, canvas_size=15, max_digits=1)
            ),
            learning_rate=0.03,
            num_steps=200,
        )
    }
    test_overfits_in_a_sweep = pytest.mark.heavy(ModelContract.test_overfits_in_a_sweep)  # compiles for 10 s


@pytest.mark.heavy
def test_finds_digits_it_has_not_seen():
    """Catches a loss, an assignment of objects to cells or a search that does not fit the others."""
    data = canvases(1500, 200, canvas_size=23, max_digits=2)
    model = dl.models.grid_detector((23, 23), 10)
    task = dl.tasks.detection(model, data)
    training = dl.training(jax.random.key(0), task, optax.adam(1e-2), batch_size=16, num_epochs=6, evaluate=("test",))
    history = dl.run(training, final_params=True)
    assert history.test_recall.values[0] < 0.1
    assert history.test_recall.values[-1] > 0.6, history.test_recall.values
    assert history.test_precision.values[-1] > 0.6, history.test_precision.values
    cells, _ = model.apply(*dl.final_params(history, model), data.test.inputs)
    found = dl.models.found_boxes(dl.models.detect(cells, score_threshold=0.05))
    assert dl.metrics.detection_average_precision(found, dl.models.true_boxes(data.test.targets)) > 0.6


def perfect(targets: np.ndarray, grid: int, size: int) -> GridPredictions:
    """GridPredictions that say exactly what the targets [1, M, 6] do; the size of the image in pixels."""
    objectness = np.full((1, grid, grid), -20.0, np.float32)
    boxes, logits = np.zeros((1, grid, grid, 4), np.float32), np.zeros((1, grid, grid, 3), np.float32)
    boxes[...] = [0, 0, 1, 1]
    for there, label, top, left, bottom, right in targets[0]:
        if there:
            row, column = int((top + bottom) / 2 * grid / size), int((left + right) / 2 * grid / size)
            objectness[0, row, column], boxes[0, row, column] = 20, (top, left, bottom, right)
            logits[0, row, column, int(label)] = 20
    return GridPredictions(*map(jnp.asarray, (objectness, boxes, logits)))


TARGETS = np.array([[[1, 2, 0, 0, 4, 4], [1, 0, 5, 4, 8, 8], [0, 0, 0, 0, 0, 0]]], np.float32)


def test_loss_is_zero_for_perfect_cells_and_counts_each_error():
    """Catches boxes mistaken for sizes, padding that counts as an object, a weight that is not used."""
    right = perfect(TARGETS, grid=4, size=8)
    assert dl.losses.grid_detection(right, TARGETS, image_size=(8, 8))[0] < 1e-6
    moved = right._replace(boxes=right.boxes + 1.0)  # half a cell down and right, for both objects
    got = dl.losses.grid_detection(moved, TARGETS, image_size=(8, 8), box_weight=3.0)
    np.testing.assert_allclose(got, [3.0 * 2 * 2 * 0.5**2], rtol=1e-5)
    wider = right._replace(boxes=right.boxes + jnp.array([-2.0, 0, 2.0, 0]).reshape(1, 1, 1, 4))
    heights = np.array([(np.sqrt(4.0) - np.sqrt(2.0)) ** 2, (np.sqrt(3.5) - np.sqrt(1.5)) ** 2])
    got = dl.losses.grid_detection(wider, TARGETS, image_size=(8, 8), box_weight=1.0)
    np.testing.assert_allclose(got, [heights.sum()], rtol=1e-5)
    unsure = right._replace(objectness=jnp.zeros_like(right.objectness))
    got = dl.losses.grid_detection(unsure, TARGETS, image_size=(8, 8), no_object_weight=0.25)
    np.testing.assert_allclose(got, [np.log(2) * (2 + 0.25 * 14)], rtol=1e-5)


@pytest.mark.parametrize("cell", [41, 47, 55])
def test_an_object_on_a_border_belongs_to_the_cell_that_begins_there(cell):
    """Catches a division that becomes a product with a reciprocal when compiled: 41 / 41 is then below 1."""
    low, high = cell - 3, cell + 3
    targets = np.array([[[1, 2, low, low, high, high]]], np.float32)
    right = perfect(targets, grid=2, size=2 * cell)
    assert right.objectness[0, 1, 1] > 0
    loss = jax.jit(lambda cells, targets: dl.losses.grid_detection(cells, targets, image_size=(2 * cell, 2 * cell)))
    assert loss(right, targets)[0] < 1e-6


def test_search_drops_boxes_that_overlap_a_better_one_of_their_class():
    """Catches suppression across classes or images, and boxes in another order than their scores."""
    cells = perfect(TARGETS, grid=4, size=8)
    twice = cells._replace(
        objectness=cells.objectness.at[0, 0, 0].set(1.0),
        boxes=cells.boxes.at[0, 0, 0].set(jnp.array([0.0, 0, 4, 5])),
        class_logits=cells.class_logits.at[0, 0, 0, 2].set(20.0),
    )
    found = jax.jit(lambda cells: dl.models.detect(cells, max_boxes=3))(twice)
    assert found.boxes.shape == (1, 3, 4)
    assert (found.scores[0] > 0).tolist() == [True, True, False], "the worse of two boxes of class 2 is dropped"
    other_class = twice._replace(class_logits=twice.class_logits.at[0, 0, 0].set(jnp.array([0.0, 20.0, 0.0])))
    found = dl.models.detect(other_class, max_boxes=3)
    assert sorted(found.classes[0].tolist()) == [0, 1, 2]
    np.testing.assert_allclose(found.scores[0], [1, 1, jax.nn.sigmoid(1.0)], rtol=1e-5)
    strict = dl.models.detect(other_class, max_boxes=3, score_threshold=0.9)
    assert (strict.scores[0] > 0).sum() == 2
    both = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), twice)
    assert (dl.models.detect(both).scores > 0).sum(axis=1).tolist() == [2, 2]


def test_average_precision_of_perfect_cells_is_one():
    """Catches boxes and images that lose each other on the way to the metric."""
    found = dl.models.found_boxes(dl.models.detect(perfect(TARGETS, grid=4, size=8)))
    assert dl.metrics.detection_average_precision(found, dl.models.true_boxes(TARGETS)) == 1.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: dl.models.grid_detector((15,), 10), r"grid_detector: image_shape is \(15,\); expects"),
        (lambda: dl.models.grid_detector((15, 15), 0), "grid_detector: num_classes is 0; expects an integer from 1"),
        (
            lambda: dl.models.grid_detector((15, 15), 10, channels=()),
            r"channels is \(\); expects a sequence of 1 to 30",
        ),
        (lambda: dl.models.grid_detector((15, 15), 10, activation="rleu"), "Did you mean 'relu'"),
        (lambda: dl.models.detect(perfect(TARGETS, 4, 8), max_boxes=0), "max_boxes is 0; expects an integer from 1"),
        (lambda: dl.models.detect(perfect(TARGETS, 4, 8), iou_threshold=2.0), "iou_threshold is 2.0; expects"),
        (
            lambda: dl.losses.grid_detection(perfect(TARGETS, 4, 8), TARGETS, image_size=(8, 8), box_weight=-1.0),
            "box_weight is -1.0; expects a finite number, 0 or more",
        ),
        (
            lambda: dl.losses.grid_detection(perfect(TARGETS, 4, 8), TARGETS[0], image_size=(8, 8)),
            r"targets is float32\[3, 6\]; expects numbers \[B, max_objects, 6\]",
        ),
    ],
)
def test_bad_arguments(call, text):
    """Catches errors from deep inside, or none at all."""
    with pytest.raises(dl.DlcoreError, match=text):
        call()


def test_bad_data():
    """Catches classes that the model does not have, and a model that is no detector."""
    data = canvases(4, canvas_size=15, max_digits=1)
    with pytest.raises(dl.DataError, match=r"train split: labels hold 6.0 at .*expects integers in \[0, 3\)"):
        dl.tasks.detection(dl.models.grid_detector((15, 15), 3), data)
    with pytest.raises(dl.DataError, match=r"output is .*; expects GridPredictions"):
        dl.tasks.detection(dl.data.prepared(dl.models.mlp([225, 10]), dl.data.flatten), data)
    with pytest.raises(dl.DataError, match=r"targets \[24\]; expects images"):
        dl.tasks.detection(dl.models.grid_detector((15, 15), 3), dl.data.Dataset((np.zeros((24, 4)), np.zeros(24))))
    model = dl.models.grid_detector((15, 15), 10)
    with pytest.raises(dl.DataError, match=r"grid_detector: inputs are float32\[2, 8, 8\]; the first layer expects"):
        model.apply(*model.init(jax.random.key(0)), jnp.zeros((2, 8, 8)))
