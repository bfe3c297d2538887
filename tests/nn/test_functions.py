"""Activations and initializers against PyTorch, published numbers and what their docstrings say."""

import re

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dlcore as dl
from dlcore.nn import activations, initializers

GOLDEN = golden_values.load("functions")
POINTWISE = [name for name in activations.ACTIVATIONS if name not in ("softmax", "maxout")]


def weighted_sum(function, x):
    """Sum of the values weighted by 1, 2, 3, ..., and the values."""
    values = function(x)
    return jnp.sum(values * jnp.arange(1, values.size + 1, dtype=values.dtype).reshape(values.shape)), values


@pytest.mark.parametrize("case", [name for name in GOLDEN if name.startswith("activations/")])
def test_activations_equal_pytorch(case):
    """Catches a wrong formula or constant, a derivative that overflows far from 0, groups of maxout cut elsewhere."""
    golden, name = GOLDEN[case], case.removeprefix("activations/")
    pieces = {"maxout2": activations.Maxout(2), "maxout3": activations.Maxout(3)}
    function = pieces.get(name) or activations.by_name(name)
    (_, values), gradient = jax.jit(jax.value_and_grad(lambda x: weighted_sum(function, x), has_aux=True))(
        golden["inputs"]
    )
    np.testing.assert_allclose(values, golden["values"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, golden["gradient"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [None, jnp.float32, jnp.bfloat16])
def test_constant_and_normal_are_those_of_jax(dtype):
    """Catches other bits than those of the initializers that models were started with before."""
    key, given = jax.random.key(3), () if dtype is None else (dtype,)
    for own, theirs, value in (
        (initializers.constant, nnx.initializers.constant, -0.3),
        (initializers.normal, nnx.initializers.normal, 0.3),
        (initializers.normal, nnx.initializers.normal, np.float32(0.3)),
    ):
        found, expected = own(value)(key, (3, 5), *given), theirs(value)(key, (3, 5), *given)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(initializers.normal()(key, (3, 5)), nnx.initializers.normal()(key, (3, 5)))


def test_every_activation_has_golden_values():
    """Catches an activation added without an oracle."""
    tested = {case.removeprefix("activations/").rstrip("23") for case in GOLDEN if case.startswith("activations/")}
    assert tested == set(activations.ACTIVATIONS)


def test_the_gradient_of_maxout():
    """Catches a gradient that is divided by a count, which XLA may make 0, and one that leaves out equal values."""
    x = jnp.array([1.0, 2.0, 5.0, 2.0])  # groups (1, 5) and (2, 2)
    gradient = jax.grad(lambda x: activations.maxout(x).sum())
    np.testing.assert_array_equal(gradient(x), [0, 0.5, 1, 0.5])
    assert " div " not in str(jax.make_jaxpr(gradient)(x))
    assert np.isnan(activations.maxout(jnp.array([jnp.nan, 1.0, 2.0, jnp.nan]))).all()


def test_prelu_learns_its_slope():
    """Catches a slope without a gradient, a first value other than 0.25, and a slope shared by two layers."""
    golden = GOLDEN["activations/prelu"]

    class TwoLayers(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = activations.layer("prelu"), activations.layer("prelu")

        def __call__(self, x):
            return self.first(x)

    model = dl.from_nnx(TwoLayers)
    params, state = model.init(jax.random.key(0))
    assert jax.tree.map(float, params) == {"first": {"slope": 0.25}, "second": {"slope": 0.25}}
    gradient = jax.grad(lambda p: weighted_sum(lambda x: model.apply(p, state, x)[0], golden["inputs"])[0])(params)
    np.testing.assert_allclose(gradient["first"]["slope"], golden["slope_gradient"], rtol=1e-5)
    assert gradient["second"]["slope"] == 0


def number(text):
    """A bound in a docstring as a number."""
    known = {"1/4": 0.25, "-1/4": -0.25, "alpha": 1.0, "-alpha": -1.0, "max(1, alpha)": 1.0, "slope": 0.1}
    return known.get(text) if text in known else float(text)


# Name to (range of the derivative as the docstring says it, and as numbers); that of identity, relu, ... is a set.
DERIVATIVES = {
    "identity": ("derivative 1.", {1.0}),
    "sigmoid": ("derivative in (0, 1/4]", (0, 0.25)),
    "tanh": ("derivative in (0, 1]", (0, 1)),
    "softsign": ("derivative in (0, 1]", (0, 1)),
    "relu": ("derivative 0 or 1, taken as 0 at 0", {0.0, 1.0}),
    "leaky_relu": ("derivative slope or 1, at 0 it is 1", {np.float32(0.1), 1.0}),
    "elu": ("Derivative in (0, max(1, alpha)]", (0, 1)),
    "selu": ("derivative in (0, 1.7581]", (0, 1.7581)),
    "softplus": ("derivative sigmoid(x)", (0, 1)),
    "gelu": ("derivative in [-0.13, 1.13]", (-0.13, 1.13)),
    "silu": ("derivative in [-0.1, 1.1]", (-0.1, 1.1)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_docstrings_tell_range_derivative_and_center(name):
    """Catches a stated bound that values pass or never come near, and a wrong word on zero-centeredness."""
    function, text = activations.ACTIVATIONS[name], " ".join(activations.ACTIVATIONS[name].__doc__.split())
    x = jnp.arange(-40000, 40001) / 1000  # 0 exactly in the middle; the step finds each extremum to 1e-6
    values, derivatives = (np.asarray(a) for a in jax.jit(lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),)))(x))

    low, high = (number(bound) for bound in re.search(r"Range [(\[](.*?), (.*?)[)\]]", text).groups())
    for bound, extreme, sign in ((low, values.min(), 1), (high, values.max(), -1)):
        if np.isinf(bound):
            assert abs(extreme) > 3.9, "grows without a bound"
        else:
            assert sign * (extreme - bound) >= -1e-6
            # softsign creeps toward its bound: 40 / 41
            assert abs(extreme - bound) < (0.03 if name == "softsign" else 0.01), "the bound is near"

    said, expected = DERIVATIVES[name]
    assert said in text
    if isinstance(expected, set):
        assert set(np.unique(derivatives)) == expected
        at_zero = {"relu": 0, "leaky_relu": 1, "identity": 1}[name]
        assert derivatives[len(x) // 2] == at_zero
    else:
        assert expected[0] - 1e-6 <= derivatives.min() < expected[0] + 0.01
        assert expected[1] - 0.01 < derivatives.max() <= expected[1] + 1e-6

    odd = np.abs(values + values[::-1]).max() < 1e-5
    mean = np.mean(np.asarray(function(jax.random.normal(jax.random.key(0), (20000,)))))
    if "nearly zero-centered" in text:
        assert not odd
        assert abs(mean) < 0.2
    elif "not zero-centered" in text:
        assert not odd
        assert mean > 0.2
    else:
        assert "zero-centered" in text
        assert odd


def test_selu_keeps_mean_and_variance():
    """Catches one constant of SELU being off: the fixed point of its paper is (0, 1)."""
    values = np.asarray(dl.activations.selu(jax.random.normal(jax.random.key(1), (400_000,))), np.float64)
    assert abs(values.mean()) < 0.006
    assert abs(values.var() - 1) < 0.01


def test_derivative_of_softmax_stays_within_what_is_said():
    """Catches a softmax over another axis, and bounds told of another function."""
    logits = jnp.concatenate([jnp.zeros((1, 2)), 4 * jax.random.normal(jax.random.key(0), (200, 2))])
    jacobians = np.asarray(jax.vmap(jax.jacobian(activations.softmax))(logits))
    diagonal, beside = jacobians[:, [0, 1], [0, 1]], jacobians[:, [0, 1], [1, 0]]
    assert diagonal.min() > 0
    assert diagonal.max() == 0.25
    assert beside.min() == -0.25
    assert beside.max() < 0
    np.testing.assert_allclose(activations.softmax(logits).sum(axis=-1), 1, rtol=1e-6)


def test_gains_are_those_published():
    """Catches a gain of a variance for one of a deviation, and the slope of another paper.

    Numbers: Glorot and Bengio 2010, He et al. 2015, PyTorch 2.13 `calculate_gain`.
    """
    published = {"identity": 1.0, "sigmoid": 1.0, "tanh": 1.6666667, "relu": 1.4142136}
    for name, expected in published.items():
        assert initializers.gain(name) == pytest.approx(expected, rel=1e-7)
    assert initializers.gain("leaky_relu", 0.1) == pytest.approx(1.4071950894605838, rel=1e-12)
    assert initializers.gain("leaky_relu") == initializers.gain("leaky_relu", 0.1)
    for name, expected in GOLDEN["gains"].items():
        assert initializers.gain("identity" if name == "linear" else name) == pytest.approx(float(expected), rel=1e-6)


VARIANCES = {
    "zeros": lambda fan_in, fan_out: 0.0,
    "constant": lambda fan_in, fan_out: 0.0,
    "normal": lambda fan_in, fan_out: 1e-4,
    "uniform": lambda fan_in, fan_out: 0.05**2 / 3,
    "glorot_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "glorot_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he_normal": lambda fan_in, fan_out: 2 / fan_in,
    "he_uniform": lambda fan_in, fan_out: 2 / fan_in,
    "lecun_normal": lambda fan_in, fan_out: 1 / fan_in,
    "lecun_uniform": lambda fan_in, fan_out: 1 / fan_in,
}
KERNELS = {"dense": (30, 20), "convolution": (3, 5, 4, 8)}  # PyTorch has them as [out, in, window]


@pytest.mark.parametrize("kernel", KERNELS)
def test_variances_follow_the_fans(kernel):
    """Catches fan-in and fan-out swapped, a window left out of them, and a truncation that shrinks the variance."""
    fan_in, fan_out = (int(fan) for fan in GOLDEN["fans"][kernel])
    assert set(VARIANCES) | {"orthogonal"} == set(initializers.INITIALIZERS)

    @jax.jit
    def draws(key):
        keys = jax.random.split(key, 50)
        drawn = [
            jax.vmap(lambda k, name=name: initializers.by_name(name)(k, KERNELS[kernel]))(keys) for name in VARIANCES
        ]
        return dict(zip(VARIANCES, drawn, strict=True))

    for name, values in draws(jax.random.key(0)).items():
        expected = VARIANCES[name](fan_in, fan_out)
        assert values.shape == (50, *KERNELS[kernel])
        assert np.var(values) == pytest.approx(expected, rel=0.04, abs=1e-12), name
        mean = 0.01 if name == "constant" else 0
        assert np.mean(values) == pytest.approx(mean, abs=1e-5 + 5 * np.sqrt(expected / values.size)), name
        if name.endswith("uniform"):
            limit = np.sqrt(3 * expected)
            assert 0.99 * limit < np.abs(values).max() <= limit * (1 + 1e-6), name


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8), (3, 3, 2, 5)])
def test_orthogonal_kernels(shape):
    """Catches orthogonality along the wrong axis of a kernel [..., in, out]."""
    matrix = np.asarray(initializers.by_name("orthogonal")(jax.random.key(0), shape, jnp.float32)).reshape(
        -1, shape[-1]
    )
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-5)


