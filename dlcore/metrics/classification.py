"""Metrics of class labels.

Precision, recall and F1 count for each class, or take one average of it. They take logits [N, num_classes] and labels
[N] (the largest logit counts), logits [N, num_labels] and labels of that shape in {0, 1} (each logit above 0 counts),
or logits [N] and labels [N] in {0, 1} (one class, that of label 1). Of equal logits the first is the largest.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import arguments, array, integer, number, one_of
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.losses.checks import FLAGS, LABELS, check_flags, check_labels
from dlcore.losses.softmax import are_classes
from dlcore.metrics.numbers import LOGITS, OUTPUTS, namespace, share
from dlcore.metrics.undefined import are_flags, nan_where_nan, refuse_known

Average = Literal["micro", "macro", "none"]
Classes = Literal["all", "occurring"]
COUNTED = {
    "logits": OUTPUTS,
    "labels": array("biuf", text="integer labels [N], or flags of the logits' shape"),
    "average": one_of("macro", "micro", "none"),
    "zero_division": number(),
    "classes": one_of("all", "occurring"),
}


@arguments(logits=LOGITS, labels=LABELS)
def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples whose largest logit is the label: [N, num_classes], [N] -> [].

    Raises:
      DataError: no example; labels that are not one integer for each row of logits; where they are known, labels
        outside [0, num_classes).

    Example:
      >>> dl.metrics.accuracy(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]))
      Array(0.5, dtype=float32)
    """
    check_labels("accuracy", logits, labels)
    known = are_classes(labels, logits.shape[-1])
    return nan_where_nan(logits, share(logits.argmax(axis=-1) == labels), defined=known)


@arguments(logits=OUTPUTS, labels=FLAGS)
def binary_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples on the right side of logit 0: [N, ...], labels of that shape in {0, 1} -> [].

    Raises:
      DataError: no example; labels of another shape; where they are known, labels other than 0 and 1.

    Example:
      >>> dl.metrics.binary_accuracy(jnp.array([1.0, -1.0]), jnp.array([1, 1]))
      Array(0.5, dtype=float32)
    """
    check_flags("binary_accuracy", logits, labels)
    return nan_where_nan(logits, share((logits > 0) == (labels > 0)), defined=are_flags(labels))


@arguments(logits=LOGITS, labels=LABELS, k=integer())
def top_k_accuracy(logits: jax.Array, labels: jax.Array, *, k: int = 5) -> jax.Array:
    """Share of examples whose label is among the k largest logits: [N, num_classes], [N] -> [].

    Of equal logits the first are the larger ones, as in `accuracy`; scikit-learn takes the last.

    Raises:
      ArgumentError: `k` is larger than the number of classes.
      DataError: no example; labels that are not one integer for each row of logits; where they are known, labels
        outside [0, num_classes).

    Example:
      >>> dl.metrics.top_k_accuracy(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]), k=2)
      Array(1., dtype=float32)
    """
    check_labels("top_k_accuracy", logits, labels)
    if k > logits.shape[-1]:
        raise ArgumentError(f"top_k_accuracy: k is {k}, there are {logits.shape[-1]} classes; expects at most as many.")
    xp = namespace(logits, labels)
    labels = xp.asarray(labels).astype(int)[..., None]
    num_classes = logits.shape[-1]
    own = xp.take_along_axis(logits, xp.clip(labels, 0, num_classes - 1), axis=-1)
    ahead = (logits > own) | ((logits == own) & (xp.indices(logits.shape, sparse=True)[-1] < labels))
    return nan_where_nan(logits, share(ahead.sum(axis=-1) < k), defined=are_classes(labels, num_classes))


@arguments(logits=LOGITS, labels=LABELS)
def confusion_matrix(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Examples by label (row) and largest logit (column): [N, num_classes], [N] -> [num_classes, num_classes].

    Counts are integers, which cannot be NaN: logits of NaN are refused. Where they are traced, such examples are
    counted nowhere, nor are labels of no class, so that the sum is less than N.

    Raises:
      DataError: no example; labels that are not one integer for each row of logits; where they are known, labels
        outside [0, num_classes), or logits that are NaN.

    Example:
      >>> dl.metrics.confusion_matrix(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0])).tolist()
      [[1, 1], [0, 0]]
    """
    check_labels("confusion_matrix", logits, labels)
    fix = "numbers. NaN is of no class: drop such examples, or see whether the model has diverged."
    refuse_known("confusion_matrix", "logits hold", logits, np.isnan, fix)
    xp, num_classes = namespace(logits, labels), logits.shape[-1]
    labels = xp.asarray(labels).astype(int)
    counted = ~xp.isnan(logits).any(axis=-1) & are_classes(labels, num_classes)
    cells = xp.where(counted, labels * num_classes + logits.argmax(axis=-1), num_classes**2).reshape(-1)
    size: dict[str, int] = {"length" if xp is jnp else "minlength": num_classes**2 + 1}
    return xp.bincount(cells, **size)[:-1].reshape(num_classes, num_classes)


