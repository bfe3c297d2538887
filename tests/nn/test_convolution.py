"""Convolution, pooling and normalization: both forms agree with each other and with PyTorch."""

import subprocess
import sys

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

import dlcore as dl
from dlcore.nn import convolution as conv
from dlcore.nn import pooling
from dlcore.nn.normalization import normalization_layer

GOLDEN = golden_values.load("convolution")


def outputs_and_gradients(function, parts, names):
    """Output and the gradients with respect to the named parts, of the output times the stored cotangent."""

    @jax.jit
    def run(values):
        output, pull = jax.vjp(lambda values: function(**values), values)
        return output, pull(jnp.asarray(parts["cotangent"]))[0]

    return run({name: jnp.asarray(parts[name]) for name in names})


def assert_golden(case, function, names):
    """Output and gradients are those of PyTorch."""
    parts = GOLDEN[case]
    output, gradients = outputs_and_gradients(function, parts, names)
    golden_values.assert_matches(output, parts["output"])
    golden_values.assert_matches(gradients, {name: parts[f"d{name}"] for name in names})


@pytest.mark.parametrize("form", ["slices", "native"])
@pytest.mark.parametrize(
    ("case", "strides", "padding", "dilation", "groups"),
    [
        ("plain", 1, "SAME", 1, 1),
        ("valid", 1, "VALID", 1, 1),
        ("strided", 2, [1, 0], 1, 1),
        ("dilated", 1, 2, 2, 1),
        ("groups", 1, 1, 1, 2),
        ("depthwise", 2, 1, 1, 4),
    ],
)
def test_convolution(case, strides, padding, dilation, groups, form):
    """Catches a flipped kernel, taps or groups in another order, a wrong padding, a gradient of one of them."""

    def layer(x, weight, bias):
        y = conv.convolve(x, weight, strides, padding, kernel_dilation=dilation, num_groups=groups, form=form)
        return conv.add_bias(y, bias)

    assert_golden(f"convolution_{case}", layer, ("x", "weight", "bias"))


@pytest.mark.parametrize("form", ["slices", "native"])
@pytest.mark.parametrize(("case", "strides", "padding"), [("stride_2", 2, 1), ("stride_3", 3, 2)])
def test_transposed_convolution(case, strides, padding, form):
    """Catches pixels painted in the wrong place. PyTorch's padding p is lax's window - 1 - p."""

    def layer(x, weight, bias):
        return conv.add_bias(conv.convolve_transposed(x, weight, strides, padding, form=form), bias)

    assert_golden(f"transposed_{case}", layer, ("x", "weight", "bias"))


@pytest.mark.parametrize(
    ("case", "pool", "arguments"),
    [
        ("max_2", pooling.max_pool, (2,)),
        ("max_3_2", pooling.max_pool, (3, 2, 1)),
        ("average_2", pooling.average_pool, (2,)),
        ("average_3_2", pooling.average_pool, (3, 2, 1)),
    ],
)
def test_pooling(case, pool, arguments):
    """Catches windows that overlap wrongly, padding that counts, rows that do not fill a window."""
    assert_golden(f"pool_{case}", lambda x: pool(x, *arguments), ("x",))


@pytest.mark.parametrize("case", ["batch_train", "batch_eval", "group", "layer"])
def test_normalization(case):
    """Catches statistics over the wrong axes, training's statistics in evaluation, a wrong running mean."""
    parts = GOLDEN[f"norm_{case}"]
    kind, _, mode = case.partition("_")

    def build(rngs):
        if kind == "group":
            return nnx.GroupNorm(4, num_groups=4, rngs=rngs)
        return normalization_layer(kind, 4, (-3, -2, -1), rngs)

    model = dl.from_nnx(build)
    _, state = model.init(jax.random.key(0))
    if mode == "eval":
        state = {"mean": jnp.asarray(parts["mean"]), "var": jnp.asarray(parts["variance"])}

    def layer(x, weight, bias):
        return model.apply({"scale": weight, "bias": bias}, state, x, train=mode == "train")[0]

    assert_golden(f"norm_{case}", layer, ("x", "weight", "bias"))
    if mode == "train":
        _, after = model.apply({"scale": parts["weight"], "bias": parts["bias"]}, state, parts["x"], train=True)
        n = parts["x"][..., 0].size
        golden_values.assert_matches(after["mean"], parts["mean"])
        # PyTorch keeps the unbiased variance of the batch, Flax the biased one.
        golden_values.assert_matches((after["var"] - 0.9) * n / (n - 1) + 0.9, parts["variance"])


