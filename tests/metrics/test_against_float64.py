"""Metrics against their definitions in extended precision, over dtypes, offsets, scales, ties and empty classes.

NumPy arrays of every dtype go through NumPy; those that are float32 also through one compiled program a metric.
"""

import functools
import itertools
from typing import Any

import hypothesis
import hypothesis.extra.numpy
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from dlcore import metrics

N, K = 8, 3
FLOATS = (np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8")
DTYPES = (*FLOATS, np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64, ">i4", ">u2")
# (offset, scale, spread of the values): within what the dtype holds.
PLACES = [(0.0, 1.0), (1e4, 1.0), (1e6, 1.0), (0.0, 1e-6), (0.0, 1e6), (1e6, 1e6), (0.0, 1e-25), (0.0, 1e25)]


def whole(high: int, shape: tuple[int, ...]) -> st.SearchStrategy:
    return hypothesis.extra.numpy.arrays(np.int64, shape, elements=st.integers(0, high))


@st.composite
def values(draw, shape: tuple[int, ...]) -> np.ndarray:
    """Small integers, so that some are equal, moved and scaled as far as the dtype goes without rounding them alike."""
    dtype = np.dtype(draw(st.sampled_from((np.float32,) * 6 + DTYPES)))
    small = draw(whole(5, shape))
    is_wide = dtype.kind == "f" and dtype.itemsize >= 4
    offset, scale = draw(st.sampled_from(PLACES if is_wide else PLACES[:1]))
    return (offset + scale * small).astype(dtype)


def wide(array: Any) -> np.ndarray:
    return np.asarray(array).astype(np.longdouble)


def first_largest(rows: np.ndarray) -> list[int]:
    return [max(range(len(row)), key=lambda k: (row[k], -k)) for row in rows.tolist()]


def counts(logits, labels):
    """Examples by label and prediction."""
    table = np.zeros((K, K))
    for label, predicted in zip(labels, first_largest(logits), strict=True):
        table[label, predicted] += 1
    return table


def accuracy(logits, labels):
    return np.trace(counts(logits, labels)) / N


def top_k(logits, labels):
    ranked = [sorted(range(K), key=lambda k: (-row[k], k))[:2] for row in logits.tolist()]
    return np.mean([label in best for label, best in zip(labels, ranked, strict=True)])


def f1_of_occurring(logits, labels):
    table = counts(logits, labels)
    both = table.sum(axis=0) + table.sum(axis=1)
    return np.mean([2 * table[k, k] / both[k] for k in range(K) if both[k]])


def precision(logits, labels):
    table = counts(logits, labels)
    return np.mean([table[k, k] / max(table[:, k].sum(), 1) for k in range(K)])


def recall(logits, labels):
    table = counts(logits, labels)
    return np.mean([table[k, k] / max(table[k].sum(), 1) for k in range(K)])


def perplexity(logits, labels):
    logits = wide(logits)
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.exp(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(N), labels]))


def nearest(embeddings, labels):
    points = wide(embeddings)
    squares = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    squares[np.arange(N), np.arange(N)] = np.inf
    return np.mean(labels == labels[squares.argmin(axis=1)])


def r2(predictions, targets):
    p, t = wide(predictions), wide(targets)
    total, residual = ((t - t.mean(axis=0)) ** 2).sum(), ((t - p) ** 2).sum()
    return float(residual == 0) if (t == t[0]).all() else 1 - residual / total


def absolute_error(predictions, targets):
    return abs(wide(predictions) - wide(targets)).mean()


def psnr(predictions, targets):
    squares = ((wide(predictions) - wide(targets)) ** 2).mean(axis=1)
    return np.inf if not squares.all() else np.mean(10 * np.log10(wide(1e35) ** 2 / squares))


def area(scores, same):
    high, low = wide(scores)[same == 1], wide(scores)[same == 0]
    return np.mean((np.sign(high[:, None] - low[None]) + 1) / 2)


def points(scores, same):
    """(same pairs, different pairs) accepted at every threshold."""
    scores = wide(scores)
    yield 0, 0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        accepted = same[scores >= threshold]
        yield accepted.sum(), len(accepted) - accepted.sum()


def average_precision(scores, same):
    curve = list(points(scores, same))
    return sum((b[0] - a[0]) * b[0] / sum(b) for a, b in itertools.pairwise(curve)) / same.sum()


def best_accuracy(scores, same):
    return max(true + (same == 0).sum() - false for true, false in points(scores, same)) / N


