"""Modular networks keep the contract, combine as written, learn what one part cannot, and say what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_contract import Case, ModelContract
from small import labeled_points

import dlcore as dl

POINTS = labeled_points(32)
X = POINTS.train.inputs


def linears(count, num_outputs=3, num_inputs=4):
    return [dl.models.linear(num_inputs, num_outputs, initializer="lecun_normal") for _ in range(count)]


def halves(x):
    return x[:, :2], x[:, 2:]


def by_sign(x):
    return (x[:, 0] > 0).astype(jnp.int32)


def classified(model, **options):
    return Case(lambda: dl.tasks.classification(model, POINTS), learning_rate=0.05, **options)


NETWORK = dl.models.mlp([4, 16, 3], dropout=0.1)


class TestModular(ModelContract):
    """Mixtures of experts, routed and decomposed networks."""

    CASES = {
        "mixture_of_experts": classified(dl.models.mixture_of_experts([NETWORK] * 2, dl.models.linear(4, 2))),
        "top_k": classified(
            dl.models.mixture_of_experts(linears(4), dl.models.mlp([4, 8, 4], "tanh"), top_k=2), remaining=0.3
        ),
        "routed": classified(dl.models.routed([dl.models.mlp([4, 16, 3], "tanh")] * 2, by_sign)),
        "decomposed": classified(
            dl.models.decomposed(
                [dl.models.mlp([2, 8, 4], "tanh"), dl.models.mlp([2, 8, 4], "tanh", normalization="batch")],
                split=halves,
                combine=dl.models.mlp([8, 16, 3], "tanh"),
            )
        ),
    }


@pytest.mark.parametrize("top_k", [None, 2])
def test_mixture_by_hand(top_k):
    """Catches weights that do not sum to 1, over the wrong axis, of all experts in place of the best."""
    model = dl.models.mixture_of_experts(linears(3, 2), linears(1)[0], top_k=top_k)
    params, state = model.init(jax.random.key(0))
    one = [x @ p["layers"][0]["kernel"] for x, p in [(X, params["experts"][i]) for i in range(3)]]
    logits = np.asarray(X @ params["gate"]["layers"][0]["kernel"], np.float64)
    if top_k:
        logits[np.arange(32), logits.argmin(axis=1)] = -np.inf
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.parts["weights"].apply(params, state, X)[0], weights, rtol=1e-4)
    np.testing.assert_allclose(model.parts["outputs"].apply(params, state, X)[0], np.stack(one, 1), rtol=1e-4)
    expected = sum(weights[:, i : i + 1] * np.asarray(one[i]) for i in range(3))
    np.testing.assert_allclose(model.apply(params, state, X)[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("top_k", "renormalize", "learns"), [(1, None, True), (1, True, False), (2, None, True)])
def test_a_gate_over_the_best_experts_learns(top_k, renormalize, learns):
    """Catches a weight that is always 1, so that nothing moves the gate."""
    experts = [dl.models.linear(2, 1, initializer="lecun_normal")] * 3
    gate = dl.models.linear(2, 3, initializer="lecun_normal")
    model = dl.models.mixture_of_experts(experts, gate, top_k=top_k, renormalize=renormalize)
    params, state = model.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    gradient = jax.grad(lambda params: jnp.sum(model.apply(params, state, x)[0]))(params)["gate"]
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient)) == learns
    weights = np.asarray(model.parts["weights"].apply(params, state, x)[0])
    assert ((weights > 0).sum(axis=1) == top_k).all()
    if (top_k, renormalize) == (1, None):
        shares = jax.nn.softmax(gate.apply(params["gate"], {}, x)[0])
        np.testing.assert_allclose(weights.max(axis=1), shares.max(axis=1), rtol=1e-6)


def test_a_module_learns_from_its_own_examples_only():
    """Catches examples routed to the wrong module, and derivatives that reach the others."""
    model = dl.models.routed(linears(2), by_sign)
    params, state = model.init(jax.random.key(0))
    outputs = [module.apply(params["modules"][i], {}, X)[0] for i, module in enumerate(linears(2))]
    expected = np.where(X[:, :1] > 0, outputs[1], outputs[0])
    np.testing.assert_allclose(model.apply(params, state, X)[0], expected, rtol=1e-6)
    positive = X[X[:, 0] > 0]
    gradient = jax.grad(lambda params: model.apply(params, state, positive)[0].sum())(params)["modules"]
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient[0]))
    assert all(leaf.any() for leaf in jax.tree.leaves(gradient[1]))
    beyond = dl.models.routed(linears(2), lambda x: (x[:, 0] > 0) * 3 - 1)
    assert np.isnan(jax.jit(beyond.apply)(params, state, X)[0]).all(), "a route that does not exist"


def test_decomposition_by_hand():
    """Catches the parts in another order, a module that gets all features, a mean for a sum."""
    modules = linears(2, 3, 2)
    joined, summed = (dl.models.decomposed(modules, split=halves, combine=c) for c in ("concatenate", "sum"))
    params, state = joined.init(jax.random.key(0))
    parts = [half @ params["modules"][i]["layers"][0]["kernel"] for i, half in enumerate(halves(X))]
    np.testing.assert_allclose(joined.apply(params, state, X)[0], np.concatenate(parts, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(summed.apply(params, state, X)[0], parts[0] + parts[1], rtol=1e-5, atol=1e-6)
    for got, expected in zip(joined.parts["outputs"].apply(params, state, X)[0], parts, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_dropouts_of_modules_differ():
    """Catches one key for all: the experts would drop the same units."""
    module = dl.models.mlp([4, 64, 3], dropout=0.5)
    params, state = module.init(jax.random.key(0))
    same = dl.models.decomposed([dl.models.pretrained(module, params, state)] * 2)
    variables = same.init(jax.random.key(1))
    output = same.apply(*variables, X, key=jax.random.key(2), train=True)[0]
    assert not np.allclose(output[:, :3], output[:, 3:])
    output = same.apply(*variables, X)[0]
    np.testing.assert_array_equal(output[:, :3], output[:, 3:])


def fitted(task, optimizer, num_steps=300, seed=0):
    """Loss on the test split, params and state after full-batch training."""
    run = dl.training(
        jax.random.key(seed), task, optimizer, batch_size="full", num_steps=num_steps, record_every=num_steps
    )
    history = dl.run(run, final_params=True)
    return float(history.test_loss[-1]), *dl.final_params(history, task.model)


@pytest.mark.heavy
def test_experts_beat_one_on_a_piecewise_linear_function():
    """Catches a gate that does not learn: |x| is two lines, and one line explains nothing of it."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(200, 1))
    data = dl.data.from_arrays(x, np.abs(x[:, 0]), test=0.3)
    mixture = dl.models.mixture_of_experts(linears(2, 1, 1), linears(1, 2, 1)[0])
    one, *_ = fitted(dl.tasks.regression(dl.models.linear(1), data), optax.adam(0.1))
    two, params, state = fitted(dl.tasks.regression(mixture, data), optax.adam(0.1))
    assert two < 0.02 * one
    weights = mixture.parts["weights"].apply(params, state, np.float32([[-0.5], [0.5]]))[0]
    assert (weights.max(axis=1) > 0.9).all()
    assert len(set(weights.argmax(axis=1).tolist())) == 2


