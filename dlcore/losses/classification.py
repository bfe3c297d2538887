"""Losses of class labels."""

import jax
import jax.numpy as jnp
import optax

from dlcore.core.errors import ArgumentError, check_number
from dlcore.losses.checks import check_flags, check_labels, check_same_shape

softmax_cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels


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
    """
    check_labels("weighted_cross_entropy", logits, labels)
    check_number("label_smoothing", label_smoothing, 0, 1)
    num_classes = logits.shape[-1]
    targets = optax.losses.smooth_labels(jax.nn.one_hot(labels, num_classes, dtype=logits.dtype), label_smoothing)
    if class_weights is not None:
        weights = jnp.asarray(class_weights, logits.dtype)
        if weights.shape != (num_classes,):
            raise ArgumentError(
                f"class_weights are {list(weights.shape)}, the logits {list(logits.shape)}; expects [{num_classes}], "
                "one weight for each class."
            )
        targets = targets * weights.reshape((1,) * labels.ndim + weights.shape)
    return optax.losses.softmax_cross_entropy(logits, targets)


def binary_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy: logits [B], labels [B] in {0, 1} -> [B], in nats.

    `optax.losses.sigmoid_binary_cross_entropy` allows labels in between and takes twice the exponentials.
    """
    check_same_shape("binary_cross_entropy", logits, labels)
    return jax.nn.softplus(jnp.where(labels > 0, -logits, logits))


def multi_label_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy of each label, mean over labels: [B, num_labels], [B, num_labels] in {0, 1} -> [B]."""
    check_flags("multi_label_cross_entropy", logits, labels)
    return binary_cross_entropy(logits, labels).mean(axis=-1)


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
    """
    check_flags("focal", logits, labels)
    check_number("gamma", gamma, 0)
    if positive_weight is not None:
        check_number("positive_weight", positive_weight, 0, 1)
    values = optax.losses.sigmoid_focal_loss(logits, labels, alpha=positive_weight, gamma=gamma)
    return values.reshape(values.shape[0], -1).mean(axis=1)


def hinge(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """max(0, 1 - margin): scores [B], labels [B] in {0, 1} -> [B]; the margin is the score of class 1, else minus it.

    Reference: Cortes and Vapnik, Support-vector networks, 1995.
    """
    check_flags("hinge", scores, labels)
    return optax.losses.hinge_loss(scores, 2 * labels.astype(scores.dtype) - 1)


def multiclass_hinge(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Max over the other classes of max(0, 1 + its score - that of the label): [B, num_classes], [B] -> [B].

    Reference: Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector machines, JMLR
      2001.
    """
    check_labels("multiclass_hinge", scores, labels)
    return optax.losses.multiclass_hinge_loss(scores, labels)


def kl_divergence(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """KL(targets || softmax(logits)): logits [B, num_classes], probabilities [B, num_classes] -> [B], in nats."""
    check_same_shape("kl_divergence", logits, targets)
    return optax.losses.kl_divergence(jax.nn.log_softmax(logits), targets)
