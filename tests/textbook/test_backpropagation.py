"""Back-propagation written out against `jax.grad`."""

import functools

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dlcore as dl
from dlcore import losses
from dlcore.nn import activations
from dlcore.textbook.backpropagation import Elman, elman_states, through_layers, through_time

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)
TARGETS = {
    "softmax_cross_entropy": (3, RNG.integers(0, 3, 5)),
    "binary_cross_entropy": (1, RNG.integers(0, 2, 5)),
    "squared_error": (3, RNG.normal(size=(5, 3)).astype(np.float32)),
}
POINTWISE = ["sigmoid", "tanh", "relu", "leaky_relu", "gelu"]


def network(num_outputs, activation, widths=(6, 5)):
    """A perceptron and its parameters, biases not 0."""
    model = dl.models.mlp([4, *widths, num_outputs], activation)
    params, _ = model.init(jax.random.key(0))
    noise = np.random.default_rng(1)
    return model, jax.tree.map(lambda leaf: leaf + 0.1 * noise.normal(size=leaf.shape).astype(np.float32), params)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [(name, "softmax_cross_entropy") for name in POINTWISE] + [("tanh", name) for name in TARGETS],
)
def test_gradients_of_layers_equal_jax_grad(activation, loss):
    """Catches a transposed kernel, a derivative at the wrong layer, the sum over the batch for its mean."""
    num_outputs, targets = TARGETS[loss]
    model, params = network(num_outputs, activation)

    def mean_loss(params):
        outputs, _ = model.apply(params, {}, X)
        return getattr(losses, loss)(outputs[:, 0] if loss == "binary_cross_entropy" else outputs, targets).mean()

    passed = jax.jit(functools.partial(through_layers, activation=activation, loss=loss))(params, X, targets)
    value, gradients = jax.jit(jax.value_and_grad(mean_loss))(params)
    assert passed.loss == pytest.approx(float(value), rel=1e-6)
    golden_values.assert_matches(passed.gradients, gradients, 2e-6)
    np.testing.assert_allclose(passed.preactivations[-1], model.apply(params, {}, X)[0], rtol=1e-5, atol=1e-6)


def test_error_signals_are_the_derivatives_by_preactivations():
    """Catches signals named after the wrong layer, and signals by the activation instead of what enters it."""
    _, params = network(3, "sigmoid")
    labels = TARGETS["softmax_cross_entropy"][1]
    passed = jax.jit(functools.partial(through_layers, activation="sigmoid"))(params, X, labels)
    assert [delta.shape for delta in passed.errors] == [(5, 6), (5, 5), (5, 3)]
    assert [a.shape for a in passed.activations] == [(5, 4), (5, 6), (5, 5)]

    def shifted(shifts):
        value = X
        for number, shift in enumerate(shifts):
            z = value @ params["layers"][number]["kernel"] + params["layers"][number]["bias"][None] + shift
            value = jax.nn.sigmoid(z)
        return losses.softmax_cross_entropy(z, labels).mean()

    expected = jax.jit(jax.grad(shifted))(tuple(jnp.zeros_like(delta) for delta in passed.errors))
    golden_values.assert_matches(passed.errors, expected, 2e-6)


def test_one_layer_has_the_output_error_only():
    """Catches a loop that needs a hidden layer."""
    _, params = network(3, "relu", widths=())
    passed = through_layers(params, X, TARGETS["softmax_cross_entropy"][1])
    assert len(passed.errors) == len(passed.gradients["layers"]) == 1
    np.testing.assert_allclose(passed.gradients["layers"][0]["kernel"], X.T @ np.asarray(passed.errors[0]), rtol=1e-5)


def test_per_example_signals_by_vmap():
    """Catches Python values of the batch inside."""
    _, params = network(3, "tanh")
    labels = TARGETS["softmax_cross_entropy"][1]
    passed = functools.partial(through_layers, params, activation="tanh")
    whole = jax.jit(passed)(X, labels)
    each = jax.jit(jax.vmap(lambda x, y: passed(x[None], y[None])))(X, labels)
    golden_values.assert_matches(jax.tree.map(lambda g: g.mean(axis=0), each.gradients), whole.gradients, 2e-6)


NUM_STEPS = 4
SEQUENCES = RNG.normal(size=(3, NUM_STEPS, 4)).astype(np.float32)
WEIGHTS = Elman(
    *(0.7 * RNG.normal(size=shape).astype(np.float32) for shape in [(4, 5), (5, 5), (5,)]),
)
READOUT = RNG.normal(size=(3, NUM_STEPS, 5)).astype(np.float32)  # the loss at t is the sum of READOUT[:, t] * h_t^2 / 2


def total_loss(params, errors, activation, num_steps):
    """Sum over times; the gradient of each is stopped by hand before the window of its last num_steps steps.

    errors: [B, T, num_units], added to what enters the activation, so that their gradient is the error signal.
    """
    states, total = [jnp.zeros((3, 5))], 0.0
    for t in range(NUM_STEPS):
        start = max(0, t + 1 - num_steps)
        state = jax.lax.stop_gradient(states[start])
        for s in range(start, t + 1):
            z = SEQUENCES[:, s] @ params.input_kernel + state @ params.recurrent_kernel + params.bias[None]
            state = activation(z + errors[:, s])
        states.append(state)
        total += jnp.sum(READOUT[:, t] * state**2) / 2
    return total


WINDOWS = [("tanh", window) for window in (None, 1, 2, 50)]
WINDOWS += [(name, window) for name in ("sigmoid", "relu", "leaky_relu") for window in (None, 2)]


