"""What one function refuses its siblings refuse: labels out of range, corners swapped, losses that broadcast."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore import losses, metrics

LOGITS = np.zeros((4, 3), np.float32)
OF_LABELS = {
    "softmax_cross_entropy": losses.softmax_cross_entropy,
    "weighted_cross_entropy": losses.weighted_cross_entropy,
    "multiclass_hinge": losses.multiclass_hinge,
    "accuracy": metrics.accuracy,
    "confusion_matrix": metrics.confusion_matrix,
    "f1": metrics.f1,
    "precision": metrics.precision,
    "recall": metrics.recall,
}
SWAPPED = np.float32([[4, 0, 0, 4], [0, 0, 4, 4]])  # the first has its bottom above its top


@pytest.mark.parametrize("name", OF_LABELS)
@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 1, -1, 2], r"labels hold -1 at \[2\]"),
        ([0, 1, 3, 2], r"labels hold 3 at \[2\]"),
        ([[0], [1], [2], [0]], "labels|same shape"),
        ([0.0, 1.0, 2.0, 0.0], "labels"),
        (np.eye(4, 3, dtype=int), "labels|same shape"),
    ],
    ids=["negative", "too_large", "column", "floats", "one_hot"],
)
def test_labels(name, labels, text):
    """Catches a label that JAX counts from the end, clamps or broadcasts."""
    if name in ("f1", "precision", "recall") and np.ndim(labels) == 2 and np.shape(labels) == LOGITS.shape:
        return  # flags of several labels, which these take
    with pytest.raises(dl.DataError, match=text):
        OF_LABELS[name](LOGITS, labels)


@pytest.mark.parametrize("name", OF_LABELS)
def test_traced_labels_pass(name):
    """Catches a check of values that are not known yet."""
    assert np.isfinite(jax.jit(OF_LABELS[name])(LOGITS, jnp.array([0, 1, 2, 0]))).all()


def test_swapped_corners():
    """Catches boxes of negative area: in the overlap, the average precision and the data of a task."""
    with pytest.raises(dl.DataError, match="Swap the corners"):
        metrics.box_iou(SWAPPED, SWAPPED)
    found = metrics.Boxes(SWAPPED, np.array([0, 0]), np.array([0, 0]), np.array([0.9, 0.8]))
    with pytest.raises(dl.DataError, match="Swap the corners"):
        metrics.detection_average_precision(found, found)
    targets = np.float32([[[1, 0, 4, 0, 0, 4]]])
    with pytest.raises(dl.DataError, match="Swap the corners"):
        dl.tasks.detection(
            dl.models.grid_detector((8, 8), 2, channels=[2]), dl.data.Dataset((np.ones((1, 8, 8)), targets))
        )


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (
            lambda output, targets: (output - targets[None]) ** 2,
            r"is float32\[6, 6\]; expects \[6\], one number for each",
        ),
        (lambda output, targets: (output - targets[:, None]) ** 2, r"is float32\[6, 1\]; expects \[6\]"),
        (lambda output, targets: "loss", "'loss'; expects"),
    ],
    ids=["square", "column", "text"],
)
def test_a_loss_of_ones_own(loss, text):
    """Catches [B, 1] against [B], which broadcasts to [B, B] and trains on nonsense."""
    data = dl.data.Dataset((np.ones((6, 3)), np.arange(6.0)))
    task = dl.tasks.supervised(dl.models.linear(3), data, loss)
    with pytest.raises(dl.DataError, match=text):
        jax.eval_shape(lambda: task.objective(*task.model.init(jax.random.key(0)), data.train))


def test_metrics_of_ones_own():
    """Catches a metric that takes the place of the loss in the results, and one that cannot be called."""
    data = dl.data.Dataset((np.ones((6, 3)), np.arange(6.0)))
    for metrics_given, text in (({"loss": lambda o, t: jnp.float32(-1)}, "loss"), ({"mine": 3}, "functions")):
        with pytest.raises(dl.ArgumentError, match=text):
            dl.tasks.regression(dl.models.linear(3), data, metrics=metrics_given)
