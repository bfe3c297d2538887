"""Recurrent layers and networks: PyTorch's numbers, the contract, masks, truncation, carried state."""

import itertools
import re

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import lax
from model_contract import Case, ModelContract

import dlcore as dl
from dlcore.nn.masked import Masked
from dlcore.nn.recurrent import CELLS, Recurrent, RecurrentStack

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(32, 5, 3)).astype(np.float32)
LENGTHS = RNG.integers(3, 6, size=32)
THERE = np.arange(5)[None] < LENGTHS[:, None]
LABELS = RNG.integers(0, 3, size=32).astype(np.int32)
IDS = np.where(THERE, RNG.integers(4, 16, size=(32, 5)), 0).astype(np.int32)
NEXT = np.where(THERE, RNG.integers(4, 16, size=(32, 5)), 0).astype(np.int32)


def masked_by_last_column(model):
    """The model on arrays [B, T, F + 1] whose last column is the mask: a data set holds one array."""

    def apply(params, state, x, *, key=None, train=False):
        return model.apply(params, state, Masked(x[..., :-1], x[..., -1] > 0), key=key, train=train)

    return dl.Model(model.init, apply)


def simple():
    """Floats, the last step."""
    return dl.tasks.classification(
        dl.models.recurrent(3, 16, 3, cell="simple"), dl.data.Dataset((SERIES, LABELS), name="series")
    )


def lstm_masked():
    """Floats of different lengths, the mean over steps."""
    inputs = np.concatenate([SERIES, THERE[..., None]], axis=2).astype(np.float32)
    model = masked_by_last_column(dl.models.recurrent(3, 16, 3, output="mean"))
    return dl.tasks.classification(model, dl.data.Dataset((inputs, LABELS), name="masked series"))


def gru_tokens():
    """Padded ids, the last real step."""
    model = dl.models.recurrent(8, 16, 1, cell="gru", num_tokens=16)
    return dl.tasks.regression(model, dl.data.Dataset((IDS, SERIES[:, 0, 0]), name="ids"))


def stacked_bidirectional():
    """Padded ids, every step."""
    model = dl.models.recurrent(8, 16, 16, num_layers=2, bidirectional=True, num_tokens=16, output="all")
    return dl.tasks.token_prediction(model, dl.data.Dataset((IDS, NEXT), name="tokens"))


class TestRecurrent(ModelContract):
    """Cells, depths, directions, kinds of inputs and of outputs."""

    CASES = {
        "simple": Case(simple),
        "lstm_masked": Case(lstm_masked, learning_rate=0.05),
        "gru_tokens": Case(gru_tokens, learning_rate=0.03, heavy=True),
        "stacked_bidirectional": Case(stacked_bidirectional, learning_rate=0.05, heavy=True),
    }


GOLDEN = golden_values.load("recurrent")


