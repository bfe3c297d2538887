"""Losses of embeddings with identity labels: of the batch as a whole, or of each example's angles to class weights."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments, integer, number, one_of
from dlcore.core.errors import DataError, described
from dlcore.losses.checks import LABELS, WEIGHT, check_labels, real, record
from dlcore.losses.softmax import is_label, over_exp, surprisal_of
from dlcore.nn.distances import squared_distances
from dlcore.nn.embeddings import Angles, Gaussian

MININGS = ("semi_hard", "hard", "all")

EMBEDDINGS = real("floats [B, features]", 2)
GAUSSIAN = record("a Gaussian of dl.models.probabilistic_embedding", mean="BD", log_variance="BD")
ANGLES = record(
    "Angles of dl.models.embedding(backbone, num_features, num_classes=...).parts['angles']", cosines="BC", norms="B"
)
POSITIVE = number(0, open_low=True)


@arguments(embeddings=EMBEDDINGS, labels=LABELS, margin=POSITIVE, mining=one_of(*MININGS))
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

    Example:
      >>> dl.losses.triplet(jnp.array([[0.0], [1.0], [1.0]]), jnp.array([0, 0, 1]), margin=0.5)
      Array(1., dtype=float32)
    """
    _check_batch("triplet", embeddings, labels)
    return _nan_where_nan(embeddings, _triplet(embeddings, labels, margin, mining))


def _triplet(embeddings: jax.Array, labels: jax.Array, margin: float | jax.Array, mining: str) -> jax.Array:
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


@arguments(a=GAUSSIAN, b=GAUSSIAN)
def mutual_likelihood_scores(a: Gaussian, b: Gaussian) -> jax.Array:
    """Log likelihood, in nats, that rows of `a` [A, D] and of `b` [B, D] have the same embedding: [A, B].

    `-1/2 sum_d ((m - m')^2 / (v + v') + log(v + v')) - D/2 log(2 pi)` for means m and variances v.

    Raises:
      DataError: `a` and `b` of different numbers of features D.
    Reference: Shi and Jain, Probabilistic face embeddings, ICCV 2019, eq. 3.

    Example:
      >>> from dlcore.nn.embeddings import Gaussian
      >>> one = Gaussian(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
      >>> dl.losses.mutual_likelihood_scores(one, one)
      Array([[-2.5310242]], dtype=float32)
    """
    if a.mean.shape[1] != b.mean.shape[1]:
        raise DataError(
            f"mutual_likelihood_scores: means are {described(a.mean)}, {described(b.mean)}; expects as many features."
        )
    log_variance = jnp.logaddexp(a.log_variance[:, None], b.log_variance[None])
    squares = over_exp(a.mean[:, None] - b.mean[None], log_variance / 2) ** 2
    scores = jnp.sum(squares + log_variance, axis=-1)
    return -0.5 * (scores + a.mean.shape[1] * math.log(2 * math.pi))


@arguments(embeddings=GAUSSIAN, labels=LABELS)
def mutual_likelihood(embeddings: Gaussian, labels: jax.Array) -> jax.Array:
    """Mean negative mutual likelihood score of the pairs with the same label: Gaussians [B, D], int [B] -> [].

    0 where there is no such pair.

    Raises:
      DataError: embeddings that are no `Gaussian`, labels that are no integers [B].
    Reference: Shi and Jain 2019, eq. 5.

    Example:
      >>> from dlcore.nn.embeddings import Gaussian
      >>> two = Gaussian(jnp.zeros((2, 2)), jnp.zeros((2, 2)))
      >>> dl.losses.mutual_likelihood(two, jnp.array([1, 1]))
      Array(2.5310242, dtype=float32)
    """
    _check_batch("mutual_likelihood", embeddings.mean, labels)
    loss = -_mean(mutual_likelihood_scores(embeddings, embeddings), _pairs(labels)[0])
    return _nan_where_nan(jnp.concatenate([embeddings.mean, embeddings.log_variance]), loss)