def test_scaled_draws_keep_their_dtype():
    """Catches a gain applied twice or not at all, and a NumPy or traced factor that decides the dtype."""
    plain = initializers.by_name("lecun_normal")(jax.random.key(0), (5, 4), jnp.float32)
    for factor in (3.0, np.float64(3), jnp.float32(3)):
        draw = initializers.scaled("lecun_normal", factor)
        np.testing.assert_allclose(draw(jax.random.key(0), (5, 4), jnp.float32), 3 * plain, rtol=1e-6)
        assert draw(jax.random.key(0), (5, 4), jnp.bfloat16).dtype == jnp.bfloat16
    traced = jax.jit(lambda f: initializers.scaled("lecun_normal", f)(jax.random.key(0), (5, 4), jnp.bfloat16))(3.0)
    assert traced.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.gain("rleu"), "gain: activation is 'rleu'; expects one of .* Did you mean 'relu'"),
        (lambda: initializers.gain("leaky_relu", "steep"), "slope is 'steep'; expects a finite number"),
        (lambda: initializers.gain("leaky_relu", np.inf), "slope is inf; expects a finite number"),
        (lambda: initializers.scaled("he_normal", None), "factor is None; expects a finite number"),
        (lambda: initializers.uniform(-1.0), "limit is -1.0; expects a finite number, 0 or more"),
        (lambda: activations.num_pieces(activations.Maxout(0)), "num_pieces is 0; expects an integer from 1"),
        (lambda: activations.maxout(jnp.ones((2, 3))), r"inputs are \[2, 3\].*multiple of num_pieces=2"),
    ],
)
def test_bad_arguments(call, message):
    """Catches errors from deep inside JAX, or none."""
    with pytest.raises(dl.ArgumentError, match=message):
        call()


