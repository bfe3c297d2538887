"""Metrics of class labels.

Precision, recall and F1 count for each class, or take one average of it. They take logits [N, num_classes] and labels
[N] (the largest logit counts), logits [N, num_labels] and labels of that shape in {0, 1} (each logit above 0 counts),
or logits [N] and labels [N] in {0, 1} (one class, that of label 1).
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from dlcore.core.arguments import arguments, array, integer, number, one_of
from dlcore.core.errors import ArgumentError
from dlcore.losses.checks import FLAGS, LABELS, LOGITS, OUTPUTS, check_flags, check_labels
from dlcore.metrics.undefined import nan_where_nan

Average = Literal["micro", "macro", "none"]
COUNTED = {
    "logits": OUTPUTS,
    "labels": array("biuf", text="integer labels [N], or flags of the logits' shape"),
    "average": one_of("macro", "micro", "none"),
    "zero_division": number(),
}


@arguments(logits=LOGITS, labels=LABELS)
def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples whose largest logit is the label: [N, num_classes], [N] -> [].

    >>> dl.metrics.accuracy(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]))
    Array(0.5, dtype=float32)
    """
    check_labels("accuracy", logits, labels)
    return nan_where_nan(logits, jnp.mean(jnp.argmax(logits, axis=-1) == labels))


@arguments(logits=OUTPUTS, labels=FLAGS)
def binary_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples on the right side of logit 0: [N], [N] in {0, 1} -> [].

    >>> dl.metrics.binary_accuracy(jnp.array([1.0, -1.0]), jnp.array([1, 1]))
    Array(0.5, dtype=float32)
    """
    check_flags("binary_accuracy", logits, labels)
    return nan_where_nan(logits, jnp.mean((logits > 0) == (labels > 0)))


@arguments(logits=LOGITS, labels=LABELS, k=integer())
def top_k_accuracy(logits: jax.Array, labels: jax.Array, *, k: int = 5) -> jax.Array:
    """Share of examples whose label is among the k largest logits: [N, num_classes], [N] -> [].

    >>> dl.metrics.top_k_accuracy(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]), k=2)
    Array(1., dtype=float32)
    """
    check_labels("top_k_accuracy", logits, labels)
    if k > logits.shape[-1]:
        raise ArgumentError(f"top_k_accuracy: k is {k}, there are {logits.shape[-1]} classes; expects at most as many.")
    _, classes = jax.lax.top_k(logits, k)
    return nan_where_nan(logits, jnp.mean(jnp.any(classes == labels[..., None], axis=-1)))


@arguments(logits=LOGITS, labels=LABELS)
def confusion_matrix(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Examples by label (row) and largest logit (column): [N, num_classes], [N] -> [num_classes, num_classes].

    Counts are integers, which cannot be NaN: an example with NaN among its logits is counted nowhere, so that the sum
    is less than N.

    >>> dl.metrics.confusion_matrix(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0])).tolist()
    [[1, 1], [0, 0]]
    """
    check_labels("confusion_matrix", logits, labels)
    num_classes = logits.shape[-1]
    known = ~jnp.isnan(logits).any(axis=-1)
    return jnp.zeros((num_classes, num_classes), int).at[labels, jnp.argmax(logits, axis=-1)].add(known)


@arguments(logits=OUTPUTS, labels=FLAGS)
def subset_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples all of whose labels are on the right side of logit 0: [N, num_labels] twice -> [].

    >>> dl.metrics.subset_accuracy(jnp.array([[2.0, -1.0]]), jnp.array([[1, 1]]))
    Array(0., dtype=float32)
    """
    check_flags("subset_accuracy", logits, labels)
    return nan_where_nan(logits, jnp.mean(jnp.all((logits > 0) == (labels > 0), axis=-1)))


@arguments(logits=OUTPUTS, labels=FLAGS)
def hamming_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of labels on the wrong side of logit 0: [N, num_labels] twice -> [].

    >>> dl.metrics.hamming_loss(jnp.array([[2.0, -1.0]]), jnp.array([[1, 1]]))
    Array(0.5, dtype=float32)
    """
    check_flags("hamming_loss", logits, labels)
    return nan_where_nan(logits, jnp.mean((logits > 0) != (labels > 0)))


@arguments(**COUNTED)
def precision(
    logits: jax.Array, labels: jax.Array, *, average: Average = "macro", zero_division: float | jax.Array = 0.0
) -> jax.Array:
    """Share of what was predicted that is right: true / (true + false positives).

    Args:
      average: "macro" is the mean over all classes, "micro" counts all classes together, "none" gives [num_classes].
      zero_division: the value of a class that is never predicted.

    Raises:
      DataError: labels that do not fit the logits. ArgumentError: an unknown average.

    Example:
      >>> dl.metrics.precision(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]))
      Array(0.5, dtype=float32)
    """
    counts = _counts("precision", logits, labels, average)
    return nan_where_nan(logits, _averaged(counts.hits, counts.predicted, average, zero_division))


@arguments(**COUNTED)
def recall(
    logits: jax.Array, labels: jax.Array, *, average: Average = "macro", zero_division: float | jax.Array = 0.0
) -> jax.Array:
    """Share of what is there that was predicted: true positives / (true positives + false negatives).

    Args, Raises: as `precision`; zero_division is the value of a class that has no example.

    Example:
      >>> dl.metrics.recall(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]))
      Array(0.25, dtype=float32)
    """
    counts = _counts("recall", logits, labels, average)
    return nan_where_nan(logits, _averaged(counts.hits, counts.actual, average, zero_division))


@arguments(**COUNTED)
def f1(
    logits: jax.Array, labels: jax.Array, *, average: Average = "macro", zero_division: float | jax.Array = 0.0
) -> jax.Array:
    """Harmonic mean of precision and recall.

    Args, Raises: as `precision`; zero_division is the value of a class that is never predicted and has no example.

    Example:
      >>> dl.metrics.f1(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]), average="micro")
      Array(0.5, dtype=float32)
    """
    counts = _counts("f1", logits, labels, average)
    both = counts.predicted + counts.actual
    return nan_where_nan(logits, _averaged(2 * counts.hits, both, average, zero_division))


class _Counts(NamedTuple):
    """Of each class, [num_classes]: predicted and right, predicted, there."""

    hits: jax.Array
    predicted: jax.Array
    actual: jax.Array


def _counts(name: str, logits: jax.Array, labels: jax.Array, average: str) -> _Counts:
    if logits.ndim == 2 and labels.ndim == 1:
        check_labels(name, logits, labels)
        num_classes = logits.shape[1]
        predicted = jax.nn.one_hot(jnp.argmax(logits, axis=1), num_classes, dtype=bool)
        actual = jax.nn.one_hot(labels, num_classes, dtype=bool)
    else:
        check_flags(name, logits, labels)
        predicted, actual = (x.reshape(x.shape[0], -1) for x in (logits > 0, labels > 0))
    counts = _Counts(*(x.sum(axis=0) for x in (predicted & actual, predicted, actual)))
    return _Counts(*(x.sum(keepdims=True) for x in counts)) if average == "micro" else counts


def _averaged(numerator: jax.Array, denominator: jax.Array, average: str, zero_division: float | jax.Array):
    values = jnp.where(denominator > 0, numerator / jnp.maximum(denominator, 1), zero_division)
    return values if average == "none" else values.mean()