def test_network_of_two_convolutions():
    """Catches layers in another order, pixels flattened after channels, a gradient lost on the way."""
    parts = GOLDEN["network"]
    model = dl.models.convolutional((10, 10), [3, 4], 3, kernel_size=5, head=(8,))

    def params(prefix):
        layers = [{"bias": parts[f"{prefix}bias{i}"], "kernel": parts[f"{prefix}kernel{i}"]} for i in range(4)]
        blocks = {i: {"convolution": layers[i]} for i in range(2)}
        return {"blocks": blocks, "head": {"layers": {i: {"linear": layers[2 + i]} for i in range(2)}}}

    def loss(params, x):
        logits, _ = model.apply(params, {}, x)
        return jnp.mean(dl.losses.softmax_cross_entropy(logits, parts["labels"])), logits

    gradients, logits = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params(""), parts["x"])
    golden_values.assert_matches(logits, parts["output"])
    golden_values.assert_matches(gradients, (params("d"), parts["dx"]))


def test_residual_network():
    """Catches a shortcut of another form, a normalization or activation on the wrong side of the sum."""
    parts = GOLDEN["residual"]
    model = dl.models.resnet((9, 9), 3, depth=8, width=2)
    params, state = jax.jit(model.init)(jax.random.key(0))

    def layers(of):
        places = [of["stem"], *(of["blocks"][i][part] for i in range(3) for part in ("first", "second"))]
        kernels = [layer["convolution"]["kernel"] for layer in places]
        return kernels, [layer["normalization"]["scale"] for layer in places]

    named = {"stem": params["stem"], "blocks": params["blocks"]}
    for i, layer in enumerate([named["stem"], *(named["blocks"][b][p] for b in range(3) for p in ("first", "second"))]):
        layer["convolution"]["kernel"] = jnp.asarray(parts[f"kernel{i}"])
    params["head"] = {"kernel": jnp.asarray(parts["head"]), "bias": jnp.asarray(parts["head_bias"])}

    @jax.jit
    def run(params, x):
        output, pull = jax.vjp(lambda params, x: model.apply(params, state, x, train=True)[0], params, x)
        return output, pull(jnp.asarray(parts["cotangent"]))

    output, (gradient, dx) = run(params, jnp.asarray(parts["x"]))
    golden_values.assert_matches(output, parts["output"], 2e-5)
    golden_values.assert_matches(dx, parts["dx"], 2e-5)
    kernels, scales = layers(gradient)
    golden_values.assert_matches(kernels, [parts[f"dkernel{i}"] for i in range(7)], 2e-5)
    golden_values.assert_matches(scales, [parts[f"dscale{i}"] for i in range(7)], 2e-5)


small = st.integers(1, 3)