def error_rate(scores, same):
    curve = [(false / (same == 0).sum(), 1 - true / same.sum()) for true, false in points(scores, same)]
    for (x, y), (u, v) in itertools.pairwise(curve):
        if u >= v - 1e-12:
            return x + (y - x) / ((u - x) + (y - v)) * (u - x)
    raise AssertionError


LABELED = {
    "accuracy": (metrics.accuracy, accuracy),
    "top_k_accuracy": (functools.partial(metrics.top_k_accuracy, k=2), top_k),
    "f1": (functools.partial(metrics.f1, classes="occurring"), f1_of_occurring),
    "precision": (metrics.precision, precision),
    "recall": (metrics.recall, recall),
    "confusion_matrix": (metrics.confusion_matrix, counts),
    "nearest_neighbor_accuracy": (metrics.nearest_neighbor_accuracy, nearest),
    "perplexity": (lambda logits, labels: metrics.perplexity(logits[None], labels[None]), perplexity),
    "masked_accuracy": (
        lambda logits, labels: metrics.masked_accuracy(logits[None], labels[None], np.ones((1, N), bool)),
        accuracy,
    ),
}
FLAGGED = {
    "binary_accuracy": (metrics.binary_accuracy, lambda x, y: np.mean((wide(x) > 0) == (y > 0))),
    "hamming_loss": (metrics.hamming_loss, lambda x, y: np.mean((wide(x) > 0) != (y > 0))),
    "subset_accuracy": (
        lambda x, y: metrics.subset_accuracy(x.reshape(4, 2), y.reshape(4, 2)),
        lambda x, y: np.mean(((wide(x) > 0) == (y > 0)).reshape(4, 2).all(axis=1)),
    ),
    "roc_auc": (metrics.roc_auc, area),
    "average_precision": (metrics.average_precision, average_precision),
    "accuracy_at_best_threshold": (metrics.accuracy_at_best_threshold, best_accuracy),
    "equal_error_rate": (metrics.equal_error_rate, error_rate),
}
REAL = {
    "r2": (metrics.r2, r2),
    "mean_absolute_error": (metrics.mean_absolute_error, absolute_error),
    "psnr": (functools.partial(metrics.psnr, max_value=1e35), psnr),
}
compiled = {name: jax.jit(pair[0]) for name, pair in {**LABELED, **FLAGGED, **REAL}.items()}
few = hypothesis.settings(max_examples=25, deadline=None)


def check(name: str, pair: tuple[Any, Any], *given: np.ndarray) -> None:
    metric, reference = pair
    with np.errstate(over="ignore", under="ignore"):
        expected = np.asarray(reference(*given)).astype(float)
    np.testing.assert_allclose(metric(*given), expected, rtol=1e-9, atol=1e-12)
    if given[0].dtype == np.float32 and expected.max() < 1e38:
        np.testing.assert_allclose(compiled[name](*given), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", LABELED)
@few
@hypothesis.given(values((N, K)), whole(K - 1, (N,)))
def test_metrics_of_labels(name, outputs, labels):
    """Catches ties broken otherwise, classes that do not occur, logits far from 0, integers that wrap around."""
    check(name, LABELED[name], outputs, labels)


@pytest.mark.parametrize("name", FLAGGED)
@few
@hypothesis.given(values((N,)), whole(1, (N,)).filter(lambda flags: 0 < flags.sum() < N))
def test_metrics_of_flags(name, scores, flags):
    """Catches ties that depend on the order of rows, scores whose negatives wrap around, one of a kind."""
    check(name, FLAGGED[name], scores, flags)


@pytest.mark.parametrize("name", REAL)
@few
@hypothesis.given(st.data())
def test_metrics_of_real_values(name, data):
    """Catches differences of bytes, cancellation far from 0, squares out of range, constant targets."""
    targets = data.draw(values((N, 2)))
    largest, smallest = targets.max(), targets.min()
    predictions = np.where(data.draw(whole(1, (N, 2))) == 1, targets, np.where(targets == largest, smallest, largest))
    check(name, REAL[name], predictions.astype(targets.dtype), targets)


@few
@hypothesis.given(values((2, N, 2, 2)))
def test_overlaps(corners):
    """Catches areas of integers that overflow, areas that vanish, unions that cancel."""
    boxes, others = np.sort(corners, axis=2).reshape(2, N, 4)
    a, b = wide(boxes), wide(others)
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    both = np.maximum(sides, 0).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - both
    expected = (both / np.where(union > 0, union, 1)).astype(float)
    np.testing.assert_allclose(metrics.box_iou(boxes, others), expected, rtol=1e-9, atol=1e-12)
    if corners.dtype == np.float32:
        np.testing.assert_allclose(jax.jit(metrics.box_iou)(boxes, others), expected, rtol=1e-5)