def from_pytorch(values, layer, way, prefix=""):
    """PyTorch's weights (or, with the prefix "d_", their gradients) as those of a `Recurrent`."""
    w_in, w_rec, b_in, b_rec = (
        values[f"{prefix}{name}_l{layer}{way}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    both = b_in if prefix else b_in + b_rec
    gru = len(w_rec) == 3 * w_rec.shape[1]
    second = 2 * w_rec.shape[1]  # the last third of a GRU's biases is not added up
    bias = np.concatenate([both[:second], b_in[second:], b_rec[second:]]) if gru else both
    return {"input_kernel": w_in.T, "recurrent_kernel": w_rec.T, "bias": bias}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    """Catches gates in another order, a reset before the product, a wrong gradient, steps read over padding."""
    values, cell = GOLDEN[name], name.split("_")[0]
    num_layers, both_ways, packed = 1 + ("stacked" in name), "bidirectional" in name, "packed" in name
    ways = ("", "_reverse") if both_ways else ("",)
    stack = RecurrentStack(cell, 4, 6, num_layers, rngs=nnx.Rngs(0), bidirectional=both_ways)
    graphdef, _ = nnx.split(stack)
    mask = jnp.arange(5)[None] < jnp.array([5, 2, 3])[:, None] if packed else None
    parts = "hc"[: CELLS[cell].num_carried]

    def weights(prefix=""):
        layers = [[from_pytorch(values, layer, way, prefix) for layer in range(num_layers)] for way in ways]
        tree = {"layers": dict(enumerate(layers[0])), "backward": dict(enumerate(layers[1])) if both_ways else {}}
        return tree if both_ways else {"layers": tree["layers"]}

    def carry(prefix):
        rows = [tuple(values[f"{prefix}_{part}"][row] for part in parts) for row in range(num_layers * len(ways))]
        return tuple(zip(rows[::2], rows[1::2], strict=True)) if both_ways else tuple(rows)

    @jax.jit
    def loss(params, x, first):
        outputs, last = nnx.merge(graphdef, nnx.State(params))(x, mask, first)
        pairs = zip(
            jax.tree.leaves((outputs, last)), jax.tree.leaves((values["w_outputs"], carry("w_last"))), strict=True
        )
        return sum(jnp.sum(value * weight) for value, weight in pairs), (outputs, last)

    arguments = jax.tree.map(jnp.asarray, (weights(), values["inputs"], carry("first")))
    gradients, results = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(*arguments)
    golden_values.assert_matches(results, (values["outputs"], carry("last")))
    golden_values.assert_matches(gradients, (weights("d_"), values["d_inputs"], carry("d_first")))


def applied(model, x, **options):
    """The output of the model with weights of key 0."""
    return model.apply(*model.init(jax.random.key(0)), x, **options)[0]


@pytest.mark.parametrize(("cell", "both_ways", "output"), [("simple", True, "last"), ("lstm", True, "mean"),
                                                           ("gru", False, "last"), ("gru", True, "all")])  # fmt: skip
def test_padding_changes_nothing(cell, both_ways, output):
    """Catches a carry or a mean that runs over padding, a backward pass that starts in it, NaN that leaks from it."""
    model = dl.models.recurrent(3, 4, 2, cell=cell, bidirectional=both_ways, num_layers=2, output=output)
    params, state = model.init(jax.random.key(0))
    padded = np.where(THERE[:4, :, None], SERIES[:4], 1e3).astype(np.float32)

    @jax.jit
    def summed(params, x, mask):
        outputs = model.apply(params, state, Masked(x, mask))[0]
        counted = jnp.where(mask[..., None], outputs, 0) if output == "all" else outputs
        return jnp.sum(counted**2), outputs

    (_, together), gradient = jax.value_and_grad(summed, has_aux=True)(params, padded, THERE[:4])
    again = jax.grad(summed, has_aux=True)(params, np.where(padded == 1e3, -7.0, padded), THERE[:4])[0]
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    row = 1
    length = LENGTHS[row]
    alone = applied(model, SERIES[row : row + 1, :length])
    kept = together[row : row + 1, :length] if output == "all" else together[row : row + 1]
    np.testing.assert_allclose(kept, alone, rtol=0, atol=1e-6)


def test_masked_steps_keep_the_carry_to_the_bit():
    """Catches a mask that is multiplied in, or applied to the output only."""
    layer = Recurrent("lstm", 3, 4, rngs=nnx.Rngs(0))
    x = jnp.asarray(SERIES[:2])
    mask = jnp.array([[True, True, False, False, False], [True, False, True, True, True]])
    outputs, (h, _) = layer(x, mask)
    np.testing.assert_array_equal(h[0], outputs[0, 1])
    np.testing.assert_array_equal(outputs[~mask], 0)
    without, (h, _) = layer(jnp.delete(x[1:], 1, axis=1))
    np.testing.assert_allclose(outputs[1, -1], without[0, -1], atol=1e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_reverse_reads_backwards(cell):
    """Catches outputs left in the order of reading."""
    forward = Recurrent(cell, 3, 4, rngs=nnx.Rngs(0))
    backward = Recurrent(cell, 3, 4, rngs=nnx.Rngs(0), reverse=True)
    x = jnp.asarray(SERIES[:2])
    np.testing.assert_allclose(backward(x)[0], forward(x[:, ::-1])[0][:, ::-1], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_steps_one_by_one_equal_all_at_once(cell):
    """Catches two definitions of a cell, and layers fed in the wrong order."""
    model = dl.models.recurrent(3, 4, 2, cell=cell, num_layers=2, output="all")
    params, state = model.init(jax.random.key(0))
    carry, _ = model.parts["initial"].apply(params, state, SERIES[:2])
    outputs = []
    for t in range(3):
        (carry, output), _ = model.parts["step"].apply(params, state, (carry, SERIES[:2, t]))
        outputs.append(output)
    np.testing.assert_allclose(jnp.stack(outputs, 1), applied(model, SERIES[:2, :3]), atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "reverse", "truncation"),
    [
        ("simple", False, 1),
        ("lstm", True, 2),
        ("gru", False, 2),
        ("lstm_peephole", False, 2),
        ("gru_reset_before", True, 2),
    ],
)
def test_truncation_is_a_stop_gradient(cell, reverse, truncation):
    """Catches a gradient that is cut at other steps, or cut for the weights and not for the inputs."""
    plain = Recurrent(cell, 3, 4, rngs=nnx.Rngs(0), reverse=reverse)
    graphdef, params = nnx.split(Recurrent(cell, 3, 4, rngs=nnx.Rngs(0), reverse=reverse, truncation=truncation))
    if "peepholes" in params:  # zero at first
        params["peepholes"].set_value(jnp.asarray(RNG.normal(size=12), jnp.float32))
    x = jnp.asarray(SERIES[:2])

    def truncated(params, x):
        outputs, carry = nnx.merge(graphdef, params)(x)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves((outputs, carry)))

    def by_hand(params, x):
        layer = nnx.merge(graphdef, params)
        carry, total = layer.initial((2,), x.dtype), 0.0
        for i, t in enumerate(range(5)[::-1] if reverse else range(5)):
            carry = lax.stop_gradient(carry) if i % truncation == 0 else carry
            carry, output = layer.step(carry, x[:, t])
            total += jnp.sum(jnp.sin(output))
        return total + sum(jnp.sum(jnp.sin(leaf)) for leaf in carry)

    got, expected = (jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(params, x) for f in (truncated, by_hand))
    golden_values.assert_matches(got, expected)
    full, long = (
        jax.jit(jax.grad(lambda x, layer=layer: jnp.sum(layer(x)[0] ** 2)))(x)
        for layer in (plain, Recurrent(cell, 3, 4, rngs=nnx.Rngs(0), reverse=reverse, truncation=5))
    )
    np.testing.assert_allclose(full, long, atol=1e-7)


def test_second_derivative():
    """Catches a hand-written gradient that cannot be differentiated again, forwards or backwards."""
    with jax.enable_x64(True):
        graphdef, params = nnx.split(Recurrent("lstm", 3, 4, rngs=nnx.Rngs(0)))
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        x = jnp.asarray(SERIES[:2], jnp.float64)
        way = jax.tree.map(jnp.cos, params)

        def loss(params):
            return jnp.sum(nnx.merge(graphdef, params)(x)[0] ** 2)

        gradient = jax.jit(jax.grad(loss))
        forward = jax.jit(lambda params: jax.jvp(jax.grad(loss), (params,), (way,))[1])(params)
        backward = jax.jit(jax.grad(lambda params: optax.tree.vdot(jax.grad(loss)(params), way)))(params)
        moved = [gradient(jax.tree.map(lambda p, w, s=step: p + s * w, params, way)) for step in (1e-5, -1e-5)]
        difference = jax.tree.map(lambda a, b: (a - b) / 2e-5, *moved)
        golden_values.assert_matches(forward, difference, 1e-7)
        golden_values.assert_matches(backward, forward, 1e-10)


def test_kernel_gradient_is_one_product():
    """Catches a backward loop that adds up the gradient of the recurrent kernel step by step."""
    graphdef, params = nnx.split(Recurrent("lstm", 3, 4, rngs=nnx.Rngs(0)))
    jaxpr = jax.make_jaxpr(jax.grad(lambda params: jnp.sum(nnx.merge(graphdef, params)(SERIES)[0])))(params)
    loops = [equation for equation in jaxpr.eqns if equation.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        assert (4, 16) not in [variable.aval.shape for variable in loop.outvars]


def test_first_weights():
    """Catches a recurrent kernel that is not orthogonal gate by gate, a forget bias on another gate."""
    layer = Recurrent("lstm", 3, 4, rngs=nnx.Rngs(0), forget_bias=2.0)
    for block in jnp.split(layer.recurrent_kernel[...], 4, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(4), atol=1e-6)
    np.testing.assert_array_equal(layer.bias[...], np.repeat([0.0, 2.0, 0.0, 0.0], 4))


def test_first_weights_without_lapack():
    """Catches a QR decomposition: mapped over runs on two CPU devices it never returns."""
    key = jax.random.key(0)
    decomposed = re.compile(r"\b(qr|geqrf|householder_product)\b")
    assert decomposed.search(str(jax.make_jaxpr(lambda key: jax.random.orthogonal(key, 4))(key)))
    assert not decomposed.search(str(jax.make_jaxpr(dl.models.recurrent(3, 4, 2).init)(key)))


def test_dropout_rate_can_be_swept():
    """Catches a rate that Python branches on, dropout outside training or after the last layer."""

    def outputs(rate, train, num_layers=2):
        model = dl.models.recurrent(3, 4, 2, num_layers=num_layers, dropout=rate)
        return model.apply(*model.init(jax.random.key(0)), SERIES[:4], key=jax.random.key(1), train=train)[0]

    rates = jnp.array([0.0, 0.5])
    swept = jax.jit(jax.vmap(outputs, in_axes=(0, None)), static_argnums=1)
    np.testing.assert_allclose(swept(rates, False)[0], swept(rates, False)[1])
    np.testing.assert_allclose(swept(rates, True)[0], swept(rates, False)[0], atol=1e-6)
    assert not np.allclose(swept(rates, True)[1], swept(rates, False)[1], atol=1e-3)
    np.testing.assert_allclose(outputs(0.5, True, 1), outputs(0.5, False, 1), atol=1e-6)


def test_stateful_network_reads_on():
    """Catches a carry that is lost, kept in evaluation, or given away by the training loop."""
    model = dl.models.recurrent(3, 4, 2, output="all", stateful=2)
    params, state = model.init(jax.random.key(0))
    whole, untouched = model.apply(params, state, SERIES[:2])
    golden_values.assert_matches(untouched, state)
    parts = []
    for window in (SERIES[:2, :3], SERIES[:2, 3:]):
        output, state = model.apply(params, state, window, train=True)
        parts.append(output)
    np.testing.assert_allclose(jnp.concatenate(parts, 1), whole, atol=1e-6)
    evaluated, _ = model.apply(params, state, SERIES[:5, :3])
    np.testing.assert_allclose(evaluated[:2], parts[0], atol=1e-6)


def test_continued_lays_a_text_out():
    """Catches rows that continue another row, and a training that forgets the carry between steps."""
    text = "".join(chr(97 + i % 26) for i in range(103))
    data = dl.data.continued(dl.data.next_token(text, length=4), 3)
    batches = np.asarray(data.train.inputs).reshape(-1, 3, 4)
    following = np.asarray(data.train.targets).reshape(-1, 3, 4)
    assert len(batches) == 25 // 3
    for now, after in itertools.pairwise(range(len(batches))):
        np.testing.assert_array_equal(following[now][:, -1], batches[after][:, 0])
    model = dl.models.recurrent(4, 5, 30, num_tokens=30, output="all", stateful=3)
    task = dl.tasks.token_prediction(model, data)
    run = dl.training(
        jax.random.key(0), task, optax.sgd(0.0), batch_size=3, num_steps=2, record_every=1, sampling="in_order"
    )
    start = run.init()
    state, _ = jax.jit(lambda state: run.advance(run.advance(state)[0]))(start)
    long = np.concatenate([batches[0], batches[1]], axis=1)
    expected = dl.models.recurrent(4, 5, 30, num_tokens=30, output="all", stateful=3).apply(
        start.params, start.model_state, long, train=True
    )[1]
    golden_values.assert_matches(state.model_state, expected)
    with pytest.raises(dl.DataError, match=r"the windows do not continue each other.*stride=None"):
        dl.data.continued(dl.data.next_token(text, length=4, stride=2), 3)
    with pytest.raises(dl.DataError, match="25 windows; expects at least batch_size=26"):
        dl.data.continued(dl.data.next_token(text, length=4), 26)


def test_token_prediction_leaves_padding_out():
    """Catches padding in the loss or the metrics, and blanks that are left out although they count."""
    logits = jnp.asarray(RNG.normal(size=(2, 3, 4)).astype(np.float32))
    model = dl.Model(lambda key: ({}, {}), lambda params, state, x, *, key=None, train=False: (logits[: len(x)], state))
    tokens = np.array([[1, 3, 0], [2, 0, 0]], np.int32)
    data = dl.data.Dataset((np.zeros((2, 3), np.float32), tokens))
    entropy = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(np.asarray(logits), tokens[..., None], -1)[..., 0]
    real = np.array([(0, 0), (0, 1), (1, 0)])
    picked = entropy[tuple(real.T)]
    loss, (metrics, _) = dl.tasks.token_prediction(model, data).objective({}, {}, data.train)
    np.testing.assert_allclose(loss, (picked[:2].mean() + picked[2]) / 2, rtol=1e-5)
    np.testing.assert_allclose(metrics["perplexity"], np.exp(picked.mean()), rtol=1e-5)
    right = np.argmax(logits, -1) == tokens
    np.testing.assert_allclose(metrics["accuracy"], right[tuple(real.T)].mean(), rtol=1e-6)
    loss, (metrics, _) = dl.tasks.token_prediction(model, data, padding=None).objective({}, {}, data.train)
    np.testing.assert_allclose(loss, entropy.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)


@pytest.mark.heavy
def test_learns_to_add():
    """Catches a network that cannot carry a number over many steps: always answering 1 has error 1/6."""
    train, test = (dl.data.adding_problem(jax.random.key(i), n, length=12) for i, n in enumerate((512, 256)))
    task = dl.tasks.regression(dl.models.recurrent(2, 24, 1), dl.data.Dataset(train, test=test, name="adding"))
    run = dl.training(
        jax.random.key(0), task, optax.adam(0.02), batch_size=64, num_steps=400, record_every=400, evaluate=("test",)
    )
    assert dl.run(run).test_loss.isel(step=-1).item() < 0.1 / 6


FLOATS = np.zeros((2, 5, 3), np.float32)
TOKENS = dl.models.recurrent(4, 5, 2, num_tokens=9)
NUMBERS = dl.models.recurrent(3, 5, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 4, 2), {"cell": "lstn"}, "recurrent: cell is 'lstn'; expects one of .* Did you mean 'lstm'"),
        ((3, 4, 2), {"output": "lst"}, "output is 'lst'; expects one of .* Did you mean 'last'"),
        ((3, 0, 2), {}, "num_units is 0; expects an integer from 1 to 100000"),
        ((2.5, 4, 2), {}, "num_inputs is 2.5; expects an integer from 1 to 100000"),
        ((3, 4, 0), {}, "num_outputs is 0; expects an integer from 1 to 100000"),
        ((3, 4, 2), {"num_layers": 0}, "num_layers is 0; expects an integer from 1 to 1000"),
        ((3, 4, 2), {"num_layers": 2**31}, "num_layers is 2147483648; expects an integer from 1 to 1000"),
        ((3, 4, 2), {"num_tokens": -1}, "num_tokens is -1; expects an integer from 1 to"),
        ((3, 4, 2), {"truncation": 0}, "truncation is 0; expects a positive integer .*or None"),
        ((3, 4, 2), {"dropout": 1.0}, "dropout is 1.0; expects a finite number, 0 or more, below 1"),
        ((3, 4, 2), {"forget_bias": np.inf}, "forget_bias is inf"),
        ((3, 4, 2), {"initializer": "glorot"}, "initializer is 'glorot'; expects the name of an initializer"),
        ((3, 4, 2), {"initializer": lambda key: key}, "initializer is .* it fails: "),
        ((3, 4, 2), {"initializer": lambda *_: jnp.ones(3)}, r"it gives float32\[3\] for the shape \[3, 16\]"),
        ((3, 4, 2), {"stateful": 0}, "stateful is 0; expects an integer from 1 to"),
        ((3, 4, 2), {"stateful": 2, "bidirectional": True}, "stateful and bidirectional exclude each other"),
    ],
)
def test_bad_arguments(arguments, options, message):
    """Catches a network that is only found to be impossible when it is compiled."""
    with pytest.raises(dl.ArgumentError, match=message):
        dl.models.recurrent(*arguments, **options)


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (NUMBERS, FLOATS[:, :0], r"recurrent: inputs are float32\[2, 0, 3\]; expects floats .* with T of 1 or more"),
        (NUMBERS, FLOATS[0], r"recurrent: inputs are float32\[5, 3\]; expects floats \[B, T, 3\]"),
        (NUMBERS, FLOATS[..., :2], r"recurrent: inputs are float32\[2, 5, 2\]; expects floats \[B, T, 3\]"),
        (NUMBERS, np.zeros((2, 5), np.int32), r"inputs are int32\[2, 5\]; expects floats.*num_tokens"),
        (TOKENS, FLOATS, r"inputs are float32\[2, 5, 3\]; expects integer ids \[B, T\] in \[0, 9\)"),
        (TOKENS, np.zeros((2, 0), np.int32), r"inputs are int32\[2, 0\]; expects integer ids"),
        (TOKENS, np.array([[1, 2], [3, 9]]), r"inputs hold 9 at row 1, step 1; expects ids in \[0, 9\)"),
        (TOKENS, np.array([[1, 2], [0, 0]]), "the mask hides all steps of row 1"),
        (NUMBERS, Masked(FLOATS, np.zeros((2, 5), bool)), "the mask hides all steps of row 0"),
        (NUMBERS, Masked(FLOATS, np.ones((2, 4), bool)), r"the mask is \[2, 4\]; expects \[2, 5\]"),
    ],
)
def test_bad_inputs(model, inputs, message):
    """Catches inputs that would broadcast, be clamped, or give a mean over nothing."""
    with pytest.raises(dl.DataError, match=message):
        applied(model, inputs)