@settings(max_examples=6)
@given(
    window=st.tuples(small, small),
    strides=st.tuples(small, small),
    dilation=st.sampled_from([(1, 1), (2, 1)]),
    groups=st.sampled_from([1, 2]),
    padding=st.sampled_from(["SAME", "VALID", ((2, 0), (1, 3))]),
)
def test_both_forms_of_convolution_agree(window, strides, dilation, groups, padding):
    """Catches a case in which slices are not a convolution, forward or backward."""
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(2, 7, 6, 2)), jnp.float32)
    kernel = jnp.asarray(random.normal(size=(*window, 2 // groups, 4)), jnp.float32)

    def run(form):
        def loss(x, kernel):
            y = conv.convolve(x, kernel, strides, padding, kernel_dilation=dilation, num_groups=groups, form=form)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    golden_values.assert_matches(run("slices"), run("native"))


@settings(max_examples=4)
@given(
    window=st.tuples(st.integers(1, 4), small),
    strides=st.tuples(small, small),
    dilation=st.sampled_from([(1, 1), (2, 1)]),
    groups=st.sampled_from([1, 2]),
    padding=st.sampled_from(["SAME", "VALID", ((0, 1), (1, 2))]),
)
def test_both_forms_of_transposed_convolution_agree(window, strides, dilation, groups, padding):
    """Catches a case in which painting is not a transposed convolution, forward or backward."""
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(2, 5, 4, 2)), jnp.float32)
    kernel = jnp.asarray(random.normal(size=(*window, 2 // groups, 4)), jnp.float32)

    def run(form):
        def loss(x, kernel):
            options = {"kernel_dilation": dilation, "num_groups": groups, "form": form}
            y = conv.convolve_transposed(x, kernel, strides, padding, **options)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    golden_values.assert_matches(run("slices"), run("native"))


def test_one_and_three_dimensions():
    """Catches a form that knows images only."""
    for rank in (1, 3):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *(5,) * rank, 2)), jnp.float32)
        layer = conv.Convolution(2, 3, (2,) * rank, 2, rngs=nnx.Rngs(0))
        native = conv.convolve(x, layer.kernel[...], 2, form="native")
        golden_values.assert_matches(layer(x), native)
        assert pooling.max_pool(x, 2).shape == (2, *(2,) * rank, 2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x, k: conv.convolve(x, k, padding="SAMES"), "padding is 'SAMES'; expects \"SAME\""),
        (lambda x, k: conv.convolve(x, k, padding=[1]), "expects one entry for each of 2"),
        (lambda x, k: conv.convolve(x, k, strides=0), "is 0; expects 2 positive integers"),
        (lambda x, k: conv.convolve(x[:, :2], k, padding="VALID"), r"reaches over \[3, 3\] pixels, .* \[2, 5\]"),
        (lambda x, k: pooling.max_pool(x, 6), r"reaches over \[6, 6\] pixels"),
        (lambda x, k: conv.convolve_transposed(x, k, padding="FULL"), "padding is 'FULL'"),
    ],
)
def test_bad_input(call, text):
    """Catches an argument that gets through to an obscure error of XLA."""
    with pytest.raises(dl.ArgumentError, match=text):
        call(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 2)))


WITHOUT_SETUP = """
import sys; sys.path.insert(0, "tests")
import jax, jax.numpy as jnp, numpy as np, optax
from dlcore.nn.pooling import max_pool

random = np.random.default_rng(0)
dark = jnp.asarray(np.where(random.random((32, 15, 15, 8)) > 0.7, random.random((32, 15, 15, 8)), 0), jnp.float32)
weights = jnp.asarray(random.normal(size=(32, 8, 8, 8)), jnp.float32)
kernel, direction = (jnp.asarray(random.normal(size=(8, 8)), jnp.float32) for _ in range(2))

def loss(kernel):
    x = dark @ kernel
    mean = x.mean((0, 1, 2), keepdims=True)
    x = (x - mean) * jax.lax.rsqrt((x * x).mean((0, 1, 2), keepdims=True) - mean * mean + 1e-5)
    return (max_pool(x, 2, 2, "SAME") * weights).sum()

compiled = (jax.jit(jax.grad(loss))(kernel) * direction).sum()
eager = (jax.grad(loss)(kernel) * direction).sum()
print(float(compiled), float(eager))
"""


def test_gradient_of_pooling_is_right_without_setup():
    """Catches a form of pooling whose gradient jaxlib 0.10.2 compiles wrongly without the flag of `dlcore.setup`."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_SETUP], capture_output=True, text=True, check=True)
    compiled, eager = map(float, done.stdout.split())
    np.testing.assert_allclose(compiled, eager, rtol=1e-3)
