"""Metrics that have no value: of NaN, of labels that are of no class, of infinite numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore import metrics
from dlcore.metrics import Boxes

NAN = np.float32("nan")
STEPS = {"labels": np.zeros((2, 3), int), "mask": np.array([[True] * 3, [True, True, False]])}
OF_NAN = {
    "accuracy": (np.ones((4, 3), np.float32), {"labels": np.zeros(4, int)}),
    "top_k_accuracy": (np.ones((4, 3), np.float32), {"labels": np.zeros(4, int), "k": 2}),
    **dict.fromkeys(("precision", "recall", "f1"), (np.ones((4, 3), np.float32), {"labels": np.zeros(4, int)})),
    **dict.fromkeys(
        ("binary_accuracy", "subset_accuracy", "hamming_loss"),
        (np.ones((4, 2), np.float32), {"labels": np.array([[0, 1]] * 4)}),
    ),
    **dict.fromkeys(
        ("r2", "mean_absolute_error", "psnr"), (np.ones((4, 1), np.float32), {"targets": np.zeros((4, 1))})
    ),
    **dict.fromkeys(("masked_accuracy", "perplexity", "exact_match"), (np.ones((2, 3, 4), np.float32), STEPS)),
    "nearest_neighbor_accuracy": (np.arange(4, dtype=np.float32)[:, None], {"labels": np.zeros(4, int)}),
    **dict.fromkeys(
        ("roc_auc", "equal_error_rate", "best_threshold", "accuracy_at_best_threshold"),
        (np.arange(4, dtype=np.float32), {"same": np.array([0, 1, 0, 1])}),
    ),
    "average_precision": (np.arange(4, dtype=np.float32), {"relevant": np.array([0, 1, 0, 1])}),
}


@pytest.mark.parametrize("name", OF_NAN)
def test_metrics_of_nan_are_nan(name):
    """Catches a diverged network that scores the share of class 0, and one NaN that is outvoted by the other rows."""
    outputs, others = OF_NAN[name]
    spoiled = outputs.copy()
    spoiled.reshape(len(spoiled), -1)[1, 0] = NAN
    for leaf in jax.tree.leaves(getattr(metrics, name)(outputs, **others)):
        assert np.isfinite(leaf).all()
    for leaf in jax.tree.leaves(getattr(metrics, name)(spoiled, **others)):
        assert np.isnan(leaf).all()


@pytest.mark.parametrize("name", ["masked_accuracy", "perplexity", "exact_match"])
def test_nan_at_steps_that_are_not_there_does_not_count(name):
    """Catches padding that makes a metric NaN."""
    outputs, others = OF_NAN[name]
    spoiled = outputs.copy()
    spoiled[1, 2] = NAN
    assert getattr(metrics, name)(spoiled, **others) == getattr(metrics, name)(outputs, **others)


def test_counts_and_boxes_of_nan():
    """Catches NaN counted as class 0, and corners that are NaN taken for a box without area."""
    logits, labels = np.array([[NAN, 1], [0, 1]], np.float32), np.array([0, 0])
    with pytest.raises(dl.DataError, match=r"logits hold nan at \[0, 0\]; expects numbers"):
        metrics.confusion_matrix(logits, labels)
    np.testing.assert_array_equal(jax.jit(metrics.confusion_matrix)(logits, labels), [[0, 1], [0, 0]])
    box = jnp.array([0.0, 0, 2, 2])
    assert np.isnan(jax.jit(metrics.box_iou)(box.at[3].set(jnp.nan), box))
    for part, value in {"scores": [NAN], "boxes": [[0, 0, NAN, 4]]}.items():
        true = Boxes([[0, 0, 4, 4]], [0], [0], [0.5])
        with pytest.raises(dl.DataError, match=f"{part} .*hold nan at"):
            metrics.detection_average_precision(true._replace(**{part: value}), true)


@pytest.mark.parametrize("name", ["accuracy", "top_k_accuracy", "f1", "masked_accuracy", "perplexity", "exact_match"])
def test_traced_labels_of_no_class_give_nan(name):
    """Catches labels that cannot be refused in a program, counted as wrong or wrapped around to another class."""
    outputs, others = OF_NAN[name]
    for label in (-1, outputs.shape[-1]):
        labels = others["labels"].copy()
        labels[1] = np.where(np.arange(labels[1].size) == 0, label, 0).reshape(labels[1].shape)
        metric = jax.jit(lambda labels, o=others: getattr(metrics, name)(outputs, **(o | {"labels": labels})))
        assert np.isfinite(metric(others["labels"]))
        assert np.isnan(metric(labels))
    with pytest.raises(dl.DataError, match="labels hold"):
        getattr(metrics, name)(outputs, **(others | {"labels": labels}))


def test_traced_flags_that_are_none_give_nan():
    """Catches -1 and 2 that count as 0 and 1."""
    for flags in ([1, -1, 0], [1, 2, 0]):
        for metric in (metrics.roc_auc, metrics.binary_accuracy):
            assert np.isnan(jax.jit(metric)(jnp.arange(3.0), jnp.array(flags)))


def test_infinite_values():
    """Catches thresholds that infinite scores pass, infinite differences, and logits that are infinite alike."""
    scores, same = np.array([np.inf, np.inf, 0, 0]), np.array([0, 0, 0, 1])
    assert metrics.best_threshold(scores, same) == (np.inf, 0.25)  # it accepts the first two
    assert metrics.r2(np.array([np.inf, 1, 2]), np.arange(3.0)) == -np.inf
    assert metrics.psnr(np.array([[np.inf], [0]]), np.zeros((2, 1))) == -np.inf
    logits = np.array([[[np.inf, 0, np.inf], [0, -np.inf, -np.inf]]])
    assert metrics.perplexity(logits, np.array([[0, 0]])) == pytest.approx(2**0.5)
    assert np.isnan(metrics.nearest_neighbor_accuracy(np.array([[np.inf], [0], [1]]), np.zeros(3, int)))
