"""Feed-forward families keep the contract of models, agree with PyTorch, and say what is wrong."""

import functools

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_contract import Case, ModelContract
from small import labeled_points

import dlcore as dl

GOLDEN = golden_values.load("families")


def classified(model, **options):
    return Case(lambda: dl.tasks.classification(model, labeled_points(32)), learning_rate=0.05, **options)


def two_classes():
    points = labeled_points(32)
    return dl.data.Dataset((points.train.inputs, (points.train.inputs[:, 0] > 0.1).astype(np.int32)))


class TestFeedForward(ModelContract):
    """Linear models and multi-layer perceptrons."""

    CASES = {
        "mlp": classified(dl.models.mlp([4, 64, 3])),
        "logistic": Case(
            lambda: dl.tasks.classification(dl.models.logistic(4, initializer="lecun_normal"), two_classes()),
            learning_rate=0.3,
            num_steps=200,
        ),
        "deep_linear": classified(dl.models.deep_linear([4, 8, 3]), remaining=0.7, heavy=True),
        "layer_norm_skip": classified(dl.models.mlp([4, 16, 16, 3], "silu", normalization="layer", skip=True)),
        "dropout_prelu": classified(dl.models.mlp([4, 24, 3], "prelu", dropout=0.1)),
        "batch_norm_maxout": classified(dl.models.mlp([4, 32, 3], "maxout", normalization="batch")),
    }


MODELS = {
    "batch": dl.models.mlp([4, 6, 3], "tanh", normalization="batch"),
    "layer": dl.models.mlp([4, 6, 3], "tanh", normalization="layer"),
    "prelu": dl.models.mlp([4, 6, 3], "prelu"),
    "maxout": dl.models.mlp([4, 6, 3], "maxout"),
}


def params_of(name, values, suffix=""):
    """PyTorch's weights, or their gradients, as params of the model."""
    last = {"batch": 3, "layer": 3}.get(name, 2)
    params = {
        "layers": {
            i: {"kernel": values[f"{layer}.weight{suffix}"].T, "bias": values[f"{layer}.bias{suffix}"]}
            for i, layer in enumerate((0, last))
        }
    }
    if name in ("batch", "layer"):
        params["norms"] = {0: {"scale": values[f"1.weight{suffix}"], "bias": values[f"1.bias{suffix}"]}}
    if name == "prelu":
        params["activations"] = {0: {"slope": values[f"1.weight{suffix}"][0]}}
    return params


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_agrees_with_pytorch(name):
    """Catches another order of layer, norm and activation, running averages of something else, other groups."""
    model, values = MODELS[name], GOLDEN[name]
    _, state = model.init(jax.random.key(0))

    @jax.jit
    def step(params, x):
        def loss(params, x):
            output, changed = model.apply(params, state, x, train=True)
            value = jnp.mean(dl.losses.softmax_cross_entropy(output, values["labels"]))
            return value, (output, changed)

        gradients, (output, changed) = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)
        return gradients, output, changed

    params = params_of(name, values)
    (gradient, x_gradient), output, changed = step(params, values["x"])
    golden_values.assert_matches(output, values["output"])
    golden_values.assert_matches(x_gradient, values["x_gradient"])
    expected = params_of(name, values, "_gradient")
    if name == "batch":  # the norm takes the bias before it away: its gradient is rounding
        for tree in (gradient, expected):
            tree["layers"][0].pop("bias")
    golden_values.assert_matches(gradient, expected)
    if name == "batch":
        golden_values.assert_matches(changed["norms"][0]["mean"], values["1.running_mean"])
        unbiased = 0.9 + (changed["norms"][0]["var"] - 0.9) * 7 / 6  # PyTorch divides by n - 1, we by n
        golden_values.assert_matches(unbiased, values["1.running_var"])
        changed = {"norms": {0: {"mean": values["1.running_mean"], "var": values["1.running_var"]}}}
    golden_values.assert_matches(model.apply(params, changed, values["x"])[0], values["evaluated"])


def test_skip_connections_by_hand():
    """Catches a projection where widths agree, a skip around the last layer, one before the activation."""
    model = dl.models.mlp([4, 5, 5, 3], "tanh", skip=True)
    params, state = model.init(jax.random.key(0))
    assert list(params["projections"]) == [0]
    assert list(params["projections"][0]) == ["kernel"]
    x = labeled_points().train.inputs
    layers = [lambda x, layer=layer: x @ layer["kernel"] + layer["bias"][None] for layer in params["layers"].values()]
    first = x @ params["projections"][0]["kernel"] + jnp.tanh(layers[0](x))
    expected = layers[2](first + jnp.tanh(layers[1](first)))
    np.testing.assert_allclose(model.apply(params, state, x)[0], expected, rtol=1e-5, atol=1e-6)


def test_output_activation():
    """Catches one that is applied to hidden layers or not at all, and maxout with an output too narrow."""
    x = labeled_points().train.inputs
    plain, bounded = (dl.models.mlp([4, 5, 3], output_activation=name) for name in ("identity", "sigmoid"))
    params, _ = plain.init(jax.random.key(0))
    np.testing.assert_allclose(
        bounded.apply(params, {}, x)[0], jax.nn.sigmoid(plain.apply(params, {}, x)[0]), rtol=1e-6
    )
    pieces = dl.models.mlp([4, 5, 3], output_activation="maxout")
    assert pieces.apply(*pieces.init(jax.random.key(0)), x)[0].shape == (24, 3)


