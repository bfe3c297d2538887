"""Losses of embeddings with identity labels: of the batch as a whole, or of each example's angles to class weights."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.errors import DataError, check_name, check_number, check_positive_integer, described
from dlcore.losses.classification import softmax_cross_entropy
from dlcore.nn.distances import squared_distances
from dlcore.nn.embeddings import Angles, Gaussian

MININGS = ("semi_hard", "hard", "all")


def triplet(
    embeddings: jax.Array, labels: jax.Array, *, margin: float | jax.Array = 0.2, mining: str = "semi_hard"
) -> jax.Array:
    """Mean of `max(0, |a - p|^2 - |a - n|^2 + margin)` over triplets of the batch: [B, D], int [B] -> [].

    An anchor `a` and its positive `p` have the same label, the negative `n` another. The choice of the triplets has no
    derivative. Without any triplet the loss is 0, and so is its derivative.

    Args:
      margin: positive; may be traced.
      mining: "semi_hard" takes each pair (a, p) with the nearest negative that is farther than `p`, or the farthest if
        none is; "hard" each anchor with its farthest positive and nearest negative; "all" each triplet, and the mean
        is over those whose loss is not 0.

    Raises:
      ArgumentError: an unknown mining, a margin that is not positive.
      DataError: embeddings that are no floats [B, D], labels that are no integers [B].
    Reference: Schroff et al., FaceNet, CVPR 2015; "hard" and "all", Hermans et al., In defense of the triplet loss,
      2017.
    """
    check_name("mining", mining, MININGS)
    check_number("triplet: margin", margin, 0, open_low=True)
    _check_batch("triplet", embeddings, labels)
    distances = squared_distances(embeddings, embeddings)
    positive, negative = _pairs(labels)
    if mining == "all":
        losses = jax.nn.relu(distances[:, :, None] - distances[:, None, :] + margin)
        counted = positive[:, :, None] & negative[:, None, :] & (losses > 0)
        return _mean(losses, counted)
    fixed = jax.lax.stop_gradient(distances)
    if mining == "hard":
        farthest = jnp.argmax(jnp.where(positive, fixed, -jnp.inf), axis=1)
        nearest = jnp.argmin(jnp.where(negative, fixed, jnp.inf), axis=1)
        to_positive, to_negative = (_picked(distances, rows[:, None])[:, 0] for rows in (farthest, nearest))
        counted = positive.any(axis=1) & negative.any(axis=1)
        return _mean(jax.nn.relu(to_positive - to_negative + margin), counted)
    farther = negative[:, None, :] & (fixed[:, None, :] > fixed[:, :, None])
    nearest = jnp.argmin(jnp.where(farther, fixed[:, None, :], jnp.inf), axis=2)
    farthest = jnp.argmax(jnp.where(negative, fixed, -jnp.inf), axis=1)
    chosen = jnp.where(farther.any(axis=2), nearest, farthest[:, None])
    losses = jax.nn.relu(distances - _picked(distances, chosen) + margin)
    return _mean(losses, positive & negative.any(axis=1, keepdims=True))


def mutual_likelihood_scores(a: Gaussian, b: Gaussian) -> jax.Array:
    """Log likelihood, in nats, that rows of `a` [A, D] and of `b` [B, D] have the same embedding: [A, B].

    `-1/2 sum_d ((m - m')^2 / (v + v') + log(v + v')) - D/2 log(2 pi)` for means m and variances v.
    Reference: Shi and Jain, Probabilistic face embeddings, ICCV 2019, eq. 3.
    """
    variance = jnp.exp(a.log_variance)[:, None] + jnp.exp(b.log_variance)[None]
    squares = (a.mean[:, None] - b.mean[None]) ** 2
    scores = jnp.sum(squares / variance + jnp.log(variance), axis=-1)
    return -0.5 * (scores + a.mean.shape[1] * math.log(2 * math.pi))


def mutual_likelihood(embeddings: Gaussian, labels: jax.Array) -> jax.Array:
    """Mean negative mutual likelihood score of the pairs with the same label: Gaussians [B, D], int [B] -> [].

    0 where there is no such pair.

    Raises:
      DataError: embeddings that are no `Gaussian`, labels that are no integers [B].
    Reference: Shi and Jain 2019, eq. 5.
    """
    if not isinstance(embeddings, Gaussian):
        raise DataError(
            f"mutual_likelihood: embeddings are {described(embeddings)}; expects a Gaussian. "
            "Use dl.models.probabilistic_embedding."
        )
    _check_batch("mutual_likelihood", embeddings.mean, labels)
    return -_mean(mutual_likelihood_scores(embeddings, embeddings), _pairs(labels)[0])


def arcface(
    angles: Angles, labels: jax.Array, *, scale: float | jax.Array = 64.0, margin: float | jax.Array = 0.5
) -> jax.Array:
    """Cross-entropy of `scale * cos(angle)`, with `margin` radians added to the label's angle: -> [B], in nats.

    Args:
      angles: cosines [B, C] of features with class weights, from the part "angles" of `dl.models.embedding`.
      labels: int [B] in [0, C); one outside gives NaN.
      scale, margin: positive; may be traced.

    Raises:
      ArgumentError: a scale or margin that is not positive.
      DataError: angles that are none, labels that are no integers [B] or, where known, out of range.
    Reference: Deng et al., ArcFace, CVPR 2019, eq. 3.
    """
    _check_margin("arcface", angles, labels, scale, margin)

    def target(cosine):
        # cos(t + m) without arccos, whose derivative is infinite at 1; that of the sine is cut off there.
        sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 1e-12))
        return cosine * jnp.cos(margin) - sine * jnp.sin(margin)

    return _with_margin(angles.cosines, labels, target, scale)


def cosface(
    angles: Angles, labels: jax.Array, *, scale: float | jax.Array = 64.0, margin: float | jax.Array = 0.35
) -> jax.Array:
    """Cross-entropy of `scale * cosine`, with `margin` subtracted from the label's cosine; otherwise as `arcface`.

    Reference: Wang et al., CosFace, CVPR 2018, eq. 4.
    """
    _check_margin("cosface", angles, labels, scale, margin)
    return _with_margin(angles.cosines, labels, lambda cosine: cosine - margin, scale)


def sphereface(angles: Angles, labels: jax.Array, *, margin: int = 4, annealing: float | jax.Array = 0.0) -> jax.Array:
    """Cross-entropy of `|features| * cosine`, the label's cosine replaced by `psi(angle)`: -> [B], in nats.

    `psi(t) = (-1)^k cos(margin * t) - 2 k` for t in [k pi / margin, (k + 1) pi / margin]: the cosine of a multiple of
    the angle, continued so that it falls all the way to pi.

    Args:
      angles: with the features' norms; labels: as for `arcface`.
      margin: a positive integer; 1 is the cosine itself.
      annealing: lambda in `(lambda cos(t) + psi(t)) / (1 + lambda)`, 0 or more; may be traced. The paper's authors
        lower it from 1000 to 5 in training; with 0, features may shrink instead of turning.

    Raises:
      ArgumentError: a margin that is not a positive integer, a negative annealing.
      DataError: as `arcface`.
    Reference: Liu et al., SphereFace, CVPR 2017, eq. 7; annealing, Liu et al., ICML 2016, section 5.1.
    """
    check_positive_integer("sphereface: margin", margin, "multiple of the angle")
    check_number("sphereface: annealing", annealing, 0)
    _check_angles("sphereface", angles, labels)

    def target(cosine):
        multiple, before = cosine, jnp.ones_like(cosine)
        for _ in range(margin - 1):  # cos(m t) as a polynomial in cos(t), by Chebyshev's recursion
            multiple, before = 2 * cosine * multiple - before, multiple
        k = sum((cosine < math.cos(j * math.pi / margin)).astype(cosine.dtype) for j in range(1, margin))
        psi = (1 - 2 * (k % 2)) * multiple - 2 * k
        return (annealing * cosine + psi) / (1 + annealing)

    return _with_margin(angles.cosines, labels, target, angles.norms[:, None])


def _with_margin(cosines: jax.Array, labels: jax.Array, target: Any, scale: Any) -> jax.Array:
    own = jax.nn.one_hot(labels, cosines.shape[1], dtype=bool)
    return softmax_cross_entropy(scale * jnp.where(own, target(cosines), cosines), labels)


def _pairs(labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which pairs of different rows have the same label, and which have another, [B, B] each."""
    same = labels[:, None] == labels[None, :]
    return same & ~jnp.eye(len(labels), dtype=bool), ~same


