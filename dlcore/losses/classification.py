"""Losses of class labels."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import NONE, arguments, number
from dlcore.core.errors import ArgumentError, shown
from dlcore.losses.checks import (
    FLAGS,
    LABELS,
    LOGITS,
    OUTPUTS,
    WEIGHT,
    check_distributions,
    check_flags,
    check_labels,
    real,
)
from dlcore.losses.softmax import (
    is_label,
    known,
    mean_surprisal,
    of_label,
    softplus,
    softplus_both_ways,
    surprisal_of,
    times,
)


@arguments(logits=LOGITS, labels=LABELS)
def softmax_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Minus the log probability of the label: logits [B, num_classes], integers [B] -> [B], in nats.

    A logit of -inf rules a class out; the loss of such a label is infinite.

    Raises:
      DataError: no example; labels that are not one integer for each row of logits; where they are known, labels
        outside [0, num_classes).

    Example:
      >>> dl.losses.softmax_cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))
      Array([1.3862944], dtype=float32)
    """
    check_labels("softmax_cross_entropy", logits, labels)
    return surprisal_of(logits, labels)


@arguments(
    logits=LOGITS,
    labels=LABELS,
    label_smoothing=number(0, 1),
    class_weights=real("weights [num_classes]", 1) | NONE,
)
def weighted_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float | jax.Array = 0.0,
    class_weights: jax.Array | None = None,
) -> jax.Array:
    """Softmax cross-entropy with smoothed labels and weighted classes: [B, num_classes], [B] -> [B], in nats.

    Args:
      label_smoothing: share of the target that is spread evenly over all classes, in [0, 1].
      class_weights: [num_classes], multiplies the part of each class. PyTorch then divides by the sum of the weights
        of the batch; a mean over the batch here divides by its size, so that examples do not depend on each other.

    Raises:
      DataError: labels that do not fit the logits. ArgumentError: smoothing outside [0, 1], another number of weights.
    Reference: Szegedy et al., Rethinking the inception architecture for computer vision, CVPR 2016, sec. 7.

    Example:
      >>> dl.losses.weighted_cross_entropy(jnp.zeros((1, 2)), jnp.array([1]), class_weights=jnp.array([1.0, 2.0]))
      Array([1.3862944], dtype=float32)
    """
    check_labels("weighted_cross_entropy", logits, labels)
    num_classes = logits.shape[-1]
    shares = label_smoothing / num_classes + (1 - label_smoothing) * is_label(labels, num_classes)
    if class_weights is not None:
        _check_class_weights(class_weights, logits)
        shares = shares * class_weights.reshape((1,) * labels.ndim + class_weights.shape)
    return known(mean_surprisal(shares, logits), labels, num_classes)


def _check_class_weights(weights: jax.Array, logits: jax.Array) -> None:
    text = f"weighted_cross_entropy: class_weights are {list(weights.shape)}, the logits {list(logits.shape)}; expects "
    if weights.shape != logits.shape[-1:]:
        raise ArgumentError(f"{text}[{logits.shape[-1]}], one weight for each class.")
    if isinstance(weights, Tracer):
        return
    values = np.asarray(weights)
    if not (np.isfinite(values) & (values >= 0)).all() or not values.any():
        raise ArgumentError(
            f"weighted_cross_entropy: class_weights are {shown(values.tolist())}; expects finite numbers, 0 or more, "
            "not all 0. Only classes that shall not count have weight 0."
        )


@arguments(logits=OUTPUTS, labels=FLAGS)
def binary_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy of each logit: [B, ...], labels of that shape in {0, 1} -> [B, ...], in nats.

    `optax.losses.sigmoid_binary_cross_entropy` allows labels in between and takes twice the exponentials.

    Raises:
      DataError: no example; labels of another shape; where they are known, labels other than 0 and 1.

    Example:
      >>> dl.losses.binary_cross_entropy(jnp.zeros(2), jnp.array([0, 1]))
      Array([0.6931472, 0.6931472], dtype=float32)
    """
    check_flags("binary_cross_entropy", logits, labels)
    return softplus(jnp.where(labels > 0, -logits, logits))


@arguments(logits=OUTPUTS, labels=FLAGS)
def multi_label_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy of each label, mean over labels: [B, num_labels], [B, num_labels] in {0, 1} -> [B].

    Raises:
      DataError: no example; labels of another shape; where they are known, labels other than 0 and 1.

    Example:
      >>> dl.losses.multi_label_cross_entropy(jnp.zeros((1, 3)), jnp.array([[0, 1, 1]]))
      Array([0.6931472], dtype=float32)
    """
    check_flags("multi_label_cross_entropy", logits, labels)
    return binary_cross_entropy(logits, labels).mean(axis=-1)