@pytest.mark.parametrize("name", ["relu", "elu", "softmax", "maxout"])
def test_a_chosen_activation_is_the_one_of_its_number(name):
    """Catches another branch, pieces cut elsewhere, a number that cannot be traced."""
    names = ["relu", "elu", "softmax", "maxout"]
    x = jax.random.normal(jax.random.key(0), (3, 8))
    expected = activations.by_name(name)(x if name == "maxout" else x[:, :4])
    chosen = jax.jit(lambda number, x: activations.Chosen(number, names)(x))(names.index(name), x)
    np.testing.assert_allclose(chosen, expected, rtol=1e-6)


def test_models_take_a_chosen_activation():
    """Catches layers that are not as wide as the one with the most pieces needs, and one that no network computes."""

    def outputs(number):
        model = dl.models.mlp([4, 3, 2], activations.Chosen(number, ["tanh", "maxout"]))
        return model.apply(*model.init(jax.random.key(0)), jnp.ones((2, 4)))[0]

    both = jax.jit(jax.vmap(outputs))(jnp.arange(2))
    maxout = dl.models.mlp([4, 3, 2], "maxout")
    np.testing.assert_allclose(both[1], maxout.apply(*maxout.init(jax.random.key(0)), jnp.ones((2, 4)))[0], rtol=1e-5)
    assert not np.allclose(both[0], both[1])
    with pytest.raises(dl.ArgumentError, match="among"):
        activations.Chosen(0, [])
