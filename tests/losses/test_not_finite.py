"""NaN in is NaN out; classes ruled out; what a mask hides; weights and targets that make no loss."""

import functools

import examples.losses
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore import losses
from dlcore.models.detector import GridPredictions
from dlcore.nn.embeddings import Angles, Gaussian
from dlcore.nn.mixture import Mixture

EXAMPLES = examples.losses.EXAMPLES
LOGITS = np.float32([[-np.inf, 1, 2], [0, -np.inf, 1], [-np.inf, -np.inf, 0]])


@pytest.mark.parametrize("name", losses.__all__)
def test_nan_stays_nan(name):
    """Catches a comparison with NaN, which is false, so that the loss becomes a number."""
    arguments = EXAMPLES[name]()
    if name == "mixture_density":
        del arguments["mask"]
    first = next(iter(arguments))
    leaves, structure = jax.tree.flatten(arguments[first])
    loss = jax.jit(lambda outputs: getattr(losses, name)(**{**arguments, first: outputs}))
    for position in range(len(leaves)):
        spoilt = [np.array(leaf, np.float32) for leaf in leaves]
        spoilt[position][(0,) * spoilt[position].ndim] = np.nan
        if name in ("arcface", "cosface") and position == 1:
            continue  # their loss knows no norms
        found = loss(jax.tree.unflatten(structure, spoilt))
        assert np.isnan(found).any(), leaves[position]


def test_classes_ruled_out():
    """Catches 0 * inf, a ruled-out label whose loss is a number, and a gradient that is not where the loss is."""
    inf, labels = np.inf, np.array([0, 0, 2])
    weighted = functools.partial(losses.weighted_cross_entropy, class_weights=np.float32([0, 1, 1]))
    smoothed = functools.partial(losses.weighted_cross_entropy, label_smoothing=0.3)
    plain = np.log1p(np.exp(1.0))
    for loss, expected in (
        (losses.softmax_cross_entropy, [inf, plain, 0]),
        (losses.weighted_cross_entropy, [inf, plain, 0]),
        (losses.multiclass_focal, [inf, plain * (1 - np.exp(-plain)) ** 2, 0]),
        (losses.multiclass_hinge, [inf, 2, 0]),
        (weighted, [0, 0, 0]),
        (smoothed, [inf, inf, inf]),
    ):
        found = loss(LOGITS, labels)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        finite = np.isfinite(expected)
        gradient = jax.jit(jax.grad(lambda z, loss=loss, finite=finite: jnp.where(finite, loss(z, labels), 0).sum()))(
            LOGITS
        )
        assert np.isfinite(np.asarray(gradient)[finite]).all()
    assert losses.softmax_cross_entropy(np.full((1, 2), -inf), np.array([0])) == inf


def test_a_logit_of_plus_infinity():
    """Catches inf - inf of a class that has no share in the loss, and NaN that is taken for such a one."""
    inf, nan = np.inf, np.nan
    logits = np.float32([[inf, 0, 1], [nan, 0, 1], [inf, nan, 1]])
    weighted, labels = losses.weighted_cross_entropy, np.array([1, 1, 2])
    for loss in (losses.softmax_cross_entropy, losses.multiclass_focal, weighted):
        np.testing.assert_array_equal(loss(logits, labels), [inf, nan, nan])
    np.testing.assert_array_equal(weighted(logits, labels, label_smoothing=0.1), [inf, nan, nan])
    np.testing.assert_array_equal(losses.kl_divergence(logits, np.eye(3, dtype=np.float32)[labels]), [inf, nan, nan])
    for label, weights, expected in ((0, [1, 1, 1], nan), (0, [0, 1, 1], 0), (1, [0, 1e-9, 1], inf)):
        np.testing.assert_array_equal(weighted(logits[:1], [label], class_weights=np.float32(weights)), [expected])


def test_shares_of_classes_ruled_out():
    """Catches 0 log 0 in targets, and 0 times the logarithm of a probability of 0."""
    shares = np.float32([[0, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 1]])
    found = losses.kl_divergence(LOGITS, shares)
    right = 0.5 * np.log(0.5) * 2 + np.log1p(np.exp(1.0)) - 0.5
    np.testing.assert_allclose(found, [right, np.inf, 0], rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda z: losses.kl_divergence(z, shares)[np.array([0, 2])].sum()))(LOGITS)
    assert np.isfinite(np.asarray(gradient)[[0, 2]]).all()
    pixels = losses.bernoulli_cross_entropy(np.float32([np.inf, -np.inf, np.inf]), np.float32([1, 0, 0.5]))
    np.testing.assert_array_equal(pixels, [0, 0, np.inf])
    assert losses.focal(np.float32([-np.inf]), np.array([1]), positive_weight=0) == 0


