"""Metrics of scores that ought to be high for some pairs and low for others: verification, ranking.

Each takes scores [N] and labels [N], 1 for the same (or relevant), 0 for different; a pair is accepted where its score
is at least a threshold. All can be compiled. With only one kind of label there is no answer (but the average precision
of pairs that are all relevant is 1): refused, or NaN where the labels are traced.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments
from dlcore.core.errors import DataError
from dlcore.losses.checks import FLAGS, check_flags
from dlcore.metrics.numbers import namespace, numbers
from dlcore.metrics.undefined import are_flags, nan_where_nan

SCORES = numbers("scores [N]")


class Threshold(NamedTuple):
    """A threshold on scores, [], and the accuracy that it gives, [].

    Example:
      >>> best = dl.metrics.best_threshold(np.array([0.9, 0.1, 0.4]), np.array([1, 0, 0]))
      >>> float(best.threshold), float(best.accuracy)
      (0.9, 1.0)
    """

    threshold: jax.Array
    accuracy: jax.Array


@arguments(scores=SCORES, same=FLAGS)
def roc_auc(scores: jax.Array, same: jax.Array) -> jax.Array:
    """Area under the ROC curve: the probability that a same pair scores above a different one; ties count half.

    Of pairs, or of examples of any two classes. Of a network with two logits, the score is the second minus the first.

    Args:
      scores: [N], higher for what should be the same (class 1). same: [N], 0 or 1, or truth values.

    Returns:
      [], from 0 to 1.

    Raises:
      DataError: scores that are not [N], labels of only one kind; where the labels are traced, NaN.

    Example:
      >>> dl.metrics.roc_auc(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
      Array(1., dtype=float32)
    """
    curve = _curve("roc_auc", scores, same)
    # Steps of integers: differences of rates would cancel where there are many pairs.
    steps, heights = curve.false[1:] - curve.false[:-1], curve.true[1:] / 2 + curve.true[:-1] / 2
    area = (steps * (heights / curve.true[-1])).sum() / curve.false[-1]
    return nan_where_nan(scores, area, defined=are_flags(same))


@arguments(scores=SCORES, same=FLAGS)
def equal_error_rate(scores: jax.Array, same: jax.Array) -> jax.Array:
    """Error rate at the threshold where as many same pairs are refused as different ones accepted, in share of each.

    Between two points of the ROC curve it is interpolated linearly.

    Raises:
      DataError: scores that are not [N], labels that are not 0 or 1 [N] or all of one kind; where labels are traced,
        NaN.

    Example:
      >>> dl.metrics.equal_error_rate(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
      Array(0., dtype=float32)
    """
    curve = _curve("equal_error_rate", scores, same)
    num_same, num_different = curve.true[-1], curve.false[-1]
    false_rates = curve.false / num_different
    gaps = false_rates - (num_same - curve.true) / num_same  # false acceptance minus false refusal; from -1 up to 1
    after = (gaps >= 0).argmax()
    step = -gaps[after - 1] / (gaps[after] - gaps[after - 1])
    rate = false_rates[after - 1] + step * (false_rates[after] - false_rates[after - 1])
    return nan_where_nan(scores, rate, defined=are_flags(same))


@arguments(scores=SCORES, same=FLAGS)
def best_threshold(scores: jax.Array, same: jax.Array) -> Threshold:
    """The threshold with the highest accuracy on these pairs, the highest one of equals; inf accepts none.

    Choose it on other pairs than those whose accuracy is reported: on its own pairs it flatters.

    Raises:
      DataError: scores that are not [N], labels that are not 0 or 1 [N] or all of one kind; where labels are traced,
        NaN.

    Example:
      >>> dl.metrics.best_threshold(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
      Threshold(threshold=Array(0.9, dtype=float32), accuracy=Array(1., dtype=float32))
    """
    curve = _curve("best_threshold", scores, same)
    xp = namespace(*curve)
    right = curve.true + curve.false[-1] - curve.false
    right = xp.where(curve.is_reached, right, -1)
    best = right.argmax()
    of_both_kinds = (curve.true[-1] > 0) & (curve.false[-1] > 0)
    found = Threshold(curve.thresholds[best], right[best] / len(scores))
    return nan_where_nan(scores, found, defined=of_both_kinds & are_flags(same).all())


@arguments(scores=SCORES, same=FLAGS)
def accuracy_at_best_threshold(scores: jax.Array, same: jax.Array) -> jax.Array:
    """Accuracy of `best_threshold`, as a metric of a task.

    Raises:
      DataError: scores that are not [N], labels that are not 0 or 1 [N] or all of one kind; where labels are traced,
        NaN.

    Example:
      >>> dl.metrics.accuracy_at_best_threshold(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
      Array(1., dtype=float32)
    """
    return best_threshold(scores, same).accuracy


@arguments(scores=SCORES, relevant=FLAGS)
def average_precision(scores: jax.Array, relevant: jax.Array) -> jax.Array:
    """Precision at each threshold, weighted by the recall gained there; not interpolated, as scikit-learn's.

    That of detectors, with its envelope, is `detection_average_precision`.

    Raises:
      DataError: scores that are not [N], labels that are not 0 or 1 [N] or all 0; where labels are traced, NaN.

    Example:
      >>> dl.metrics.average_precision(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
      Array(1., dtype=float32)
    """
    curve = _curve("average_precision", scores, relevant)
    accepted = (curve.true + curve.false)[1:]
    gained = curve.true[1:] - curve.true[:-1]
    value = (gained * (curve.true[1:] / accepted)).sum() / curve.true[-1]
    return nan_where_nan(scores, value, defined=are_flags(relevant))


class _Curve(NamedTuple):
    """Of each threshold from the highest down, [N + 1]: it, and how many same and different pairs it accepts.

    Equal scores give the same point several times, which changes no area and no maximum. The first threshold, inf,
    accepts none; `is_reached` is false of it where a score is inf itself.
    """

    thresholds: Any
    true: Any
    false: Any
    is_reached: Any


def _curve(name: str, scores: jax.Array, same: jax.Array) -> _Curve:
    _check(name, scores, same)
    xp = namespace(scores, same)
    order = xp.argsort(scores)
    ascending, flags = xp.asarray(scores)[order], xp.asarray(same)[order] > 0
    below = xp.searchsorted(ascending, ascending, side="left")  # all of equal scores are accepted, or none
    start = xp.zeros(1, int)
    accepted = xp.concatenate([start, (len(scores) - below)[::-1].astype(int)])
    true = xp.concatenate([start, xp.cumsum(flags[::-1].astype(int))])[accepted]
    thresholds = xp.concatenate([xp.full(1, xp.inf, ascending.dtype), ascending[::-1]])
    is_reached = xp.concatenate([ascending[-1:] < xp.inf, xp.ones(len(scores), bool)])
    return _Curve(thresholds, true, accepted - true, is_reached)


def _check(name: str, scores: jax.Array, same: jax.Array) -> None:
    check_flags(name, scores, same)
    if np.ndim(scores) != 1:
        raise DataError(f"{name}: scores are {list(np.shape(scores))}; expects [N], one score for each pair.")
    if isinstance(same, Tracer):
        return
    if name == "average_precision":
        if not np.asarray(same).any():
            raise DataError(f"{name}: all {len(same)} labels are 0; expects one that is relevant (1), or more.")
    elif len(np.unique(np.asarray(same))) != 2:
        raise DataError(
            f"{name}: all {len(same)} labels are {np.asarray(same)[0]}; expects some of each kind, same (1) and "
            "different (0)."
        )