@pytest.mark.parametrize(("activation", "num_steps"), WINDOWS)
def test_through_time_equals_jax_grad(activation, num_steps):
    """Catches a window longer or shorter by one, errors of later losses lost, a state of the wrong time in dL/dW_h."""
    function = activations.by_name(activation)
    states = elman_states(WEIGHTS, SEQUENCES, activation=activation)
    passed = jax.jit(functools.partial(through_time, num_steps=num_steps, activation=activation))(
        WEIGHTS, SEQUENCES, READOUT * states
    )
    by_hand = jax.jit(jax.grad(functools.partial(total_loss, activation=function, num_steps=num_steps or 99), (0, 1)))
    gradients, errors = by_hand(WEIGHTS, jnp.zeros((3, NUM_STEPS, 5)))
    golden_values.assert_matches(passed.gradients, gradients, 5e-6)
    golden_values.assert_matches(passed.errors, errors, 5e-6)


def test_states_are_those_of_flax():
    """Catches kernels transposed or swapped against `SimpleCell`, and a state that starts elsewhere."""
    rnn = nnx.RNN(nnx.SimpleCell(4, 5, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
    weights = Elman(rnn.cell.dense_i.kernel[...], rnn.cell.dense_h.kernel[...], rnn.cell.dense_i.bias[...])
    np.testing.assert_allclose(elman_states(weights, SEQUENCES), rnn(SEQUENCES), rtol=1e-5, atol=1e-6)


def test_signals_by_seed_in_one_program():
    """Catches what cannot be mapped over seeds: the plots of vanishing gradients need it."""

    def norms(key):
        weights = WEIGHTS._replace(recurrent_kernel=0.3 * jax.random.normal(key, (5, 5)))
        last = jnp.zeros((3, NUM_STEPS, 5)).at[:, -1].set(1.0)
        return jnp.linalg.norm(through_time(weights, SEQUENCES, last).errors, axis=(0, 2))

    signals = jax.jit(jax.vmap(norms))(jax.random.split(jax.random.key(0), 3))
    assert signals.shape == (3, NUM_STEPS)
    assert (signals[:, 0] < signals[:, -1]).all()


PARAMS = network(3, "relu")[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: through_layers(PARAMS, X, X, activation="rleu"),
            dl.ArgumentError,
            "activation is 'rleu'; expects .* Did you",
        ),
        (
            lambda: through_layers(PARAMS, X, X, activation="maxout"),
            dl.ArgumentError,
            "activation is 'maxout'; expects",
        ),
        (lambda: through_layers(PARAMS, X, X, activation=len), dl.ArgumentError, "activation gives .*; expects floats"),
        (lambda: through_layers(PARAMS, X, X, activation=abs(X).max), dl.ArgumentError, "activation is .* it fails"),
        (
            lambda: through_layers({"layers": {0: PARAMS["layers"][0], 1: PARAMS["layers"][0]}}, X, X),
            dl.DataError,
            r"params hold .*; expects kernels \[n, m\]",
        ),
        (lambda: through_layers(PARAMS, X, X, activation="softmax"), dl.ArgumentError, "acts element by element"),
        (lambda: through_layers(PARAMS, X, X, activation="prelu"), dl.ArgumentError, "leaky_relu for prelu"),
        (
            lambda: through_layers(PARAMS, X, X, loss="squared"),
            dl.ArgumentError,
            r"loss is 'squared'; expects one of .* Did you mean",
        ),
        (lambda: through_layers({"encoder": 1}, X, X), dl.ArgumentError, r"parts \['encoder'\]; expects those of dl"),
        (lambda: through_layers(None, X, X), dl.ArgumentError, "parts None; expects those of dl.models.mlp"),
        (lambda: through_layers(PARAMS, X[:, :3], X), dl.DataError, r"inputs are float32\[5, 3\]; .* expects \[B, 4\]"),
        (lambda: through_layers(PARAMS, X, np.full(5, 3)), dl.DataError, r"labels hold 3 .* integers in \[0, 3\)"),
        (lambda: through_layers(PARAMS, X, X[:, :2], loss="squared_error"), dl.DataError, "expects the same shape"),
        (
            lambda: through_layers(PARAMS, X, np.ones(5, int), loss="binary_cross_entropy"),
            dl.DataError,
            "expects the same shape",
        ),
        (
            lambda: elman_states(WEIGHTS, SEQUENCES[0]),
            dl.DataError,
            r"inputs is float32\[4, 4\]; expects numbers \[B, T, num",
        ),
        (
            lambda: elman_states(WEIGHTS._replace(bias=np.ones(4)), SEQUENCES),
            dl.DataError,
            r"weights are float32\[4, 5\], float32\[5, 5\], float64\[4\]; expects",
        ),
        (
            lambda: through_time(WEIGHTS, SEQUENCES, READOUT[:, :2]),
            dl.DataError,
            "state_errors: .* expects the same shape",
        ),
        (lambda: through_time(WEIGHTS, SEQUENCES, READOUT, num_steps=0), dl.ArgumentError, "num_steps is 0; expects"),
    ],
)
def test_bad_arguments(call, error, message):
    """Catches derivatives of functions that mix units, and shapes that broadcast."""
    with pytest.raises(error, match=message):
        call()


def test_errors_of_labels_that_are_narrow_or_of_no_class():
    """Catches the number of classes that wraps around in 8 bits, and a traced label that is no class taken for none."""
    params = {"layers": {0: {"kernel": jnp.zeros((1, 300)), "bias": jnp.zeros(300)}}}
    errors = jax.jit(lambda labels: through_layers(params, jnp.ones((2, 1)), labels).errors[-1])
    found = errors(jnp.array([10, 200], jnp.uint8))
    np.testing.assert_allclose(found, (1 / 300 - np.eye(300)[[10, 200]]) / 2, rtol=1e-4)
    np.testing.assert_array_equal(np.isnan(errors(jnp.array([10, 300]))).all(axis=1), [False, True])
