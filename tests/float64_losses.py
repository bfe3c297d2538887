"""Losses in NumPy's float64, out of their definitions: what those of the library are compared with."""

import numpy as np
import scipy.special


def surprisals(logits):
    """Minus the log softmax, by the other classes' odds: right also where the probability is all but 1."""
    z = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        ahead = z[..., None, :] - z[..., :, None]  # of each class before each
        ahead[..., np.arange(z.shape[-1]), np.arange(z.shape[-1])] = -np.inf
        found = np.logaddexp(0, scipy.special.logsumexp(ahead, axis=-1))
    return np.where(np.isneginf(z), np.inf, found)


def product(weights, values):
    """With 0 times infinity 0."""
    weights = np.broadcast_to(weights, np.shape(values))
    return np.where(weights == 0, 0, weights * np.where(weights == 0, 0, values))


def softmax_cross_entropy(logits, labels):
    return np.take_along_axis(surprisals(logits), np.asarray(labels)[..., None].astype(int), axis=-1)[..., 0]


def weighted_cross_entropy(logits, labels, label_smoothing=0.0, class_weights=None):
    count = np.shape(logits)[-1]
    shares = (1 - label_smoothing) * np.eye(count)[np.asarray(labels, int)] + label_smoothing / count
    return product(shares * (1 if class_weights is None else class_weights), surprisals(logits)).sum(axis=-1)


def margins(outputs, labels):
    return np.where(np.asarray(labels) > 0, 1.0, -1.0) * np.asarray(outputs, np.float64)


def binary_cross_entropy(logits, labels):
    return np.logaddexp(0, -margins(logits, labels))


def multi_label_cross_entropy(logits, labels):
    return binary_cross_entropy(logits, labels).mean(axis=-1)


def focal(logits, labels, gamma=2.0, positive_weight=None):
    margin = margins(logits, labels)
    factor = 1 if positive_weight is None else np.where(np.asarray(labels) > 0, positive_weight, 1 - positive_weight)
    values = factor * scipy.special.expit(-margin) ** gamma * np.logaddexp(0, -margin)
    return values.reshape(len(values), -1).mean(axis=1)


def multiclass_focal(logits, labels, gamma=2.0):
    nats = softmax_cross_entropy(logits, labels)
    return (-np.expm1(-nats)) ** gamma * nats


def hinge(scores, labels):
    return np.maximum(0, 1 - margins(scores, labels))


def multiclass_hinge(scores, labels):
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, int)
    others = np.where(np.eye(scores.shape[-1], dtype=bool)[labels], -np.inf, scores).max(axis=-1)
    return np.maximum(0, 1 + others - np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0])


def kl_divergence(logits, targets):
    t = np.asarray(targets, np.float64)
    return (product(t, surprisals(logits)) - scipy.special.entr(t)).sum(axis=-1)


def bernoulli_cross_entropy(logits, targets):
    z, t = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    values = product(t, np.logaddexp(0, -z)) + product(1 - t, np.logaddexp(0, z))
    return values.reshape(len(values), -1).mean(axis=1)


def errors(predictions, targets):
    return np.asarray(targets, np.float64) - np.asarray(predictions, np.float64)


def row_means(values):
    return values.reshape(len(values), -1).mean(axis=1)


def squared_error(predictions, targets):
    return row_means(errors(predictions, targets) ** 2)


def absolute_error(predictions, targets):
    return row_means(np.abs(errors(predictions, targets)))


def huber(predictions, targets, delta=1.0):
    return row_means(scipy.special.huber(delta, errors(predictions, targets)))


def pinball(predictions, targets, quantile=0.5):
    error = errors(predictions, targets)
    return row_means(np.maximum(quantile * error, (quantile - 1) * error))


def masked_cross_entropy(logits, labels, mask):
    values = np.where(mask, softmax_cross_entropy(logits, np.where(mask, labels, 0)), 0)
    return values.sum(axis=1) / np.sum(mask, axis=1)


def squared_distances(a):
    a = np.asarray(a, np.float64)
    return ((a[:, None] - a[None]) ** 2).sum(axis=-1)


def triplet(embeddings, labels, margin=0.2):
    """Of all triplets."""
    distances, labels = squared_distances(embeddings), np.asarray(labels)
    losses = np.array([
        distances[a, p] - distances[a, n] + margin
        for a in range(len(labels)) for p in range(len(labels)) for n in range(len(labels))
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ])  # fmt: skip
    return losses[losses > 0].mean() if (losses > 0).any() else 0.0


def mutual_likelihood_scores(means, log_variances):
    m, v = np.asarray(means, np.float64), np.exp(np.asarray(log_variances, np.float64))
    total = v[:, None] + v[None]
    return -0.5 * ((m[:, None] - m[None]) ** 2 / total + np.log(2 * np.pi * total)).sum(axis=-1)


def with_margin(cosines, labels, target, scale):
    cosines = np.asarray(cosines, np.float64)
    own = np.eye(cosines.shape[1], dtype=bool)[labels]
    return softmax_cross_entropy(scale * np.where(own, target(cosines), cosines), labels)


def arcface(cosines, labels, scale=64.0, margin=0.5):
    return with_margin(cosines, labels, lambda c: np.cos(np.arccos(c) + margin), scale)


def cosface(cosines, labels, scale=64.0, margin=0.35):
    return with_margin(cosines, labels, lambda c: c - margin, scale)


def mixture_density(logits, means, log_deviations, correlations, points):
    """Of points [B, T, 2]."""
    logits, means, s, c, x = (
        np.asarray(each, np.float64) for each in (logits, means, log_deviations, correlations, points)
    )
    r, deviations = np.tanh(c), np.exp(s)
    a, b = np.moveaxis((x[..., None, :] - means) / deviations, -1, 0)
    exponent = (a**2 - 2 * r * a * b + b**2) / (1 - r**2) / 2
    log_density = -np.log(2 * np.pi * deviations.prod(axis=-1) * np.sqrt(1 - r**2)) - exponent
    return -scipy.special.logsumexp(log_density - surprisals(logits), axis=-1).mean(axis=1)