@arguments(logits=OUTPUTS, labels=FLAGS)
def subset_accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of examples all of whose labels are on the right side of logit 0: [N, num_labels] twice -> [].

    Raises:
      DataError: no example; labels of another shape; where they are known, labels other than 0 and 1;
        outputs [N], of one label.

    Example:
      >>> dl.metrics.subset_accuracy(jnp.array([[2.0, -1.0]]), jnp.array([[1, 1]]))
      Array(0., dtype=float32)
    """
    check_flags("subset_accuracy", logits, labels)
    if logits.ndim < 2:
        raise DataError(
            f"subset_accuracy: outputs are {described(logits)}; expects [N, num_labels]. Use binary_accuracy for one "
            "label."
        )
    return nan_where_nan(logits, share(((logits > 0) == (labels > 0)).all(axis=-1)), defined=are_flags(labels))


@arguments(logits=OUTPUTS, labels=FLAGS)
def hamming_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of labels on the wrong side of logit 0: [N, num_labels] twice -> [].

    Raises:
      DataError: no example; labels of another shape; where they are known, labels other than 0 and 1.

    Example:
      >>> dl.metrics.hamming_loss(jnp.array([[2.0, -1.0]]), jnp.array([[1, 1]]))
      Array(0.5, dtype=float32)
    """
    check_flags("hamming_loss", logits, labels)
    return nan_where_nan(logits, share((logits > 0) != (labels > 0)), defined=are_flags(labels))


@arguments(**COUNTED)
def precision(
    logits: jax.Array,
    labels: jax.Array,
    *,
    average: Average = "macro",
    zero_division: float | jax.Array = 0.0,
    classes: Classes = "all",
) -> jax.Array:
    """Share of what was predicted that is right: true / (true + false positives).

    Labels of the logits' shape are flags, any number in a row: of one-hot rows take `labels.argmax(-1)`.

    Args:
      average: "macro" is the mean over classes, "micro" counts all classes together, "none" gives [num_classes].
      zero_division: the value of a class that is never predicted.
      classes: "all", or only those "occurring" among labels or predictions, as scikit-learn and torchmetrics do unless
        told otherwise: the mean is over these, and "none" gives NaN for the others. Should none occur (flags that are
        all 0), the mean is `zero_division`.

    Raises:
      DataError: labels that do not fit the logits. ArgumentError: an unknown average.

    Example:
      >>> dl.metrics.precision(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]))
      Array(0.5, dtype=float32)
    """
    counts = _counts("precision", logits, labels, average)
    values = _ratios(counts.hits, counts.predicted, zero_division)
    return nan_where_nan(logits, _averaged(values, counts, average, zero_division, classes), defined=counts.known)


@arguments(**COUNTED)
def recall(
    logits: jax.Array,
    labels: jax.Array,
    *,
    average: Average = "macro",
    zero_division: float | jax.Array = 0.0,
    classes: Classes = "all",
) -> jax.Array:
    """Share of what is there that was predicted: true positives / (true positives + false negatives).

    Args, Raises: as `precision`; zero_division is the value of a class that has no example.

    Example:
      >>> dl.metrics.recall(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]))
      Array(0.25, dtype=float32)
    """
    counts = _counts("recall", logits, labels, average)
    values = _ratios(counts.hits, counts.actual, zero_division)
    return nan_where_nan(logits, _averaged(values, counts, average, zero_division, classes), defined=counts.known)


@arguments(**COUNTED)
def f1(
    logits: jax.Array,
    labels: jax.Array,
    *,
    average: Average = "macro",
    zero_division: float | jax.Array = 0.0,
    classes: Classes = "all",
) -> jax.Array:
    """Harmonic mean of precision and recall.

    Args, Raises: as `precision`; zero_division is the value of a class that is never predicted and has no example.

    Example:
      >>> dl.metrics.f1(jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([0, 0]), average="micro")
      Array(0.5, dtype=float32)
    """
    counts = _counts("f1", logits, labels, average)
    values = _ratios(2 * counts.hits, counts.predicted + counts.actual, zero_division)
    return nan_where_nan(logits, _averaged(values, counts, average, zero_division, classes), defined=counts.known)


class _Counts(NamedTuple):
    """Of each class, [num_classes]: predicted and right, predicted, there. known: whether each label is one."""

    hits: jax.Array
    predicted: jax.Array
    actual: jax.Array
    known: jax.Array


def _counts(name: str, logits: jax.Array, labels: jax.Array, average: str) -> _Counts:
    is_column = labels.shape == (*logits.shape[:1], 1) != logits.shape  # no flags of one label: refused with advice
    if logits.ndim == 2 and (labels.ndim == 1 or is_column):
        check_labels(name, logits, labels)
        places = np.arange(logits.shape[1])[None]
        predicted, actual = (x[:, None] == places for x in (logits.argmax(axis=1), labels))
        known = are_classes(labels, logits.shape[1])
    else:
        check_flags(name, logits, labels)
        predicted, actual = (x.reshape(x.shape[0], -1) for x in (logits > 0, labels > 0))
        known = are_flags(labels)
    counts = [x.sum(axis=0, dtype=int) for x in (predicted & actual, predicted, actual)]
    if average == "micro":
        counts = [count.sum(keepdims=True) for count in counts]
    return _Counts(*counts, known)


def _ratios(numerator: jax.Array, denominator: jax.Array, zero_division: float | jax.Array) -> jax.Array:
    xp = namespace(numerator, denominator, zero_division)
    return xp.where(denominator > 0, numerator / xp.maximum(denominator, 1), zero_division)


def _averaged(values: jax.Array, counts: _Counts, average: str, zero_division: Any, classes: str) -> jax.Array:
    xp = namespace(values)
    if classes == "all" or average == "micro":
        return values if average == "none" else values.mean()
    occurs = (counts.predicted > 0) | (counts.actual > 0)
    if average == "none":
        return xp.where(occurs, values, xp.nan)
    total, number_of = xp.where(occurs, values, 0).sum(), occurs.sum()
    return xp.where(number_of > 0, total / xp.maximum(number_of, 1), zero_division)
