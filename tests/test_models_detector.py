"""The grid detector keeps the contract of models; its loss, decoding and suppression are right."""

import jax.numpy as jnp
import numpy as np
import pytest
from model_contract import Case, ModelContract

import dlcore as dl
from dlcore.models.detector import intersection_over_union
from dlcore.tasks.detection import found


def canvases(num_train: int = 32) -> dl.data.Dataset:
    """Images [N, 8, 8] with up to two bright squares of 3 or 4 pixels: the class is the size."""
    random = np.random.default_rng(0)
    inputs = 0.1 * random.normal(size=(num_train, 8, 8)).astype(np.float32)
    targets = np.zeros((num_train, 2, 6), np.float32)
    for image, target in zip(inputs, targets, strict=True):
        for k in range(random.integers(1, 3)):
            side = random.integers(3, 5)
            top, left = 4 * k + random.integers(0, 5 - side), random.integers(0, 9 - side)
            image[top : top + side, left : left + side] += 1
            target[k] = [1, side - 3, top, left, top + side, left + side]
    return dl.data.Dataset(dl.data.Split(inputs, targets), name="squares")


def detector() -> dl.Model:
    """Cells of 4 pixels, two classes; smooth, for finite differences."""
    return dl.models.grid_detector((8, 8), 2, channels=(12, 16), activation="silu", normalisation=None)


class TestDetector(ModelContract):
    """The grid detector."""

    CASES = {
        "grid_detector": Case(lambda: dl.tasks.detection(detector(), canvases()), learning_rate=0.01, num_steps=300),
    }


def perfect(targets: np.ndarray, rows: int = 2, cell: float = 4.0, num_classes: int = 2) -> np.ndarray:
    """The output [B, rows, rows, 7] whose boxes and classes are those of the targets."""
    output = np.zeros((len(targets), rows, rows, 5 + num_classes), np.float32)
    output[..., 0] = -20
    for image, objects in zip(output, targets, strict=True):
        for present, label, top, left, bottom, right in objects:
            if present:
                centre = np.array([top + bottom, left + right]) / 2 / cell
                place = np.floor(centre).astype(int)
                offset = np.clip(centre - place, 1e-6, 1 - 1e-6)
                image[tuple(place)][0] = 20
                image[tuple(place)][1:3] = np.log(offset / (1 - offset))
                image[tuple(place)][3:5] = np.log(np.array([bottom - top, right - left]) / cell)
                image[tuple(place)][5 + int(label)] = 40
    return output


def test_loss_is_zero_where_everything_is_right():
    """Catches a box encoded one way and decoded another, a cell off by one, rows and columns swapped."""
    targets = canvases().train.targets
    output = jnp.asarray(perfect(targets))
    loss = dl.losses.grid_detection(output, jnp.asarray(targets), (8, 8))
    np.testing.assert_allclose(loss, 0, atol=1e-4)
    assert float(found(dl.models.detections(output, (8, 8)), jnp.asarray(targets))) == 1
    swapped = jnp.asarray(targets)[..., jnp.asarray([0, 1, 3, 2, 5, 4])]
    assert float(dl.losses.grid_detection(output, swapped, (8, 8)).max()) > 1


def test_absent_objects_cost_nothing():
    """Catches rows of padding that count as objects at the corner."""
    output = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 2, 7)), jnp.float32)
    padded = jnp.asarray([[[1, 1, 0, 0, 4, 4], [0] * 6]], jnp.float32)
    np.testing.assert_allclose(
        dl.losses.grid_detection(output, padded, (8, 8)), dl.losses.grid_detection(output, padded[:, :1], (8, 8))
    )


def test_loss_of_one_object_by_hand():
    """Catches a missing weight, a size that does not enter by its root."""
    output = jnp.zeros((1, 1, 1, 7))
    target = jnp.asarray([[[1, 0, 0, 0, 8, 2]]], jnp.float32)
    box = (0.5 - 4 / 8) ** 2 + (0.5 - 1 / 8) ** 2 + (1 - 1) ** 2 + (1 - 0.25**0.5) ** 2
    expected = np.log(2) + 5 * box + np.log(2)
    np.testing.assert_allclose(dl.losses.grid_detection(output, target, (8, 8)), [expected], rtol=1e-5)


def test_overlap_of_boxes():
    """Catches areas that do not exclude the far edge, negative overlaps."""
    a = jnp.asarray([[0, 0, 2, 2.0]])
    b = jnp.asarray([[0, 1, 2, 3.0], [5, 5, 6, 6], [0, 0, 2, 2]])
    np.testing.assert_allclose(intersection_over_union(a, b), [[1 / 3, 0, 1]], rtol=1e-6)


def test_suppression():
    """Catches one that goes across classes, keeps the worse, or lets a suppressed box suppress."""
    # Four cells side by side, 4 pixels each; boxes of 8 pixels overlap their neighbours by a third.
    output = np.zeros((1, 1, 4, 7), np.float32)
    output[0, 0, :, 0] = [2, 3, 1, 0.5]
    output[0, 0, :, 3:5] = np.log([1.0, 2.0])
    output[0, 0, :, 5] = [5, 5, 5, -5]
    result = dl.models.detections(jnp.asarray(output), (4, 16), overlap=0.3)
    by_column = dict(
        zip(np.asarray(result.boxes[0, :, 1]).tolist(), np.asarray(result.scores[0]).tolist(), strict=True)
    )
    assert [by_column[left] > 0 for left in (-2.0, 2.0, 6.0, 10.0)] == [False, True, False, True]
    assert (np.diff(np.asarray(result.scores[0])[np.asarray(result.scores[0]) > 0]) <= 0).all()


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: dl.models.grid_detector((8, 8), 2, channels=[4] * 4), "cells of 16 x 16 pixels, the image is 8 x 8"),
        (lambda: dl.models.grid_detector((8, 8), 0), "num_classes is 0"),
        (lambda: dl.models.grid_detector((8, 8), 2, overlap=1.5), "overlap is 1.5"),
        (lambda: dl.models.grid_detector((8, 8), 2, normalisation="bach"), "did you mean 'batch'"),
        (
            lambda: dl.tasks.detection(dl.models.grid_detector((8, 8), 1), canvases()),
            r"classes must lie in \[0, 1\), found 0.0 to 1.0",
        ),
        (lambda: dl.tasks.detection(detector(), canvases(), box_weight=-1.0), "box_weight is -1.0"),
        (
            lambda: dl.tasks.detection(dl.models.convolutional((8, 8), [2], 7), canvases()),
            r"detection expects \[B, rows, columns, 5 \+ num_classes\]",
        ),
    ],
)
def test_bad_input(build, text):
    """Catches a bad argument that gets through, or an error that does not say what is wrong."""
    with pytest.raises(dl.DlcoreError, match=text):
        build()
