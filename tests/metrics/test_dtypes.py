"""Every metric of arrays of every dtype: the value of the same numbers as float64, or one of the library's errors."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import dlcore as dl
from dlcore import metrics

LABELS, FLAGS = np.array([0, 1, 2, 1, 0, 2]), np.array([0, 1, 1, 0, 1, 0])
LOGITS = np.array([[3, 1, 0], [0, 2, 1], [1, 4, 0], [5, 2, 1], [2, 3, 9], [0, 1, 7]])
COLUMN, BOXES = np.array([3, 1, 4, 1, 5, 9]), np.array([[0, 0, 2, 2], [1, 1, 3, 4], [5, 5, 9, 9]])
TRUE = metrics.Boxes(BOXES[:2] * 1.0, np.zeros(2, int), np.zeros(2, int))
OF_LABELS = {"logits": LOGITS, "labels": LABELS}
OF_FLAGS = {"logits": LOGITS, "labels": (LOGITS > 1).astype(int)}
OF_STEPS = {
    "logits": LOGITS.reshape(2, 3, 3),
    "labels": LABELS.reshape(2, 3),
    "mask": np.array([[1, 1, 0], [1, 1, 1]]),
}


def psnr(predictions, targets):
    return metrics.psnr(predictions, targets, max_value=255)


def top_k_accuracy(logits, labels):
    return metrics.top_k_accuracy(logits, labels, k=2)


def centered_iou(boxes, others):
    return metrics.box_iou(boxes, others, box_format="center")


def detection(boxes, images, classes, scores):
    return metrics.detection_average_precision(metrics.Boxes(boxes, images, classes, scores), TRUE)


CALLS = [
    *((f, OF_LABELS) for f in (metrics.accuracy, metrics.precision, metrics.recall, metrics.f1)),
    *((f, OF_LABELS) for f in (metrics.confusion_matrix, top_k_accuracy)),
    *((f, OF_FLAGS) for f in (metrics.binary_accuracy, metrics.subset_accuracy, metrics.hamming_loss, metrics.recall)),
    *((f, {"predictions": COLUMN, "targets": COLUMN[::-1]}) for f in (metrics.r2, metrics.mean_absolute_error)),
    (psnr, {"predictions": LOGITS, "targets": LOGITS[::-1]}),
    *((f, OF_STEPS) for f in (metrics.masked_accuracy, metrics.perplexity, metrics.exact_match)),
    *((f, {"scores": COLUMN, "same": FLAGS}) for f in (metrics.roc_auc, metrics.equal_error_rate)),
    *((f, {"scores": COLUMN, "same": FLAGS}) for f in (metrics.best_threshold, metrics.accuracy_at_best_threshold)),
    (metrics.average_precision, {"scores": COLUMN, "relevant": FLAGS}),
    (metrics.nearest_neighbor_accuracy, {"embeddings": LOGITS, "labels": LABELS}),
    *((f, {"boxes": BOXES, "others": BOXES[::-1]}) for f in (metrics.box_iou, centered_iou)),
    (
        detection,
        {"boxes": BOXES, "images": np.zeros(3, int), "classes": np.zeros(3, int), "scores": np.array([1, 3, 2])},
    ),
]
OF_NUMBERS = ("logits", "predictions", "targets", "scores", "embeddings", "boxes", "others")  # arguments, as floats
KINDS = {**dict.fromkeys(OF_NUMBERS, "biuf"), "labels": "iu", "images": "iu", "classes": "iu"}  # taken for certain
NAMES = [
    order + code for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g") for order in "<>"
]
DTYPES = (*NAMES, "b1", "F", "D", "G", "O", "U2", "S2", "M8[s]", "m8[s]", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn)


def value_or_none(metric: Any, given: dict[str, Any]) -> Any:
    """None where the library refuses it; any other error is one."""
    try:
        return jax.tree.map(np.asarray, metric(**given))
    except dl.DlcoreError:
        return None


def test_no_metric_is_left_out():
    called = {metric.__name__ for metric, _ in CALLS} | {"detection_average_precision"}
    assert set(metrics.__all__) - called == {"Boxes", "Threshold", "bleu"}


@pytest.mark.parametrize(("metric", "given"), CALLS)
def test_every_dtype_is_right_or_refused(metric, given):
    """Catches bytes that wrap around, raw errors of JAX, masked values that count, numbers that are refused."""
    for name, values in given.items():
        for dtype in DTYPES:
            cast = values.astype(dtype)
            got = value_or_none(metric, given | {name: cast})
            assert value_or_none(metric, given | {name: np.ma.array(cast, mask=values == values.max())}) is None
            assert got is not None or np.dtype(dtype).kind not in KINDS.get(name, "")
            if got is not None:
                expected = metric(**(given | {name: cast.astype(np.float64 if name in OF_NUMBERS else values.dtype)}))
                jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), got, expected)


@jax.jit
def arithmetic(low, high):
    boxes = jnp.stack([low, low, high, high], axis=1)
    return (
        metrics.r2(low, high),
        metrics.mean_absolute_error(low, high),
        psnr(low[None], high[None]),
        metrics.perplexity(low.reshape(1, 2, 2), jnp.ones((1, 2), int)),
        metrics.box_iou(boxes[:1], boxes[1:]),
    )


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.float16, jnp.int32])
def test_arithmetic_of_narrow_jax_arrays(dtype):
    """Catches squares, areas and sums in the dtype that was given: halves end at 65504, bytes at 255."""
    low, high = np.array([0, 1, 100, 103]), np.array([250, 251, 250, 105])
    expected = arithmetic(jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32))
    got = arithmetic(jnp.asarray(low, dtype), jnp.asarray(high, dtype))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, expected)
    assert expected[1] == pytest.approx(np.abs(high - low).mean())


@pytest.mark.parametrize("like", [np.asarray, jnp.asarray])
def test_areas_beyond_32_bits(like):
    """Catches heights times widths in the integers that were given."""
    whole, half = (like(np.array([[0, 0, 70000, width]], np.int32)) for width in (70000, 35000))
    assert metrics.box_iou(whole, whole) == 1
    assert metrics.box_iou(whole, half) == 0.5


def test_integers_that_floats_do_not_hold_are_refused():
    """Catches long integers of JAX that become other numbers; NumPy's are computed in float64."""
    targets = np.array([2**24, 2**24 + 1], np.int32)
    with pytest.raises(dl.DataError, match=r"float32 does not hold 16777217. Use np.asarray"):
        metrics.mean_absolute_error(jnp.asarray(targets), targets)
    assert metrics.mean_absolute_error(targets[::-1], targets) == 1
    with pytest.raises(dl.DataError, match="float64 does not hold all integers like 1152921504606846977"):
        metrics.mean_absolute_error(np.array([2**60 + 1]), np.array([2**60]))
    ids = np.array([1, 2**32 + 1, 2**32 + 1])  # alike in their lower halves
    assert metrics.nearest_neighbor_accuracy(jnp.array([[0.0], [1], [1.5]]), ids) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("dtype", "num_classes"), [(jnp.uint8, 256), (jnp.int8, 128)])
def test_labels_next_to_more_classes_than_their_dtype_counts(dtype, num_classes):
    """Catches the number of classes that wraps around in the dtype of the labels, so that none is known."""
    labels = np.array([0, 100, num_classes - 1])
    logits = np.eye(num_classes, dtype=np.float32)[[0, 100, 5]]

    def all_of(logits, labels):
        steps = logits[None], labels[None]
        ranks = (metrics.accuracy, metrics.f1, metrics.precision, metrics.recall, top_k_accuracy)
        in_steps = (metrics.perplexity, metrics.masked_accuracy, metrics.exact_match)
        mask = np.ones((1, 3), bool)
        return [f(logits, labels) for f in ranks] + [f(*steps, mask) for f in in_steps]

    got = jax.jit(all_of)(jnp.asarray(logits), jnp.asarray(labels, dtype))
    np.testing.assert_allclose(got, all_of(logits, labels), rtol=1e-5)