@pytest.mark.heavy
def test_networks_trained_apart_solve_a_problem_together():
    """Catches trained params that get lost on the way in, and frozen ones that the optimizer changes."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(400, 4)).astype(np.float32)
    signs = np.stack([x[:, 0] * x[:, 1] > 0, x[:, 2] * x[:, 3] > 0], axis=1).astype(np.int32)
    modules = []
    for part in range(2):
        data = dl.data.from_arrays(halves(x)[part], signs[:, part], test=0.3)
        network = dl.models.mlp([2, 16, 1], "tanh")
        _, params, state = fitted(dl.tasks.classification(network, data), optax.adam(0.05))
        modules.append(dl.models.pretrained(network, params, state))
    model = dl.models.decomposed(modules, split=halves, combine=dl.models.mlp([2, 8, 1], "tanh"))
    data = dl.data.from_arrays(x, signs[:, 0] ^ signs[:, 1], test=0.3)
    frozen = optax.chain(optax.adamw(0.05), optax.freeze({"modules": True, "combine": False}))
    together, params, _ = fitted(dl.tasks.classification(model, data), frozen)
    start, _ = model.init(jax.random.key(7))
    assert all(map(np.array_equal, *map(jax.tree.leaves, (params["modules"], start["modules"]))))
    assert together < 0.35


GATE = dl.models.linear(4, 2)


def apply(model, x=X):
    return model.apply(*model.init(jax.random.key(0)), x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dl.models.mixture_of_experts([], GATE), r"experts is \[\]; expects a sequence of 1 or more"),
        (
            lambda: dl.models.mixture_of_experts(GATE, GATE),
            "experts is .*; expects a sequence of 1 or more Models.* It holds <bound method",
        ),
        (
            lambda: dl.models.mixture_of_experts([GATE, "mlp"], GATE),
            "experts is .*; expects a sequence of 1 or more Models.* It holds 'mlp'",
        ),
        (lambda: dl.models.mixture_of_experts(linears(2), None), "gate is None; expects a Model"),
        (lambda: dl.models.mixture_of_experts(linears(2), GATE, top_k=3), "top_k is 3; expects at most the 2 experts"),
        (lambda: dl.models.mixture_of_experts(linears(2), GATE, top_k=0), "top_k is 0; expects a positive integer"),
        (
            lambda: apply(dl.models.mixture_of_experts([*linears(1), *linears(1, 2)], GATE)),
            r"mixture_of_experts: expert 1 gives float32\[32, 2\], expert 0 float32\[32, 3\]",
        ),
        (
            lambda: apply(dl.models.mixture_of_experts(linears(3), GATE)),
            r"the gate's output is float32\[32, 2\]; expects \[32, 3\], one logit for each expert",
        ),
        (lambda: apply(dl.models.routed(linears(2), lambda x: x[:, 0])), "routes are float32.32.; expects integers"),
        (
            lambda: apply(dl.models.routed(linears(2), lambda x: by_sign(x) + 1)),
            r"routes must lie in \[0, 2\), found 2 at row",
        ),
        (
            lambda: dl.models.decomposed(linears(2), combine="mean"),
            "combine is 'mean'; expects one of 'concatenate', 'sum', or a Model.",
        ),
        (lambda: apply(dl.models.decomposed(linears(3), split=halves)), "split gives 2 parts; expects 3"),
        (
            lambda: apply(dl.models.decomposed([*linears(1), *linears(1, 2)], combine="sum")),
            r"decomposed: module 1 gives float32\[32, 2\], module 0 float32\[32, 3\]; expects arrays of the same shape",
        ),
    ],
)
def test_bad_input(call, message):
    """Catches what would fail later and say less."""
    with pytest.raises(dl.DlcoreError, match=message):
        call()
