"""Radial basis function networks keep the contract, agree with scikit-learn and PyTorch, and say what is wrong."""

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_contract import Case, ModelContract
from small import labeled_points

import dlcore as dl
from dlcore.nn.distances import squared_distances

GOLDEN = golden_values.load("families")["radial_basis"]
POINTS = labeled_points(32)


def network(learned):
    centers = dl.models.k_means_centers(POINTS.train.inputs, 24)
    return dl.models.radial_basis(centers, dl.models.nearest_center_widths(centers), 3, learned=learned)


class TestRadialBasis(ModelContract):
    """Fixed and learned centers."""

    CASES = {
        "two_stages": Case(
            lambda: dl.tasks.classification(network(False), POINTS), learning_rate=0.3, num_steps=150, remaining=0.2
        ),
        "end_to_end": Case(lambda: dl.tasks.classification(network(True), POINTS), learning_rate=0.1),
    }


def test_features_and_closed_form_agree_with_scikit_learn():
    """Catches a width in place of its square, distances that cancel far from 0, a penalized bias."""
    x, y = GOLDEN["x"], GOLDEN["y"]
    centers = dl.models.k_means_centers(x, 5)
    golden_values.assert_matches(centers, GOLDEN["centers"])
    model = dl.models.radial_basis(centers, 0.8, 2)
    params, state = model.init(jax.random.key(0))
    golden_values.assert_matches(model.parts["features"].apply(params, state, x)[0], GOLDEN["features"])
    fitted = jax.jit(lambda penalty: dl.models.fit_output_layer(model, params, state, x, y, penalty=penalty))(0.1)
    golden_values.assert_matches(fitted["output"], {"kernel": GOLDEN["kernel"], "bias": GOLDEN["bias"]})
    golden_values.assert_matches(model.apply(fitted, state, x)[0], GOLDEN["output"])


def test_learned_network_agrees_with_pytorch():
    """Catches a missing derivative by centers or widths, and widths learned as something else than their logarithm."""
    model = dl.models.radial_basis(GOLDEN["centers"], GOLDEN["widths"], 2, learned=True)
    params, state = model.init(jax.random.key(0))
    assert not jax.tree.leaves(state)
    params["output"] = {name: jnp.asarray(GOLDEN[name]) for name in ("kernel", "bias")}

    def loss(params, x):
        output = model.apply(params, state, x)[0]
        return jnp.mean((output - GOLDEN["y"]) ** 2), output

    (gradient, x_gradient), output = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, jnp.asarray(GOLDEN["x"]))
    golden_values.assert_matches(output, GOLDEN["learned_output"])
    golden_values.assert_matches(x_gradient, GOLDEN["x_gradient"])
    expected = {
        "basis": {name: GOLDEN[f"{name}_gradient"] for name in ("centers", "log_widths")},
        "output": {name: GOLDEN[f"{name}_gradient"] for name in ("kernel", "bias")},
    }
    golden_values.assert_matches(gradient, expected)


def test_least_squares_is_where_the_gradient_vanishes():
    """Catches a closed form of another problem than the one that gradient descent solves."""
    model = network(False)
    params, state = model.init(jax.random.key(0))
    x, y = POINTS.train.inputs, jax.nn.one_hot(POINTS.train.targets, 3)
    fitted = dl.models.fit_output_layer(model, params, state, x, y)
    error = jax.grad(lambda params: jnp.mean((model.apply(params, state, x)[0] - y) ** 2))
    before, after = optax.tree.norm(error(params)), optax.tree.norm(error(fitted))
    assert after < 1e-4 * before
    of_halves = dl.models.fit_output_layer(model, params, state, x, y.astype(jnp.bfloat16))  # which holds 0 and 1
    np.testing.assert_array_equal(of_halves["output"]["kernel"], fitted["output"]["kernel"])


