"""A training run: its steps against NumPy, resuming, what it records, and its final parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl
from dlcore.core.order import batch_rows
from dlcore.core.update import ORDER

RATE, MOMENTUM = 0.05, 0.9


def fit_line(seed=0, **settings):
    """Least squares from zero by SGD with momentum."""
    settings = {"batch_size": 6, "num_epochs": 3, **settings}
    return dl.training(jax.random.key(seed), small.REGRESSION, optax.sgd(RATE, momentum=MOMENTUM), **settings)


def numpy_descent(batches):
    """Losses before each step and weights after the last, in float64, of the line fitted on these rows."""
    inputs, targets = (np.asarray(part, np.float64) for part in small.noisy_line().train[:2])
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    weights, velocity, losses = np.zeros(4), np.zeros(4), []
    for rows in batches:
        errors = inputs[rows] @ weights - targets[rows]
        losses.append(np.mean(errors**2))
        velocity = MOMENTUM * velocity + 2 * inputs[rows].T @ errors / len(rows)
        weights = weights - RATE * velocity
    return np.array(losses), weights


def rows_of(num_steps, batch_size, order="reshuffle", seed=0):
    """The batches of a run, one step at a time."""
    key = jax.random.fold_in(jax.random.key(seed), ORDER)
    draw = jax.jit(lambda step: batch_rows(key, step, 1, 24, batch_size, order)[0])
    return [np.asarray(draw(step)) for step in range(num_steps)]


def weights_of(results):
    """[weights, bias] at the end of a run of the line."""
    params, _ = dl.final_params(results, small.REGRESSION.model)
    return np.append(np.asarray(params["layers"][0]["kernel"])[:, 0], params["layers"][0]["bias"])


def mse(weights, split):
    """Mean squared error of the line."""
    return np.mean((split.inputs @ weights[:3] + weights[3] - split.targets) ** 2)


@pytest.mark.parametrize(
    ("settings", "batches", "interval"),
    [
        ({"sampling": "with_replacement", "num_epochs": 3}, lambda: rows_of(12, 6, "with_replacement"), 4),
        ({"num_steps": 9, "batch_size": 5, "num_epochs": None, "record_every": 3}, lambda: rows_of(9, 5), 3),
        ({"batch_size": "full", "num_epochs": 4}, lambda: [np.arange(24)] * 4, 1),
    ],
    ids=["with_replacement", "intervals_across_epochs", "full"],
)
def test_steps_equal_numpy(settings, batches, interval):
    """Catches another order of momentum and step, a sum for a mean, rows of another step, a loss after the update."""
    results = dl.run(fit_line(**settings), final_params=True)
    losses, weights = numpy_descent(batches())
    np.testing.assert_allclose(results.batch_loss[1:], losses.reshape(-1, interval).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(weights_of(results), weights, rtol=1e-4, atol=1e-5)
    for split in ("train", "test"):
        recorded = results[f"{split}_loss"].values
        assert recorded[0] == pytest.approx(mse(np.zeros(4), getattr(small.REGRESSION.data, split)), rel=1e-4)
        assert recorded[-1] == pytest.approx(mse(weights, getattr(small.REGRESSION.data, split)), rel=1e-3)


def test_full_batch_equals_one_batch_of_all_rows():
    """Catches a full batch that is sampled, or whose loss is scaled differently."""
    _, in_order = numpy_descent([np.arange(24)] * 4)
    results = dl.run(fit_line(batch_size=24, num_epochs=4), final_params=True)
    np.testing.assert_allclose(weights_of(results), in_order, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "steps", "per_epoch", "size"),
    [
        ({"num_epochs": 3}, [0, 4, 8, 12], 4, 6),
        ({"num_steps": 12, "num_epochs": None}, [0, 4, 8, 12], 4, 6),
        ({"num_steps": 12, "num_epochs": None, "record_every": 6}, [0, 6, 12], 4, 6),
        ({"num_epochs": 2, "batch_size": 5, "record_every": 2}, [0, 2, 4, 6, 8], 4, 5),
        ({"num_epochs": 3, "batch_size": "full"}, [0, 1, 2, 3], 1, 24),
        ({"num_epochs": 1, "batch_size": 24}, [0, 1], 1, 24),
        ({"num_epochs": 1, "batch_size": 1}, [0, 24], 24, 1),
    ],
)
def test_coordinates(settings, steps, per_epoch, size):
    """Catches steps counted from one, epochs of the remainder, examples counted in epochs."""
    described = fit_line(**settings)
    assert described.num_records == len(steps) - 1
    np.testing.assert_array_equal(described.coordinates["step"], steps)
    np.testing.assert_allclose(described.coordinates["epoch"], np.array(steps) / per_epoch)
    np.testing.assert_array_equal(described.coordinates["examples"], np.array(steps) * size)


def test_num_steps_and_num_epochs_describe_the_same_run():
    """Catches a length that changes more than the length."""
    a, b = dl.run(fit_line(num_epochs=2)), dl.run(fit_line(num_epochs=None, num_steps=8))
    assert a.equals(b)


def test_evaluate_chooses_the_splits():
    """Catches splits evaluated (and paid for) though not asked for, and names of records that change."""

    def records(**settings):
        described = fit_line(**settings)
        return set(jax.eval_shape(lambda: described.advance(described.init()))[1])

    always, train = {"batch_loss", "finite"}, {"train_loss", "train_r2"}
    assert records() == always | train | {"test_loss", "test_r2"}
    assert records(evaluate=("train",)) == always | train
    assert records(evaluate=()) == always


@pytest.fixture(scope="module")
def stepwise():
    """A described run of the small network, its jitted `advance`, and the states of five advances, on the host."""
    described = small.fit(seed=7, num_epochs=5)
    advance = jax.jit(described.advance)
    states, records = [jax.device_get(described.init())], []
    for _ in range(5):
        state, record = advance(states[-1])
        states.append(jax.device_get(state))
        records.append(jax.device_get(record))
    return described, advance, states, records


def trees_equal(a, b):
    """Whether all leaves have the same bits."""
    return all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_a_resumed_run_equals_the_uninterrupted_one(stepwise):
    """Catches randomness or counters kept outside of the state."""
    _, _, states, records = stepwise
    fresh = jax.jit(small.fit(seed=7, num_epochs=5).advance)
    for begin in (3, 1):
        state = states[begin]
        for i in range(begin, 5):
            state, record = fresh(state)
            assert trees_equal(record, records[i])
        assert trees_equal(state, states[-1])


def test_state_keeps_its_types_and_counts_steps(stepwise):
    """Catches weak types and drifting dtypes, which recompile each segment, and a counter of records."""
    described, _, states, _ = stepwise
    initial, after = jax.eval_shape(described.init), jax.eval_shape(lambda: described.advance(described.init())[0])
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), initial) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), after
    )
    assert [int(state.step) for state in states] == [0, 4, 8, 12, 16, 20]


def test_advance_moves_each_parameter(stepwise):
    """Catches a part of the model that gets no gradient."""
    _, _, states, _ = stepwise
    for before, after in zip(jax.tree.leaves(states[0].params), jax.tree.leaves(states[-1].params), strict=True):
        assert (before != after).any()


@pytest.mark.parametrize("position", [0, 5])
def test_measure_equals_metrics_by_hand(stepwise, position):
    """Catches metrics of another split, of a batch only, or in training mode."""
    described, _, states, records = stepwise
    measured = jax.device_get(described.measure(states[position]))
    layers = states[position].params["layers"]
    for split in ("train", "test"):
        inputs, labels = getattr(small.CLASSIFICATION.data, split)
        hidden = np.maximum(inputs @ layers[0]["kernel"] + layers[0]["bias"], 0)
        logits = np.float64(hidden @ layers[1]["kernel"] + layers[1]["bias"])
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss = -log_probabilities[np.arange(len(labels)), labels].mean()
        assert measured[f"{split}_loss"] == pytest.approx(loss, rel=1e-4)
        assert measured[f"{split}_accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert measured["finite"]
    if position:
        for name, value in measured.items():
            assert records[-1][name] == pytest.approx(value, rel=1e-5)


def test_finite_sees_each_parameter(stepwise):
    """Catches a check of the loss only, or of the first array only."""
    described, _, states, _ = stepwise
    leaves, structure = jax.tree.flatten(states[0].params)
    for i in range(len(leaves)):
        for value in (np.nan, np.inf):
            broken = [leaf.copy() for leaf in leaves]
            broken[i].flat[-1] = value
            state = states[0]._replace(params=jax.tree.unflatten(structure, broken))
            assert not described.measure(state)["finite"]


def test_init_depends_on_the_key_only():
    """Catches an initialization that changes with the length, the batch size or the optimizer."""
    reference = small.fit(seed=1).init().params
    task, adam = small.CLASSIFICATION, optax.adam(0.1)
    other = dl.training(jax.random.key(1), task, adam, batch_size=3, num_steps=8).init().params
    assert trees_equal(reference, other)
    assert not trees_equal(reference, small.fit(seed=2).init().params)


@pytest.fixture(scope="module")
def longer():
    """The same cells, for 3 and for 5 epochs."""
    seeds = np.arange(3)
    return [dl.sweep(small.fit, seed=seeds, num_epochs=[n], final_params=True).isel(num_epochs=0) for n in (3, 5)]


def beginning_equals(short, long):
    """Whether the records of `short` are the first ones of `long`, bit for bit."""
    names = [name for name in short.data_vars if "step" in short[name].dims]
    assert {"train_loss", "test_accuracy", "batch_loss"} <= set(names)
    start = long.isel(step=slice(short.sizes["step"]))
    return all(short[name].values.tobytes() == start[name].values.tobytes() for name in names)


def test_a_longer_study_begins_with_the_shorter_one(longer):
    """Catches a data order or a program that depends on the length."""
    assert longer[0].sizes["step"] == 4
    assert longer[1].sizes["step"] == 6
    assert beginning_equals(*longer)


def test_a_longer_run_begins_with_the_shorter_one():
    """Catches the same for a single run, whose program is another one."""
    assert beginning_equals(*[dl.run(small.fit(seed=0, num_epochs=n)) for n in (2, 4)])


def loss_by_hand(params, split):
    """Cross-entropy of the small network on a split."""
    output, _ = small.MODEL.apply(params, {}, split.inputs)
    return float(dl.losses.softmax_cross_entropy(output, jnp.asarray(split.targets)).mean())


def test_final_params_of_each_cell(longer):
    """Catches parameters of another cell, of the first step, or leaves in another order."""
    for results in longer:
        seen = set()
        for seed in range(3):
            params, state = dl.final_params(results, small.MODEL, seed=seed)
            assert state == {}
            recorded = float(results.test_loss.sel(seed=seed).isel(step=-1))
            assert loss_by_hand(params, small.CLASSIFICATION.data.test) == pytest.approx(recorded, rel=1e-5)
            seen.add(recorded)
        assert len(seen) == 3


def test_final_params_survive_the_disk(longer, tmp_path):
    """Catches dtypes or names that do not come back."""
    dl.save(longer[0], tmp_path / "runs.zarr")
    loaded = dl.load(tmp_path / "runs.zarr")
    for seed in range(3):
        there = dl.final_params(longer[0], small.MODEL, seed=seed)
        back = dl.final_params(loaded, small.MODEL, seed=seed)
        assert jax.tree.structure(there) == jax.tree.structure(back)
        assert trees_equal(there, back)


def test_final_params_of_a_run(stepwise, tmp_path):
    """Catches a run that keeps its initial parameters; its numbers are those of `advance` up to rounding."""
    _, _, states, _ = stepwise
    results = dl.run(small.fit(seed=7, num_epochs=5), final_params=True)
    dl.save(results, tmp_path / "run")
    for source in (results, dl.load(tmp_path / "run")):
        params, _ = dl.final_params(source, small.MODEL)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), params, states[-1].params)


def test_final_params_say_what_is_missing(longer):
    """Catches a KeyError, and a silent choice of one cell out of many."""
    with pytest.raises(dl.ArgumentError, match=r"Choose one run: seed=\.\.\."):
        dl.final_params(longer[0], small.MODEL)
    with pytest.raises(dl.ArgumentError, match=r"'width' is no dimension of these results; they have .*seed"):
        dl.final_params(longer[0], small.MODEL, width=3)
    with pytest.raises(dl.ArgumentError, match="Pass the model that was trained"):
        dl.final_params(longer[0], dl.models.mlp([4, 6, 3]), seed=0)
    without = longer[0].drop_vars([name for name in longer[0].data_vars if str(name).startswith("params")])
    with pytest.raises(dl.ArgumentError, match="Run with final_params=True"):
        dl.final_params(without, small.MODEL, seed=0)


def test_model_state_and_noise_go_through_a_study():
    """Catches running means that are dropped between steps, and dropout that draws the same at each step."""
    model = dl.from_nnx(small.NormalizedNNX)
    task = dl.tasks.classification(model, small.labeled_points())

    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.0), batch_size="full", num_epochs=3)

    results = dl.sweep(fit, seed=np.arange(2), final_params=True)
    params, state = dl.final_params(results, model, seed=1)
    hidden = small.labeled_points().train.inputs @ np.asarray(params["first"]["kernel"])
    expected = (1 - 0.9**3) * hidden.mean(axis=0)
    np.testing.assert_allclose(state["norm"]["mean"], expected, rtol=1e-4, atol=1e-6)
    batch_losses = results.batch_loss.isel(step=slice(1, None)).values
    assert len(np.unique(batch_losses)) == batch_losses.size


LOSSES = {
    "softmax_cross_entropy": (
        dl.losses.softmax_cross_entropy,
        lambda x, y: np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(x)), y],
        (5, 3),
        np.array([0, 2, 1, 2, 0]),
    ),
    "binary_cross_entropy": (
        dl.losses.binary_cross_entropy,
        lambda x, y: np.log1p(np.exp(x)) - x * y,
        (5,),
        np.array([0, 1, 1, 0, 1]),
    ),
    "squared_error": (dl.losses.squared_error, lambda x, y: (x - y) ** 2, (5,), np.linspace(-1, 1, 5)),
    "squared_error_of_columns": (
        dl.losses.squared_error,
        lambda x, y: ((x - y) ** 2).mean(axis=1),
        (5, 2),
        np.linspace(-1, 1, 10).reshape(5, 2),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(name):
    """Catches a wrong value, sign or scale, and a mean over the batch: against float64 and its central differences."""
    loss, formula, shape, targets = LOSSES[name]
    outputs = np.random.default_rng(3).normal(scale=2, size=shape)
    values = loss(jnp.asarray(outputs, jnp.float32), jnp.asarray(targets))
    assert values.shape == (5,)
    np.testing.assert_allclose(values, formula(outputs, targets), rtol=1e-5, atol=1e-6)
    differences = np.zeros(shape)
    for index in np.ndindex(shape):
        shift = np.zeros(shape)
        shift[index] = 1e-5
        differences[index] = (formula(outputs + shift, targets) - formula(outputs - shift, targets)).sum() / 2e-5
    gradient = jax.grad(lambda x: loss(x, jnp.asarray(targets)).sum())(jnp.asarray(outputs, jnp.float32))
    np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_stay_finite_far_out(name):
    """Catches an exponential that overflows."""
    loss, _, shape, targets = LOSSES[name]
    for scale in (-1e4, 0.0, 1e4):
        outputs = jnp.full(shape, scale, jnp.float32)
        value, gradient = jax.value_and_grad(lambda x: loss(x, jnp.asarray(targets)).sum())(outputs)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_gradient_of_the_objective_equals_finite_differences():
    """Catches a stopped gradient between loss, penalty and model."""
    task = dl.tasks.classification(dl.models.mlp([4, 5, 3], "tanh"), small.labeled_points(), penalty=dl.tasks.l2(0.1))
    params, state = task.model.init(jax.random.key(0))
    objective = jax.jit(lambda params: task.objective(params, state, task.data.train)[0])
    gradient = jax.grad(objective)(params)
    rng = np.random.default_rng(4)
    for _ in range(3):
        direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), params)
        ahead, behind = (
            objective(jax.tree.map(lambda p, d, step=step: p + step * d, params, direction)) for step in (1e-2, -1e-2)
        )
        expected = sum(jax.tree.leaves(jax.tree.map(lambda g, d: float((g * d).sum()), gradient, direction)))
        assert (ahead - behind) / 2e-2 == pytest.approx(expected, rel=1e-2, abs=1e-3)
