"""The contract of a model: pure functions of plain arrays, whichever library the layers come from."""

import pickle

import cloudpickle
import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from flax import nnx

import dlcore as dl


class NormalizedLinen(flax.linen.Module):
    """The same in Linen."""

    @flax.linen.compact
    def __call__(self, x, *, train):
        x = flax.linen.BatchNorm(use_running_average=not train, momentum=0.9)(flax.linen.Dense(6)(x))
        x = flax.linen.Dropout(0.5, deterministic=not train)(jnp.tanh(x))
        return flax.linen.Dense(3)(x)


class DropoutLinen(flax.linen.Module):
    """Two dropouts of the same input side by side; the switch is named `deterministic`."""

    @flax.linen.compact
    def __call__(self, x, deterministic):
        return jnp.concatenate([flax.linen.Dropout(0.5)(x, deterministic=deterministic) for _ in range(2)], axis=1)


class DropoutNNX(nnx.Module):
    """Two dropouts of the same input side by side, drawing from the same named stream."""

    def __init__(self, rngs):
        self.left, self.right = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return jnp.concatenate([self.left(x), self.right(x)], axis=1)


SHAPE = jax.ShapeDtypeStruct((2, 4), jnp.float32)
MODELS = {
    "linear": dl.models.linear(4, 3, initializer="glorot_normal"),
    "mlp": dl.models.mlp([4, 5, 3]),
    "mlp_custom": dl.models.mlp([4, 5, 3], jnp.sin, initializer=nnx.initializers.normal(0.3)),
    "nnx": dl.from_nnx(small.NormalizedNNX),
    "linen": dl.from_linen(NormalizedLinen(), SHAPE),
    "linen_dense": dl.from_linen(flax.linen.Dense(3), SHAPE),
}
NORMALIZED = ["nnx", "linen"]
DROPOUTS = {"nnx": dl.from_nnx(DropoutNNX), "linen": dl.from_linen(DropoutLinen(), SHAPE)}
X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """Each model in turn."""
    return MODELS[request.param]


def same(a, b):
    """Whether two trees have the same structure and bits."""
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_init_is_a_function_of_its_key(model):
    """Catches hidden seeds, and an init that ignores its key."""
    params = model.init(jax.random.key(0))
    assert same(params, model.init(jax.random.key(0)))
    assert not same(params, model.init(jax.random.key(1)))


def test_init_is_the_same_under_jit(model):
    """Catches an init that draws outside of the trace."""
    eager, jitted = model.init(jax.random.key(3)), jax.jit(model.init)(jax.random.key(3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), eager, jitted)


def plain(tree):
    """Whether a tree consists of dictionaries and arrays only."""
    return all(map(plain, tree.values())) if type(tree) is dict else isinstance(tree, jax.Array)


def test_params_and_state_are_plain_dicts_of_arrays(model):
    """Catches Flax's own containers or NNX variables leaking out: optimizers and files would have to know them."""
    params, state = model.init(jax.random.key(0))
    assert plain(params)
    assert plain(state)
    assert jax.tree.leaves(params)
    _, state = model.apply(params, state, X, key=jax.random.key(1), train=True)
    assert plain(state)


@pytest.mark.parametrize("train", [False, True])
def test_jit_equals_eager(model, train):
    """Catches side effects that happen at trace time only."""
    variables = model.init(jax.random.key(0))
    key = jax.random.key(1)
    eager = model.apply(*variables, X, key=key, train=train)
    jitted = jax.jit(lambda params, state: model.apply(params, state, X, key=key, train=train))(*variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), eager, jitted)