def test_dropout_keeps_the_mean():
    """Catches a share of units kept instead of dropped, no rescaling, one mask for all examples or layers."""
    model = dl.models.mlp([1, 2000, 1], "identity", initializer="normal", dropout=0.25)
    params = {
        "layers": {0: {"kernel": jnp.ones((1, 2000)), "bias": jnp.zeros(2000)}}
        | {1: {"kernel": jnp.ones((2000, 1)) / 2000, "bias": jnp.zeros(1)}}
    }
    x = jnp.ones((50, 1))
    dropped = np.asarray(model.apply(params, {}, x, key=jax.random.key(0), train=True)[0])
    assert abs(dropped.mean() - 1) < 0.01
    assert dropped.std() == pytest.approx(np.sqrt(0.25 / 0.75 / 2000), rel=0.3)
    np.testing.assert_allclose(model.apply(params, {}, x, key=jax.random.key(0))[0], 1, rtol=1e-5)


def test_classes_of_logistic_regression():
    """Catches two logits for two classes, one for three, and a start that is not the same for every seed."""
    for num_classes, width in ((2, 1), (3, 3)):
        params, _ = dl.models.logistic(4, num_classes).init(jax.random.key(num_classes))
        assert params["layers"][0]["kernel"].shape == (4, width)
        assert not params["layers"][0]["kernel"].any()


def test_a_deep_linear_network_is_affine():
    """Catches an activation between the layers."""
    model = dl.models.deep_linear([4, 5, 3])
    variables, x = model.init(jax.random.key(0)), labeled_points().train.inputs
    middle = model.apply(*variables, (x[:1] + x[1:2]) / 2)[0]
    np.testing.assert_allclose(middle, model.apply(*variables, x[:2])[0].mean(axis=0, keepdims=True), rtol=1e-5)


def trained(model, seed):
    task = dl.tasks.classification(model, labeled_points())
    return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=8, num_epochs=1, evaluate=("test",))


def test_activations_are_a_static_axis():
    """Catches an activation by name that a study cannot take, and labels lost."""

    def fit(seed, activation):
        return trained(dl.models.mlp([4, 5, 3], activation), seed)

    names = ["relu", "tanh", "maxout"]
    runs = dl.sweep(fit, seed=np.arange(2), activation=names, lane_width=2)
    assert runs.activation.values.tolist() == names
    assert len(np.unique(runs.test_loss.isel(step=-1))) == 6


def test_dropout_and_slope_are_traced_axes():
    """Catches a rate or slope compared in Python, and one that does not reach the network."""

    def fit(dropout, slope):
        activation = functools.partial(dl.activations.leaky_relu, slope=slope)
        return trained(dl.models.mlp([4, 8, 3], activation, dropout=dropout), 0)

    axes = {"dropout": np.float32([0, 0.5]), "slope": np.float32([0.0, 0.3])}
    runs = dl.sweep(fit, **axes, lane_width=2)
    assert len(np.unique(runs.test_loss.isel(step=-1))) == 4
    relu = dl.sweep(lambda seed: trained(dl.models.mlp([4, 8, 3]), seed), seed=np.arange(1), lane_width=2)
    without = runs.test_loss.isel(dropout=0, slope=0)
    np.testing.assert_allclose(without, relu.test_loss.isel(seed=0), rtol=1e-5)


X = np.zeros((7, 4), np.float32)
MLP = dl.models.mlp


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dl.models.logistic(4, 1), "logistic: num_classes is 1; expects an integer from 2"),
        (lambda: dl.models.logistic(4, 2.5), "logistic: num_classes is 2.5; expects an integer"),
        (
            lambda: dl.models.deep_linear([4]),
            r"deep_linear: widths is \[4\]; expects a sequence of 2 to 1000 positive integers",
        ),
        (lambda: MLP([4, 0, 3]), r"mlp: widths is \[4, 0, 3\]; expects a sequence of 2 to 1000 positive integers"),
        (lambda: MLP([4, 3], dropout=1.0), "mlp: dropout is 1.0; expects a finite number, 0 or more, below 1"),
        (lambda: MLP([4, 3], dropout=-0.1), "dropout is -0.1; expects a finite number, 0 or more, below 1"),
        (lambda: MLP([4, 3], dropout=float("nan")), "dropout is nan; expects a finite number"),
        (lambda: MLP([4, 3], dropout="0.1"), "dropout is '0.1'; expects a finite number"),
        (lambda: MLP([4, 3], normalization="bach"), "normalization is 'bach'; .*Did you mean 'batch'"),
        (lambda: MLP([4, 3], output_activation="sigmoyd"), "output_activation is 'sigmoyd'; .* Did you mean 'sigmoid'"),
        (lambda: MLP([4, 5, 3], dl.activations.Maxout(0)), "num_pieces is 0; expects an integer from 1"),
        (
            lambda: (model := MLP([4, 5, 3], dropout=0.5)).apply(*model.init(jax.random.key(0)), X, train=True),
            "this model draws random numbers in training",
        ),
    ],
)
def test_bad_input(call, message):
    """Catches what would fail later and say less."""
    with pytest.raises(dl.ArgumentError, match=message):
        call()
