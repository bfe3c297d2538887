"""Losses against their definitions in float64: at offsets, at scales, at ties, with classes ruled out."""

import functools

import float64_losses as float64
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from dlcore import losses
from dlcore.nn.embeddings import Angles, Gaussian
from dlcore.nn.mixture import Mixture

OF_CLASSES = {
    "softmax_cross_entropy": {},
    "weighted_cross_entropy": {"label_smoothing": 0.1, "class_weights": np.float32([0.0, 1.0, 2.0, 0.5])},
    "multiclass_focal": {"gamma": 1.5},
    "multiclass_hinge": {},
}
OF_FLAGS = {
    "binary_cross_entropy": {},
    "multi_label_cross_entropy": {},
    "focal": {"gamma": 1.5, "positive_weight": 0.25},
    "hinge": {},
}
OF_NUMBERS = {"squared_error": {}, "absolute_error": {}, "huber": {"delta": 0.5}, "pinball": {"quantile": 0.2}}
OF_SHARES = {"kl_divergence": {}, "bernoulli_cross_entropy": {}}
OPTIONS = OF_CLASSES | OF_FLAGS | OF_NUMBERS | OF_SHARES
PLACES = [(0.0, 1.0), (1e4, 1.0), (1e4, 1e-2), (1e5, 1.0), (0.0, 1e-6), (0.0, 1e6), (-1e4, 30.0)]  # offset, scale
B, K = 5, 4


@functools.cache
def compiled(name):
    """Values and the gradient of their sum, of traced outputs and targets: one program for all examples."""
    loss = functools.partial(getattr(losses, name), **OPTIONS[name])

    def total(outputs, targets):
        values = loss(outputs, targets)
        return values.sum(), values

    return jax.jit(jax.value_and_grad(total, has_aux=True))


def compare(name, outputs, targets, atol=0.0):
    """The loss against float64, relative to its own size; the gradient is finite where the loss is."""
    (_, found), gradient = compiled(name)(outputs, targets)
    with np.errstate(invalid="ignore"):
        expected = getattr(float64, name)(outputs, targets, **OPTIONS[name])
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=atol + 1e-37)
    assert np.isfinite(np.asarray(gradient)[np.isfinite(expected)]).all()


def values(low=-3.0, high=3.0, shape=(B, K)):
    """Floats of two decimals: ties are frequent."""
    numbers = st.integers(round(100 * low), round(100 * high)).map(lambda number: number / 100)
    return st.lists(numbers, min_size=B * K, max_size=B * K).map(lambda flat: np.float64(flat).reshape(shape))


LABELS = st.lists(st.integers(0, K - 1), min_size=B, max_size=B).map(np.int32)
FLAGS = st.lists(st.integers(0, 1), min_size=B * K, max_size=B * K).map(lambda flat: np.int32(flat).reshape(B, K))
ROUNDS = hypothesis.settings(max_examples=25, deadline=None)


@ROUNDS
@hypothesis.given(values(), LABELS, st.sampled_from(PLACES), st.lists(st.integers(0, B * K - 1), max_size=4))
def test_class_labels(logits, labels, place, ruled_out):
    """Catches logsumexp(logits) - logit, 0 * inf, a loss of a ruled-out label that is a number, 1 - p that is 0."""
    logits = np.float32(place[0] + place[1] * logits)
    for name in OF_CLASSES:
        compare(name, logits, labels)
    logits.ravel()[ruled_out] = -np.inf
    logits[np.isneginf(logits).all(axis=1), 0] = 0
    for name in ("softmax_cross_entropy", "weighted_cross_entropy", "multiclass_focal"):
        compare(name, logits, labels)


@ROUNDS
@hypothesis.given(values(), FLAGS, st.sampled_from(PLACES))
def test_flags(logits, flags, place):
    """Catches 1 - sigmoid, log(sigmoid) and a margin of the wrong sign."""
    logits = np.float32(place[0] + place[1] * logits)
    for name in OF_FLAGS:
        compare(name, logits, flags)