def _picked(values: jax.Array, columns: jax.Array) -> jax.Array:
    return jnp.take_along_axis(values, columns, axis=1)


def _mean(values: jax.Array, counted: jax.Array) -> jax.Array:
    """Mean over those that count; 0 if none does."""
    return jnp.sum(jnp.where(counted, values, 0)) / jnp.maximum(jnp.sum(counted), 1)


def _check_margin(name: str, angles: Angles, labels: jax.Array, scale: Any, margin: Any) -> None:
    check_number(f"{name}: scale", scale, 0, open_low=True)
    check_number(f"{name}: margin", margin, 0, open_low=True)
    _check_angles(name, angles, labels)


def _check_angles(name: str, angles: Any, labels: jax.Array) -> None:
    if not isinstance(angles, Angles):
        raise DataError(
            f"{name}: got {described(angles)}; expects Angles. Give the model class weights: "
            "dl.models.embedding(backbone, num_features, num_classes=...)."
        )
    _check_batch(name, angles.cosines, labels)
    if not isinstance(labels, Tracer):
        num_classes = angles.cosines.shape[1]
        wrong = (np.asarray(labels) < 0) | (np.asarray(labels) >= num_classes)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{name}: labels must lie in [0, {num_classes}), found {int(labels[row])} at row {row}. "
                "Relabel from 0, or pass a larger num_classes."
            )


def _check_batch(name: str, values: Any, labels: Any) -> None:
    if getattr(values, "ndim", 0) != 2:
        raise DataError(f"{name}: embeddings are {described(values)}; expects floats [B, features].")
    if labels.shape != values.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(f"{name}: labels are {described(labels)}; expects integers [{len(values)}].")