def test_bad_batches_and_targets():
    """Catches a carry given to other rows, and targets that the logits do not have."""
    with pytest.raises(dl.DataError, match="the training batch has 3 rows, the carry kept has 2"):
        applied(dl.models.recurrent(3, 4, 2, stateful=2), SERIES[:3], train=True)
    data = dl.data.Dataset((IDS, NEXT))
    with pytest.raises(dl.DataError, match=r"output is \[2, 16\].*output=\"all\""):
        dl.tasks.token_prediction(dl.models.recurrent(4, 5, 16, num_tokens=16), data)
    with pytest.raises(dl.DataError, match=r"train split: labels hold 15 at .* integers in \[0, 15\)"):
        dl.tasks.token_prediction(dl.models.recurrent(4, 5, 15, num_tokens=16, output="all"), data)
    with pytest.raises(dl.DataError, match=r"targets are int32\[32\].*dl.tasks.classification"):
        dl.tasks.token_prediction(dl.models.recurrent(4, 5, 8, num_tokens=16), dl.data.Dataset((IDS, LABELS)))
    with pytest.raises(TypeError, match="a bidirectional network has no single step"):
        RecurrentStack("gru", 3, 4, 1, rngs=nnx.Rngs(0), bidirectional=True).step((), jnp.zeros((2, 3)))