@ROUNDS
@hypothesis.given(values(), values(), st.sampled_from(PLACES))
def test_numbers(predictions, targets, place):
    """Catches a square of a sum for a square of a difference, and a branch of the wrong side."""
    predictions, targets = (np.float32(place[0] + place[1] * each) for each in (predictions, targets))
    for name in OF_NUMBERS:
        compare(name, predictions, targets)


@ROUNDS
@hypothesis.given(values(), values(0, 1), st.sampled_from(PLACES))
def test_shares(logits, shares, place):
    """Catches 0 log 0, and an entropy left out of a divergence."""
    logits = np.float32(place[0] + place[1] * logits)
    compare("bernoulli_cross_entropy", logits, np.float32(shares))
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.float32(np.where(totals > 0, shares / np.where(totals > 0, totals, 1), np.eye(1, K)))
    compare("kl_divergence", logits, shares, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_embeddings(offset, scale):
    """Catches |a|^2 + |b|^2 - 2ab, variances that overflow, and a sine by 1 - cos^2."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 1, 0, 1, 0])
    x = np.float32(scale * (offset + rng.normal(size=(B, 3))))
    found = losses.triplet(x, labels, margin=0.2 * scale**2, mining="all")
    np.testing.assert_allclose(found, float64.triplet(x, labels, 0.2 * scale**2), rtol=1e-5)
    log_variances = np.float32(2 * np.log(scale) + rng.normal(size=(B, 3)))
    scores = losses.mutual_likelihood_scores(*[Gaussian(x, log_variances)] * 2)
    np.testing.assert_allclose(scores, float64.mutual_likelihood_scores(x, log_variances), rtol=1e-5, atol=1e-5)
    wide = losses.mutual_likelihood_scores(*[Gaussian(x[:2], np.full((2, 3), 200.0))] * 2)
    assert np.isfinite(wide).all()


@pytest.mark.parametrize("name", ["arcface", "cosface"])
def test_angles(name):
    """Catches an angle of 0 whose sine is not 0, a derivative there that is infinite, and 1 - c^2 near it."""
    cosines = np.float32([[1, 0.5, -1], [1 - 1e-6, 0.9, 0.1], [0.3, -1, 0.2]])
    labels = np.array([0, 0, 1])

    def loss(cosines):
        return getattr(losses, name)(Angles(cosines, jnp.ones(3)), labels, scale=8.0)

    np.testing.assert_allclose(loss(cosines), getattr(float64, name)(cosines, labels, scale=8.0), rtol=1e-5)
    assert np.isfinite(jax.grad(lambda c: loss(c).sum())(cosines)).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_mixtures(scale):
    """Catches densities at points far from the origin that are those of rounded differences."""
    rng = np.random.default_rng(0)
    logits, correlations = 1e4 + rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    means, points = (scale * (1e4 + rng.normal(size=shape)) for shape in ((2, 3, 4, 2), (2, 3, 2)))
    deviations = np.log(scale) + rng.normal(size=(2, 3, 4, 2))
    parts = [np.float32(each) for each in (logits, means, deviations, correlations, points)]
    found = losses.mixture_density(Mixture(*parts[:4], None), parts[4])
    np.testing.assert_allclose(found, float64.mixture_density(*parts), rtol=1e-5)


def test_numpy_differences_are_made_in_float64():
    """Catches float64 that is rounded to float32 next to a large offset, before the difference."""
    right = {"squared_error": 1e-4, "absolute_error": 1e-2, "huber": 5e-5, "pinball": 5e-3}
    for name, expected in right.items():
        found = getattr(losses, name)(np.array([1e6 + 0.01]), np.array([1e6]))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    logits, mask = np.array([[1e6 + 0.303, 1e6]]), np.array([[True]])
    for name in OF_CLASSES:
        expected = getattr(float64, name)(logits - 1e6, np.array([0]))
        np.testing.assert_allclose(getattr(losses, name)(logits, np.array([0])), expected, rtol=1e-6)
    found = losses.masked_cross_entropy(logits[None], np.array([[0]]), mask)
    np.testing.assert_allclose(found, np.log1p(np.exp(-0.303)), rtol=1e-6)
