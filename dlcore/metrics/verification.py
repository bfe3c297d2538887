"""Metrics of scores that ought to be high for some pairs and low for others: verification, ranking.

Each takes scores [N] and labels [N], 1 for the same (or relevant), 0 for different; a pair is accepted where its score
is at least a threshold. All can be compiled. With only one kind of label there is no answer: refused, or NaN where the
labels are traced.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments
from dlcore.core.errors import DataError
from dlcore.losses.checks import FLAGS, OUTPUTS, check_flags
from dlcore.metrics.undefined import nan_where_nan


class Threshold(NamedTuple):
    """A threshold on scores, [], and the accuracy that it gives, []."""

    threshold: jax.Array
    accuracy: jax.Array


@arguments(scores=OUTPUTS, same=FLAGS)
def roc_auc(scores: jax.Array, same: jax.Array) -> jax.Array:
    """Area under the ROC curve: the probability that a same pair scores above a different one; ties count half.

    >>> dl.metrics.roc_auc(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
    Array(1., dtype=float32)
    """
    _, true_rates, false_rates = _roc("roc_auc", scores, same)
    area = jnp.sum((false_rates[1:] - false_rates[:-1]) * (true_rates[1:] + true_rates[:-1])) / 2
    return nan_where_nan(scores, area)


@arguments(scores=OUTPUTS, same=FLAGS)
def equal_error_rate(scores: jax.Array, same: jax.Array) -> jax.Array:
    """Error rate at the threshold where as many same pairs are refused as different ones accepted, in share of each.

    Between two points of the ROC curve it is interpolated linearly.

    >>> dl.metrics.equal_error_rate(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
    Array(0., dtype=float32)
    """
    _, true_rates, false_rates = _roc("equal_error_rate", scores, same)
    gaps = false_rates + true_rates - 1  # false acceptance minus false refusal; rises from -1 to 1
    after = jnp.argmax(gaps >= 0)
    share = -gaps[after - 1] / (gaps[after] - gaps[after - 1])
    rate = false_rates[after - 1] + share * (false_rates[after] - false_rates[after - 1])
    return nan_where_nan(scores, rate)


@arguments(scores=OUTPUTS, same=FLAGS)
def best_threshold(scores: jax.Array, same: jax.Array) -> Threshold:
    """The threshold with the highest accuracy on these pairs, the highest one of equals; inf accepts none.

    Choose it on other pairs than those whose accuracy is reported: on its own pairs it flatters.

    >>> dl.metrics.best_threshold(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
    Threshold(threshold=Array(0.9, dtype=float32), accuracy=Array(1., dtype=float32))
    """
    thresholds, true_rates, false_rates = _roc("best_threshold", scores, same)
    num_same = jnp.sum(same > 0)
    accuracies = (true_rates * num_same + (1 - false_rates) * (len(scores) - num_same)) / len(scores)
    best = jnp.argmax(accuracies)
    return nan_where_nan(scores, Threshold(thresholds[best], accuracies[best]))


@arguments(scores=OUTPUTS, same=FLAGS)
def accuracy_at_best_threshold(scores: jax.Array, same: jax.Array) -> jax.Array:
    """Accuracy of `best_threshold`, as a metric of a task.

    >>> dl.metrics.accuracy_at_best_threshold(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
    Array(1., dtype=float32)
    """
    return best_threshold(scores, same).accuracy


@arguments(scores=OUTPUTS, relevant=FLAGS)
def average_precision(scores: jax.Array, relevant: jax.Array) -> jax.Array:
    """Precision at each threshold, weighted by the recall gained there; not interpolated, as scikit-learn's.

    That of detectors, with its envelope, is `detection_average_precision`.

    >>> dl.metrics.average_precision(jnp.array([0.9, 0.1, 0.4]), jnp.array([1, 0, 0]))
    Array(1., dtype=float32)
    """
    _check("average_precision", scores, relevant)
    _, hits, accepted = _accepted(scores, relevant)
    precisions = hits / jnp.maximum(accepted, 1)
    gained = hits[1:] - hits[:-1]
    return nan_where_nan(scores, jnp.sum(gained * precisions[1:]) / hits[-1])


def _roc(name: str, scores: jax.Array, same: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(thresholds, shares accepted of same, of different pairs), [N + 1]; the first threshold accepts none.

    Equal scores give the same point several times, which changes no area and no maximum.
    """
    _check(name, scores, same)
    thresholds, hits, accepted = _accepted(scores, same)
    return thresholds, hits / hits[-1], (accepted - hits) / (accepted[-1] - hits[-1])


def _accepted(scores: jax.Array, same: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(thresholds, same pairs accepted, pairs accepted), [N + 1]."""
    order = jnp.argsort(-scores)
    descending = scores[order]
    accepted = jnp.searchsorted(-descending, -descending, side="right")  # all of equal scores, or none
    hits = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(jnp.asarray(same)[order] > 0)])
    accepted = jnp.concatenate([jnp.zeros(1, accepted.dtype), accepted])
    return jnp.concatenate([jnp.full(1, jnp.inf, scores.dtype), descending]), hits[accepted], accepted


def _check(name: str, scores: jax.Array, same: jax.Array) -> None:
    check_flags(name, scores, same)
    if np.ndim(scores) != 1:
        raise DataError(f"{name}: scores are {list(np.shape(scores))}; expects [N], one score for each pair.")
    if not isinstance(same, Tracer) and len(np.unique(np.asarray(same))) != 2:
        raise DataError(
            f"{name}: all {len(same)} labels are {np.asarray(same)[0]}; expects some of each kind, same (1) and "
            "different (0)."
        )