@arguments(logits=OUTPUTS, labels=FLAGS, gamma=WEIGHT, positive_weight=number(0, 1) | NONE)
def focal(
    logits: jax.Array,
    labels: jax.Array,
    *,
    gamma: float | jax.Array = 2.0,
    positive_weight: float | jax.Array | None = None,
) -> jax.Array:
    """Binary cross-entropy times (1 - p)^gamma, p the probability of the right answer: [B], [B] in {0, 1} -> [B].

    Labels [B, num_labels] are taken one by one; the result is their mean.

    Args:
      gamma: 0 or more; how strongly easy examples are played down.
      positive_weight: in [0, 1], the factor for label 1, one minus it for label 0; None for no factor.

    Raises:
      DataError: labels that do not fit the logits. ArgumentError: a number out of its range.
    Reference: Lin et al., Focal loss for dense object detection, ICCV 2017.

    Example:
      >>> dl.losses.focal(jnp.zeros(1), jnp.array([1]))
      Array([0.1732868], dtype=float32)
    """
    check_flags("focal", logits, labels)
    positive = labels > 0
    margin = jnp.where(positive, logits, -logits)
    # 1 - p = sigmoid(-margin), by its logarithm: for margins of 20 and more 1 - p would be 0.
    easy, nats = softplus_both_ways(margin)
    values = jnp.exp(-gamma * jnp.minimum(easy, jnp.finfo(logits.dtype).max)) * nats
    if positive_weight is not None:
        values = times(jnp.where(positive, positive_weight, 1 - positive_weight), values)
    return values.reshape(values.shape[0], -1).mean(axis=1)


@arguments(logits=LOGITS, labels=LABELS, gamma=WEIGHT)
def multiclass_focal(logits: jax.Array, labels: jax.Array, *, gamma: float | jax.Array = 2.0) -> jax.Array:
    """Cross-entropy times (1 - p)^gamma, p the softmax probability of the label: [B, num_classes], [B] -> [B], in nats.

    Args:
      gamma: 0 or more; how strongly easy examples are played down.

    Raises:
      DataError: labels that do not fit the logits. ArgumentError: a negative gamma.
    Reference: Lin et al., Focal loss for dense object detection, ICCV 2017.

    Example:
      >>> dl.losses.multiclass_focal(jnp.zeros((1, 2)), jnp.array([1]))
      Array([0.1732868], dtype=float32)
    """
    check_labels("multiclass_focal", logits, labels)
    nats = surprisal_of(logits, labels)
    # log(1 - p): where it is -inf the loss is 0, and so is its derivative.
    missed = jnp.log(jnp.maximum(-jnp.expm1(-nats), jnp.finfo(logits.dtype).tiny))
    return jnp.exp(gamma * missed) * nats


@arguments(scores=OUTPUTS, labels=FLAGS)
def hinge(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """max(0, 1 - margin) of each score: [B, ...], labels of that shape in {0, 1} -> [B, ...].

    The margin is the score where the label is 1, and minus the score where it is 0.

    Raises:
      DataError: no example; labels of another shape; where they are known, labels other than 0 and 1.
    Reference: Cortes and Vapnik, Support-vector networks, 1995.

    Example:
      >>> dl.losses.hinge(jnp.array([0.5, 0.5]), jnp.array([1, 0]))
      Array([0.5, 1.5], dtype=float32)
    """
    check_flags("hinge", scores, labels)
    return jnp.maximum(1 - jnp.where(labels > 0, scores, -scores), 0)


@arguments(scores=LOGITS, labels=LABELS)
def multiclass_hinge(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Max over the other classes of max(0, 1 + its score - that of the label): [B, num_classes], [B] -> [B].

    Raises:
      DataError: no example; labels that are not one integer for each row of scores; where they are known, labels
        outside [0, num_classes).
    Reference: Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector machines, JMLR
      2001.

    Example:
      >>> dl.losses.multiclass_hinge(jnp.array([[2.0, 1.5, 0.0]]), jnp.array([0]))
      Array([0.5], dtype=float32)
    """
    check_labels("multiclass_hinge", scores, labels)
    own, num_classes = of_label(scores, labels), scores.shape[-1]
    # The difference first: next to a score of 1e8 the margin of 1 would be lost.
    others = jnp.where(is_label(labels, num_classes), -jnp.inf, scores - own[..., None])
    # The gradient of `jnp.max` is 0 / 0 where XLA rounds the largest otherwise than when it looks for it.
    is_largest = is_label(others.argmax(axis=-1), num_classes)
    ahead = jnp.where(is_largest, others, 0).sum(axis=-1)
    ahead = jnp.where(own == -jnp.inf, jnp.inf, jnp.where(jnp.isnan(own), own, ahead))
    return known(jnp.maximum(1 + ahead, 0), labels, num_classes)


@arguments(logits=LOGITS, targets=real("probabilities [..., num_classes]"))
def kl_divergence(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """KL(targets || softmax(logits)): logits [B, num_classes], probabilities [B, num_classes] -> [B], in nats.

    Infinite where a target has a share of a class that a logit of -inf rules out.

    Raises:
      DataError: no example; targets of another shape; where they are known, targets outside [0, 1], or that
        do not sum to 1, within 0.01.

    Example:
      >>> dl.losses.kl_divergence(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
      Array([0.6931472], dtype=float32)
    """
    check_distributions("kl_divergence", logits, targets)
    log_targets = jnp.log(jnp.where(targets > 0, targets, 1))
    return mean_surprisal(targets, logits, log_targets)