def test_rows_are_independent_in_evaluation(model):
    """Catches evaluation with the statistics of the batch, or layers that mix rows."""
    variables, order = model.init(jax.random.key(0)), np.array([3, 0, 6, 1, 5, 2, 4])
    output, _ = model.apply(*variables, X)
    assert output.shape == (7, 3)
    assert output.dtype == jnp.float32
    np.testing.assert_allclose(model.apply(*variables, X[order])[0], output[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.apply(*variables, X[:1])[0], output[:1], rtol=1e-5, atol=1e-6)


def test_the_first_call_may_be_traced():
    """Catches a template made under a trace and kept: the next call would meet a leaked tracer."""
    model = dl.from_nnx(small.NormalizedNNX)
    with jax.checking_leaks():
        jax.eval_shape(lambda key: model.apply(*model.init(key), X), jax.random.key(0))
    assert np.isfinite(model.apply(*model.init(jax.random.key(0)), X)[0]).all()


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_draws_from_its_key_in_training_only(name):
    """Catches dropout in evaluation, dropout that ignores the key, and a stream that lives on between calls."""
    model = DROPOUTS[name]
    variables, ones = model.init(jax.random.key(0)), np.ones((8, 64), np.float32)

    def apply(key, train):
        return np.asarray(model.apply(*variables, ones, key=key, train=train)[0])

    a, b = jax.random.key(1), jax.random.key(2)
    assert (apply(a, False) == 1).all()
    assert (apply(None, False) == 1).all()
    np.testing.assert_array_equal(apply(a, True), apply(a, True))
    assert (apply(a, True) != apply(b, True)).any()
    assert set(np.unique(apply(a, True))) == {0.0, 2.0}


@pytest.mark.parametrize("name", DROPOUTS)
def test_layers_draw_different_numbers(name):
    """Catches one key for all layers: their masks would be equal."""
    model = DROPOUTS[name]
    output, _ = model.apply(
        *model.init(jax.random.key(0)), np.ones((8, 64), np.float32), key=jax.random.key(1), train=True
    )
    left, right = np.split(np.asarray(output), 2, axis=1)
    assert 0.3 < np.mean(left != right) < 0.7


@pytest.mark.parametrize("name", DROPOUTS)
def test_training_without_a_key_is_refused(name):
    """Catches a default key: every step would drop the same units."""
    model = DROPOUTS[name]
    with pytest.raises(dl.ArgumentError, match=r"draws random numbers in training.*pass key=jax\.random\.key"):
        model.apply(*model.init(jax.random.key(0)), np.ones((2, 4), np.float32), train=True)


@pytest.mark.parametrize("name", ["mlp", "linen_dense"])
def test_a_model_that_draws_nothing_needs_no_key(name):
    """Catches a key demanded from every model in training."""
    model = MODELS[name]
    variables = model.init(jax.random.key(0))
    np.testing.assert_array_equal(model.apply(*variables, X, train=True)[0], model.apply(*variables, X)[0])


@pytest.mark.parametrize("name", NORMALIZED)
def test_batch_norm_updates_its_state_in_training_only(name):
    """Catches running means that stay put, that move in evaluation, or that evaluation does not use."""
    model = MODELS[name]
    params, state = model.init(jax.random.key(0))
    shifted = X + 3
    output, evaluated = model.apply(params, state, shifted)
    assert same(evaluated, state)
    _, trained = model.apply(params, state, shifted, key=jax.random.key(1), train=True)
    assert jax.tree.structure(trained) == jax.tree.structure(state)
    assert not same(trained, state)
    assert np.abs(model.apply(params, trained, shifted)[0] - output).max() > 1e-3


def test_running_mean_follows_its_formula():
    """Catches momentum taken the wrong way round, and an update applied twice."""
    model = MODELS["nnx"]
    params, state = model.init(jax.random.key(0))
    hidden = X @ np.asarray(params["first"]["kernel"]) + np.asarray(params["first"]["bias"])
    _, state = model.apply(params, state, X, key=jax.random.key(1), train=True)
    np.testing.assert_allclose(state["norm"]["mean"], 0.1 * hidden.mean(axis=0), rtol=1e-4, atol=1e-6)


def test_flavors_of_a_dense_layer_agree():
    """Catches transposed kernels, lost biases and parameters filled into the wrong leaves."""
    rng = np.random.default_rng(2)
    kernel, bias = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    weights = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    from_nnx = dl.from_nnx(lambda rngs: nnx.Linear(4, 3, rngs=rngs))
    by_hand = dl.Model(
        lambda key: (weights, {}), lambda params, state, x, *, key=None, train=False: (x @ kernel + bias, {})
    )
    for model in (from_nnx, MODELS["linen_dense"], by_hand):
        params, state = model.init(jax.random.key(0))
        assert jax.tree.structure(params) == jax.tree.structure(weights)
        np.testing.assert_allclose(model.apply(weights, state, X)[0], X @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_mlp_equals_numpy():
    """Catches an activation on the output, a missing one inside, and layers applied in another order."""
    model = dl.models.mlp([4, 5, 6, 3], "tanh", initializer="he_normal")
    params, state = model.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), params)
    first, second, third = (params["layers"][i] for i in range(3))
    hidden = np.tanh(X @ np.asarray(first["kernel"]) + np.asarray(first["bias"]))
    hidden = np.tanh(hidden @ np.asarray(second["kernel"]) + np.asarray(second["bias"]))
    expected = hidden @ np.asarray(third["kernel"]) + np.asarray(third["bias"])
    np.testing.assert_allclose(model.apply(params, state, X)[0], expected, rtol=1e-4, atol=1e-5)


def test_linear_starts_at_zero_and_mlp_biases_do():
    """Catches a random start of the convex model, on which its published losses rest."""
    params, _ = dl.models.linear(4, 3).init(jax.random.key(0))
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(params))
    params, _ = dl.models.mlp([4, 5, 3]).init(jax.random.key(0))
    for layer in params["layers"].values():
        assert (layer["bias"] == 0).all()
        assert (layer["kernel"] != 0).any()


@pytest.mark.parametrize("widths", [[], [4], [4, 0, 3], [4, -1], [4, 2.5, 3], [4, True, 3], ["4", "3"], "43", 4, None])
def test_widths_are_checked(widths):
    """Catches shape errors that surface deep inside Flax."""
    with pytest.raises(dl.ArgumentError, match="2 to 1000 positive integers, inputs first and outputs last"):
        dl.models.mlp(widths)