@arguments(angles=ANGLES, labels=LABELS, scale=POSITIVE, margin=POSITIVE)
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

    Example:
      >>> from dlcore.nn.embeddings import Angles
      >>> angles = Angles(jnp.array([[1.0, 0.0]]), jnp.ones(1))
      >>> dl.losses.arcface(angles, jnp.array([0]), scale=1.0).round(2)
      Array([0.35], dtype=float32)
    """
    _check_angles("arcface", angles, labels)

    def target(cosine):
        # cos(t + m) without arccos, whose derivative is infinite at 1; that of the sine is taken as 0 there.
        square = (1 - cosine) * (1 + cosine)
        sine = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
        return cosine * jnp.cos(margin) - sine * jnp.sin(margin)

    return _with_margin(angles.cosines, labels, target, scale)


@arguments(angles=ANGLES, labels=LABELS, scale=POSITIVE, margin=POSITIVE)
def cosface(
    angles: Angles, labels: jax.Array, *, scale: float | jax.Array = 64.0, margin: float | jax.Array = 0.35
) -> jax.Array:
    """Cross-entropy of `scale * cosine`, with `margin` subtracted from the label's cosine; otherwise as `arcface`.

    Raises:
      DataError: as `arcface`.
    Reference: Wang et al., CosFace, CVPR 2018, eq. 4.

    Example:
      >>> from dlcore.nn.embeddings import Angles
      >>> angles = Angles(jnp.array([[1.0, 0.0]]), jnp.ones(1))
      >>> dl.losses.cosface(angles, jnp.array([0]), scale=1.0).round(2)
      Array([0.42], dtype=float32)
    """
    _check_angles("cosface", angles, labels)
    return _with_margin(angles.cosines, labels, lambda cosine: cosine - margin, scale)


@arguments(angles=ANGLES, labels=LABELS, margin=integer(1, 100), annealing=WEIGHT)
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

    Example:
      >>> from dlcore.nn.embeddings import Angles
      >>> angles = Angles(jnp.array([[1.0, 0.0]]), jnp.ones(1))
      >>> dl.losses.sphereface(angles, jnp.array([0])).round(2)
      Array([0.31], dtype=float32)
    """
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
    own = is_label(labels, cosines.shape[1])
    return surprisal_of(scale * jnp.where(own, target(cosines), cosines), labels)


def _pairs(labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which pairs of different rows have the same label, and which have another, [B, B] each."""
    same = labels[:, None] == labels[None, :]
    return same & ~jnp.eye(len(labels), dtype=bool), ~same


def _picked(values: jax.Array, columns: jax.Array) -> jax.Array:
    return jnp.take_along_axis(values, columns, axis=1)


def _mean(values: jax.Array, counted: jax.Array) -> jax.Array:
    """Mean over those that count; 0 if none does."""
    return jnp.sum(jnp.where(counted, values, 0)) / jnp.maximum(jnp.sum(counted), 1)


def _nan_where_nan(embeddings: jax.Array, loss: jax.Array) -> jax.Array:
    """The loss, NaN where an embedding is: no comparison of distances is true of NaN, which would then not count."""
    return jnp.where(jnp.isnan(embeddings).any(), jnp.nan, loss)


def _check_angles(name: str, angles: Angles, labels: jax.Array) -> None:
    check_labels(name, angles.cosines, labels)
    for field, low, high in (("cosines", -1, 1), ("norms", 0, math.inf)):
        values = getattr(angles, field)
        if not isinstance(values, Tracer) and ((values < low - 1e-3) | (values > high + 1e-3)).any():
            raise DataError(
                f"{name}: {field} go from {np.min(values)} to {np.max(values)}; expects them in [{low}, {high}]. Take "
                "them of model.parts['angles']."
            )


def _check_batch(name: str, values: Any, labels: Any) -> None:
    if labels.shape != values.shape[:1] or not len(labels):
        raise DataError(f"{name}: labels are {described(labels)}; expects integers [{len(values)}], one or more.")