def test_squared_distances_far_from_the_origin():
    """Catches cancellation, negative distances, and an origin whose derivative leaks into the distances'."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, 3)).astype(np.float32) + 1000 for n in (6, 4))
    exact = ((a[:, None].astype(np.float64) - b[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(a, b), exact, rtol=1e-4)
    assert (squared_distances(a, a) >= 0).all()
    weights = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32)
    got = jax.grad(lambda b: jnp.sum(weights * squared_distances(a, b)))(b)
    expected = jax.grad(lambda b: jnp.sum(weights * jnp.sum((a[:, None] - b[None]) ** 2, axis=2)))(b)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_widths_by_hand():
    """Catches the center counted as its own neighbor, a mean of distances for that of squares, K for 2 K."""
    centers = np.float32([[0, 0], [3, 0], [0, 4]])
    widths = dl.models.nearest_center_widths(centers, 2)
    np.testing.assert_allclose(widths, np.sqrt([(9 + 16) / 2, (9 + 25) / 2, (16 + 25) / 2]), rtol=1e-6)
    np.testing.assert_allclose(dl.models.nearest_center_widths(centers, 1), [3, 3, 4], rtol=1e-6)
    np.testing.assert_allclose(dl.models.spread_widths(centers), 3 * [5 / np.sqrt(6)], rtol=1e-6)


def test_random_centers_in_a_sweep():
    """Catches centers that are rows of something else, that occur twice, or are the same for every seed."""
    centers = dl.models.random_centers(jax.random.key(0), POINTS.train.inputs, 8)
    rows = {row.tobytes() for row in np.asarray(centers)}
    assert len(rows) == 8
    assert rows <= {row.tobytes() for row in POINTS.train.inputs}

    def fit(seed, width):
        key = jax.random.key(seed)
        centers = dl.models.random_centers(jax.random.fold_in(key, 100), POINTS.train.inputs, 8)
        task = dl.tasks.classification(dl.models.radial_basis(centers, width, 3, initializer="zeros"), POINTS)
        return dl.training(key, task, optax.sgd(0.1), batch_size="full", num_steps=2, evaluate=("test",))

    runs = dl.sweep(fit, seed=np.arange(2), width=np.float32([0.5, 2.0]), lane_width=2)
    assert len(np.unique(runs.test_loss.isel(step=-1))) == 4


X = POINTS.train.inputs
MODEL = dl.models.radial_basis(X[:3], 1.0, 2)
VARIABLES = MODEL.init(jax.random.key(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dl.models.k_means_centers(X, 33), "k_means_centers: num_centers is 33, the inputs have 32 rows"),
        (lambda: dl.models.k_means_centers(np.ones((5, 2)), 2), "num_centers is 2, the inputs have 1 different rows"),
        (lambda: dl.models.k_means_centers(X, 0), "num_centers is 0; expects an integer from 1"),
        (lambda: dl.models.k_means_centers(X[0], 1), r"inputs is float32\[4\]; expects floats \[N, features\]"),
        (lambda: jax.jit(lambda x: dl.models.k_means_centers(x, 2))(X), "inputs are traced"),
        (lambda: dl.models.random_centers(jax.random.key(0), X, 33), "num_centers is 33, the inputs have 32 rows"),
        (lambda: dl.models.nearest_center_widths(X[:2]), "num_neighbors is 2; expects fewer than the 2 centers"),
        (lambda: dl.models.nearest_center_widths(X[[0, 0, 1]], 1), "center 0 coincides with its neighbors"),
        (lambda: dl.models.spread_widths(X[:1]), "there are 1 centers; expects two or more"),
        (lambda: dl.models.radial_basis(X[0], 1.0), r"centers is float32\[4\]; expects floats"),
        (lambda: dl.models.radial_basis(X, 0.0), "widths reach from 0 to 0; expects positive finite widths"),
        (lambda: dl.models.radial_basis(X, np.nan), "expects positive finite widths"),
        (lambda: dl.models.radial_basis(X, np.ones(3)), r"widths are \[3\]; expects one, or \[32\]"),
        (lambda: dl.models.radial_basis(X, 1.0, 0), "num_outputs is 0; expects an integer from 1"),
        (
            lambda: dl.models.radial_basis(X, 1.0, initializer="zeroes"),
            "initializer is 'zeroes'; expects the name of an initializer",
        ),
        (lambda: MODEL.apply(*VARIABLES, X[:, :3]), r"radial_basis: inputs are float32\[32, 3\].*floats \[B, 4\]"),
        (
            lambda: dl.models.fit_output_layer(MODEL, *VARIABLES, X, POINTS.train.targets),
            r"targets are int32\[32\]; expects floats \[32, 2\]. Of class labels, use jax.nn.one_hot\(labels, 2\)",
        ),
        (
            lambda: dl.models.fit_output_layer(MODEL, *VARIABLES, X, X[:, :2], penalty=-1.0),
            "penalty is -1.0; expects a finite number, 0 or more",
        ),
    ],
)
def test_bad_input(call, message):
    """Catches what would fail later and say less."""
    with pytest.raises(dl.DlcoreError, match=message):
        call()