def test_unknown_names_suggest_the_nearest():
    """Catches a bare KeyError."""
    with pytest.raises(dl.ArgumentError, match=r"mlp: activation is 'rleu'; .* Did you mean 'relu'"):
        dl.models.mlp([4, 3], "rleu")
    with pytest.raises(dl.ArgumentError, match=r"mlp: initializer is 'he_norml'; .* Did you mean 'he_normal'"):
        dl.models.mlp([4, 3], initializer="he_norml")
    with pytest.raises(
        dl.ArgumentError, match=r"activation is 'xyz'; .* Known: elu, gelu, identity, leaky_relu, maxout"
    ):
        dl.models.mlp([4, 3], "xyz")


@pytest.mark.parametrize("name", [3, None, ["relu"], {"relu": 1}])
def test_names_that_are_no_strings_are_refused(name):
    """Catches `TypeError: unhashable type`."""
    with pytest.raises(dl.ArgumentError, match=r"activation is .*; expects the name of an activation, or a function"):
        dl.models.mlp([4, 3], name)
    with pytest.raises(dl.ArgumentError, match=r"initializer is .*; expects the name of an initializer, or a function"):
        dl.models.mlp([4, 3], initializer=name)


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        (np.zeros((7, 4), np.int32), r"int32\[7, 4\]"),
        (np.zeros((7, 5), np.float32), r"float32\[7, 5\]"),
        (np.zeros((7, 2, 2), np.float32), r"float32\[7, 2, 2\]"),
        (np.zeros(4, np.float32), r"float32\[4\]"),
    ],
)
def test_inputs_are_checked(inputs, got):
    """Catches integers silently cast, and a matrix product that broadcasts over images."""
    model = MODELS["mlp"]
    with pytest.raises(dl.DataError, match=rf"inputs are {got}; the first layer expects floats \[B, 4\]"):
        model.apply(*model.init(jax.random.key(0)), inputs)


@pytest.mark.parametrize(
    "build",
    [
        lambda: dl.models.mlp([4, 5, 3], dropout=0.5, normalization="batch"),
        lambda: dl.models.convolutional((4, 1), [2], 3, kernel_size=1, pool=None),
        lambda: dl.models.autoencoder([4, 2], variational=True),
    ],
)
def test_models_can_be_pickled(build):
    """Catches an adapter that holds what no other process can be sent, and another network there."""
    model, x = build(), jnp.arange(8.0).reshape(2, 4)
    variables = model.init(jax.random.key(0))
    x = x[:, :, None] if "blocks" in variables[0] else x
    expected, _ = model.apply(*variables, x)
    copy = pickle.loads(cloudpickle.dumps(model))
    np.testing.assert_array_equal(copy.apply(*copy.init(jax.random.key(0)), x)[0], expected)
    assert set(copy.parts) == set(model.parts)


def test_dropout_may_be_a_jax_scalar():
    """Catches a rate that is compared or kept as an array, outside and inside of a traced function."""
    model = dl.models.mlp([4, 8, 3], dropout=jnp.float32(0.5))
    plain = dl.models.mlp([4, 8, 3], dropout=0.5)
    variables, x, key = plain.init(jax.random.key(0)), jnp.ones((2, 4)), jax.random.key(1)

    def traced(rate):
        return dl.models.mlp([4, 8, 3], dropout=rate).apply(*variables, x, key=key, train=True)[0]

    expected = plain.apply(*variables, x, key=key, train=True)[0]
    np.testing.assert_allclose(model.apply(*variables, x, key=key, train=True)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(traced)(jnp.float32(0.5)), expected, rtol=1e-5)


def test_params_of_another_model_are_refused():
    """Catches an error from deep inside JAX."""
    model = dl.models.mlp([4, 3])
    with pytest.raises(dl.DataError, match="params are 4 arrays, those of this model are 2"):
        model.apply(*dl.models.mlp([4, 5, 3]).init(jax.random.key(0)), jnp.ones((2, 4)))


WIDTH = 3


def sized(rngs):
    """A layer of a size that the module reads from outside."""
    return nnx.Linear(4, WIDTH, rngs=rngs)


class Scaled(nnx.Module):
    scale = 2.0

    def __init__(self, rngs):
        self.factor = type(self).scale
        self.linear = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.factor * self.linear(x)


def test_what_build_reads_may_change(monkeypatch):
    """Catches a graph kept from the first use: params of the new size meet the old one, a factor stays as it was."""
    model = dl.from_nnx(sized)
    assert model.apply(*model.init(jax.random.key(0)), X)[0].shape == (7, 3)
    monkeypatch.setitem(globals(), "WIDTH", 5)
    assert model.apply(*model.init(jax.random.key(0)), X)[0].shape == (7, 5)
    model = dl.from_nnx(Scaled)
    variables = model.init(jax.random.key(0))
    before, _ = model.apply(*variables, X)
    monkeypatch.setattr(Scaled, "scale", 4.0)
    np.testing.assert_array_equal(model.apply(*variables, X)[0], 2 * before)


def test_a_module_in_place_of_its_class_is_refused():
    """Catches `TypeError: __call__() got Rngs` from the first use."""
    with pytest.raises(dl.ArgumentError, match=r"a module that is made already: pass the class, from_nnx\(Scaled\)"):
        dl.from_nnx(Scaled(nnx.Rngs(0)))