def test_mean_of_a_row_that_a_traced_mask_hides():
    """Catches 0 / 0, which would make the loss of the whole batch NaN."""
    model = dl.models.recurrent(2, 3, 1, cell="simple", output="mean")
    params, state = jax.jit(model.init)(jax.random.key(0))
    mask = jnp.array([[True, True], [False, False]])

    @jax.jit
    @jax.grad
    def gradient(params, mask):
        return model.apply(params, state, dl.Masked(jnp.ones((2, 2, 2)), mask))[0].sum()

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(params, mask)))


def test_gates_are_computed_once():
    """Catches exponentials computed again in the gradient, and kernels' gradients as products of columns."""
    layer = Recurrent("lstm", 5, 8, rngs=nnx.Rngs(0))
    graph, params = nnx.split(layer)

    def loss(params, x):
        return jnp.sum(jnp.sin(nnx.merge(graph, params)(x)[0]))

    x = jnp.ones((3, 6, 5))
    assert str(jax.make_jaxpr(jax.grad(loss))(params, x)).count("logistic") == 3
    text = str(jax.jit(jax.grad(loss)).lower(params, x).compile().as_text())
    kernels = re.findall(r"f32\[(?:5|8),32\]\S* dot\(.*", text)
    assert len(kernels) == 2
    assert not any("lhs_contracting_dims={0}" in product for product in kernels)