def test_hidden_steps_of_a_mixture():
    """Catches NaN and infinity under the mask, in the value or in the gradient, and a row of nothing."""
    mask = np.array([[1, 0], [0, 0]])
    bad = np.where(mask == 1, 0.5, np.nan).astype(np.float32)
    mixture = Mixture(bad[..., None], *[np.stack([bad, bad], -1)[:, :, None]] * 2, bad[..., None], bad)
    points = np.where(mask[..., None] == 1, np.float32([1, 1, 1]), np.inf)
    total = jax.value_and_grad(lambda mixture: losses.mixture_density(mixture, points, mask).sum())
    found, gradient = jax.jit(total)(mixture)
    assert np.isfinite(found)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_box_of_no_size():
    """Catches the root's infinite derivative in cells without an object."""
    cells = GridPredictions(
        jnp.zeros((1, 1, 2)), jnp.float32([[[[0, 0, 4, 4], [0, 0, 0, 0]]]]), jnp.zeros((1, 1, 2, 1))
    )
    targets = np.float32([[[1, 0, 0, 0, 4, 2], [0, np.nan, np.nan, np.nan, np.nan, np.nan]]])

    def total(cells):
        return losses.grid_detection(cells, targets, image_size=(4, 8)).sum()

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.jit(jax.grad(total))(cells)))


X, SCORES = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
CELLS = EXAMPLES["grid_detection"]()["cells"]
MIXTURE = EXAMPLES["mixture_density"]()["mixture"]


def detected(*row, cells=CELLS):
    return losses.grid_detection(cells, np.float32([[row]]), image_size=(8, 8))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: losses.kl_divergence(SCORES, X / 4), r"targets sum to 0.75 at \[0\], .* probabilities that sum to 1"),
        (lambda: losses.bernoulli_cross_entropy(SCORES, np.full((2, 3), np.nan)), r"targets hold nan at \[0, 0\]"),
        (lambda: losses.binary_cross_entropy(X[:, 0], np.array([0, np.nan])), r"labels hold nan at \[1\]; .* 0 and 1"),
        (
            lambda: losses.weighted_cross_entropy(X, [0, 1], class_weights=[1, np.nan, 1]),
            "class_weights are .*0 or more",
        ),
        (lambda: losses.weighted_cross_entropy(X, [0, 1], class_weights=np.zeros(3)), "not all 0"),
        (lambda: losses.masked_cross_entropy(X[None], [[0, 1]], [[2, 1]]), r"the mask holds 2 at \[0, 0\]"),
        (lambda: losses.mixture_density(MIXTURE, np.full((2, 3, 3), 0.5)), "the pen: labels hold 0.5 .* 0 and 1 only"),
        (lambda: losses.mixture_density(MIXTURE, np.ones((2, 3, 3)), np.full((2, 3), 3)), "the mask holds 3"),
        (lambda: detected(1, np.nan, 0, 0, 4, 4), r"labels hold nan at \[0, 0\]"),
        (lambda: detected(1, 0, 0, 0, np.inf, 4), r"boxes hold inf at \[0, 0, 2\]"),
        (
            lambda: detected(
                1, 0, 0, 0, 4, 4, cells=CELLS._replace(boxes=-np.float32(np.arange(16)).reshape(1, 2, 2, 4))
            ),
            "predictions: the box at .* Swap the corners",
        ),
        (lambda: losses.arcface(Angles(2 * X, np.ones(2)), [0, 1]), r"cosines go from 2.0 to 2.0; .* in \[-1, 1\]"),
        (lambda: losses.sphereface(Angles(X, -np.ones(2)), [0, 1]), r"norms go from -1.0 to -1.0"),
        (lambda: losses.mutual_likelihood(Gaussian(X, X), [[0], [1]]), "labels are"),
    ],
)
def test_what_makes_no_loss(call, text):
    """Catches a check that one loss has and its sibling lacks."""
    with pytest.raises(dl.DlcoreError, match=f"(?s){text}"):
        call()


@pytest.mark.parametrize("log", [-90.0, -400.0])
def test_densities_that_are_narrow(log):
    """Catches the difference 0 times the exponential that overflows, in the value or in the gradient."""
    gradient = jax.grad(lambda v: losses.mutual_likelihood(Gaussian(jnp.zeros((2, 1)), v), [1, 1]))(
        jnp.full((2, 1), log)
    )
    np.testing.assert_allclose(gradient, 0.25, rtol=1e-5)
    flat = jnp.zeros((1, 1, 1))

    def density(deviations):
        return losses.mixture_density(
            Mixture(flat, jnp.zeros((1, 1, 1, 2)), deviations, flat, None), np.zeros((1, 1, 2))
        )[0]

    value, gradient = jax.value_and_grad(density)(jnp.full((1, 1, 1, 2), log))
    np.testing.assert_allclose(value, np.log(2 * np.pi) + 2 * log, rtol=1e-6)
    np.testing.assert_allclose(gradient, 1)
