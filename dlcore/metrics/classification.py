"""Metrics of class labels.

Precision, recall and F1 count for each class, or take one average of it. They take logits [N, num_classes] and labels
[N] (the largest logit counts), logits [N, num_labels] and labels of that shape in {0, 1} (each logit above 0 counts),
or logits [N] and labels [N] in {0, 1} (one class, that of label 1).
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from dlcore.core.errors import ArgumentError, check_name, check_number, check_positive_integer
from dlcore.losses.checks import check_flags, check_labels

Average = Literal["micro", "macro", "none"]


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples whose largest logit is the label: [N, num_classes], [N] -> []."""
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)


def binary_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples on the right side of logit 0: [N], [N] in {0, 1} -> []."""
    return jnp.mean((logits > 0) == (labels > 0))


def top_k_accuracy(logits: jax.Array, labels: jax.Array, *, k: int = 5) -> jax.Array:
    """Share of examples whose label is among the k largest logits: [N, num_classes], [N] -> []."""
    check_labels("top_k_accuracy", logits, labels)
    check_positive_integer("k", k)
    if k > logits.shape[-1]:
        raise ArgumentError(f"k is {k}, there are {logits.shape[-1]} classes; expects at most as many.")
    _, classes = jax.lax.top_k(logits, k)
    return jnp.mean(jnp.any(classes == labels[..., None], axis=-1))


def confusion_matrix(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Examples by label (row) and largest logit (column): [N, num_classes], [N] -> [num_classes, num_classes]."""
    check_labels("confusion_matrix", logits, labels)
    num_classes = logits.shape[-1]
    return jnp.zeros((num_classes, num_classes), int).at[labels, jnp.argmax(logits, axis=-1)].add(1)


def subset_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples all of whose labels are on the right side of logit 0: [N, num_labels] twice -> []."""
    check_flags("subset_accuracy", logits, labels)
    return jnp.mean(jnp.all((logits > 0) == (labels > 0), axis=-1))


def hamming_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of labels on the wrong side of logit 0: [N, num_labels] twice -> []."""
    check_flags("hamming_loss", logits, labels)
    return jnp.mean((logits > 0) != (labels > 0))


def precision(
    logits: jax.Array, labels: jax.Array, *, average: Average = "macro", zero_division: float | jax.Array = 0.0
) -> jax.Array:
    """Share of what was predicted that is right: true / (true + false positives).

    Args:
      average: "macro" is the mean over all classes, "micro" counts all classes together, "none" gives [num_classes].
      zero_division: the value of a class that is never predicted.

    Raises:
      DataError: labels that do not fit the logits. ArgumentError: an unknown average.
    """
    counts = _counts("precision", logits, labels, average)
    return _averaged(counts.hits, counts.predicted, average, zero_division)


def recall(
    logits: jax.Array, labels: jax.Array, *, average: Average = "macro", zero_division: float | jax.Array = 0.0
) -> jax.Array:
    """Share of what is there that was predicted: true positives / (true positives + false negatives).

    Args, Raises: as `precision`; zero_division is the value of a class that has no example.
    """
    counts = _counts("recall", logits, labels, average)
    return _averaged(counts.hits, counts.actual, average, zero_division)


def f1(
    logits: jax.Array, labels: jax.Array, *, average: Average = "macro", zero_division: float | jax.Array = 0.0
) -> jax.Array:
    """Harmonic mean of precision and recall.

    Args, Raises: as `precision`; zero_division is the value of a class that is never predicted and has no example.
    """
    counts = _counts("f1", logits, labels, average)
    return _averaged(2 * counts.hits, counts.predicted + counts.actual, average, zero_division)


class _Counts(NamedTuple):
    """Of each class, [num_classes]: predicted and right, predicted, there."""

    hits: jax.Array
    predicted: jax.Array
    actual: jax.Array


def _counts(name: str, logits: jax.Array, labels: jax.Array, average: str) -> _Counts:
    check_name("average", average, ["macro", "micro", "none"])
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
    check_number("zero_division", zero_division)
    values = jnp.where(denominator > 0, numerator / jnp.maximum(denominator, 1), zero_division)
    return values if average == "none" else values.mean()
