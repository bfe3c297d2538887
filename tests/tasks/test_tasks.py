"""Tasks: the objective and its metrics against NumPy, and how outputs meet targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

import dlcore as dl


def by_output(output):
    """A model without parameters that returns this whatever comes in; only its rows are followed."""
    return dl.Model(lambda key: ({}, {}), lambda params, state, x, **_: (jnp.asarray(output)[: len(x)], state))


def evaluate(task, params=None):
    """(loss, metrics) on the train split."""
    value, (metrics, _) = task.objective(params or {}, {}, task.data.train)
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def test_classification_by_hand():
    """Catches a sum for a mean, probabilities for logits, and accuracy of another class axis."""
    logits = np.float32([[2, 0, -1], [0, 1, 0], [0, 0, 3], [1, 0, 0]])
    labels = np.array([0, 2, 2, 0])
    task = dl.tasks.classification(by_output(logits), dl.data.Dataset((np.zeros((4, 2), np.float32), labels)))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss, metrics = evaluate(task)
    assert loss == pytest.approx(-np.log(probabilities[np.arange(4), labels]).mean(), rel=1e-5)
    assert metrics == {"accuracy": 0.75}


def test_two_classes_by_one_logit():
    """Catches [B, 1] against [B], which broadcasts to [B, B], and the classes taken the wrong way round."""
    logits, labels = np.float32([[2], [-1], [0.5], [-3]]), np.array([1, 0, 0, 0])
    task = dl.tasks.classification(by_output(logits), dl.data.Dataset((np.zeros((4, 2), np.float32), labels)))
    p = 1 / (1 + np.exp(-logits[:, 0]))
    loss, metrics = evaluate(task)
    assert loss == pytest.approx(-np.mean(np.where(labels == 1, np.log(p), np.log(1 - p))), rel=1e-5)
    assert metrics == {"accuracy": 0.75}


@pytest.mark.parametrize("shape", [(6, 1), (6, 2), (6, 2, 3)])
def test_regression_by_hand(shape):
    """Catches half of the squared error, errors summed over columns, and r2 around one mean for all columns."""
    rng = np.random.default_rng(0)
    output, targets = rng.normal(size=shape).astype(np.float32), rng.normal(2, 3, size=shape).astype(np.float32)
    task = dl.tasks.regression(by_output(output), dl.data.Dataset((np.zeros((6, 2), np.float32), targets)))
    loss, metrics = evaluate(task)
    assert loss == pytest.approx(np.mean((output - targets) ** 2), rel=1e-5)
    expected = 1 - ((output - targets) ** 2).sum() / ((targets - targets.mean(axis=0)) ** 2).sum()
    assert metrics["r2"] == pytest.approx(expected, rel=1e-4)


def test_flat_targets_meet_a_column():
    """Catches a difference of [B, 1] and [B], which is [B, B]."""
    output, targets = np.float32([[1], [2], [4]]), np.float32([1, 3, 2])
    task = dl.tasks.regression(by_output(output), dl.data.Dataset((np.zeros((3, 2), np.float32), targets)))
    loss, metrics = evaluate(task)
    assert loss == pytest.approx(5 / 3)
    assert metrics["r2"] == pytest.approx(1 - 5 / 2)


def test_penalty_is_part_of_the_loss():
    """Catches a penalty in training only, of the square root, without its half, or without the biases."""
    params, state = small.MODEL.init(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    plain = dl.tasks.classification(small.MODEL, small.labeled_points())
    penalized = dl.tasks.classification(small.MODEL, small.labeled_points(), penalty=dl.tasks.l2(0.3))
    norm = sum(float((np.asarray(leaf, np.float64) ** 2).sum()) for leaf in jax.tree.leaves(params))
    for train in (False, True):
        losses = [float(task.objective(params, state, task.data.train, train=train)[0]) for task in (plain, penalized)]
        assert losses[1] - losses[0] == pytest.approx(0.15 * norm, rel=1e-4)


def test_further_metrics():
    """Catches metrics that replace the built-in ones or get the arguments swapped."""
    logits, labels = np.float32([[2, 0], [0, 1]]), np.array([0, 0])
    task = dl.tasks.classification(
        by_output(logits),
        dl.data.Dataset((np.zeros((2, 2), np.float32), labels)),
        metrics={"first_logit": lambda output, targets: output[:, 0].mean() + 100 * targets.sum()},
    )
    assert evaluate(task)[1] == {"accuracy": 0.5, "first_logit": 1.0}


def test_the_objective_passes_on_state_key_and_mode():
    """Catches noise without its key, and evaluation in training mode."""
    seen = []

    def apply(params, state, x, *, key=None, train=False):
        seen.append((key, train))
        return x[:, :3], {"count": state["count"] + 1}

    model = dl.Model(lambda key: ({}, {"count": jnp.zeros(())}), apply)
    task = dl.tasks.classification(model, small.labeled_points())
    seen.clear()
    key = jax.random.key(0)
    _, (_, state) = task.objective({}, {"count": jnp.ones(())}, task.data.train, key=key, train=True)
    task.objective({}, state, task.data.train)
    assert seen == [(key, True), (None, False)]
    assert state["count"] == 2


def test_datasets_check_and_convert():
    """Catches float64 that stays, integers that become floats, and rows lost or repeated by a split."""
    inputs, labels = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    data = dl.data.from_arrays(inputs, labels, validation=0.2, test=0.3, seed=3, stratify=True, name="twenty")
    assert data.splits == ("train", "validation", "test")
    assert [len(getattr(data, split).inputs) for split in data.splits] == [10, 4, 6]
    assert data.train.inputs.dtype == np.float32
    assert data.train.targets.dtype == np.int32
    rows = np.concatenate([getattr(data, split).inputs for split in data.splits])
    np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], inputs)
    for split in data.splits:
        part = getattr(data, split)
        assert part.targets.mean() == 0.5
        np.testing.assert_array_equal(part.targets, part.inputs[:, 0] // 2 % 2)
    again = dl.data.from_arrays(inputs, labels, validation=0.2, test=0.3, seed=3, stratify=True)
    np.testing.assert_array_equal(again.test.inputs, data.test.inputs)
    other = dl.data.from_arrays(inputs, labels, validation=0.2, test=0.3, seed=4, stratify=True)
    assert not np.array_equal(other.test.inputs, data.test.inputs)
    assert repr(data).startswith(
        "Dataset twenty: train 10, validation 4, test 6; inputs float32[N, 2], targets int32[N]"
    )


def test_standardize_learns_from_the_train_split_only():
    """Catches statistics that leak from the test split, and a division by zero."""
    rng = np.random.default_rng(0)
    train, test = rng.normal(5, 3, (50, 2)), rng.normal(9, 1, (20, 2))
    train[:, 1] = test[:, 1] = 7
    data = dl.data.Dataset((train, train[:, :1]), test=(test, test[:, :1]))
    scaled = dl.data.standardize(data, targets=True)
    np.testing.assert_allclose(scaled.train.inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.train.inputs.std(axis=0), [1, 0], atol=1e-6)
    expected = (test[:, 0] - train[:, 0].mean()) / train[:, 0].std()
    np.testing.assert_allclose(scaled.test.inputs[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(scaled.test.targets[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(dl.data.standardize(data).train.targets, data.train.targets)


BUILT_IN = {
    "digits": (dl.data.digits, 1797, (64,), 10),
    "iris": (dl.data.iris, 150, (4,), 3),
    "wine": (dl.data.wine, 178, (13,), 3),
    "breast_cancer": (dl.data.breast_cancer, 569, (30,), 2),
    "diabetes": (dl.data.diabetes, 442, (10,), None),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_data(name):
    """Catches rows lost, classes out of range, scales off, and a name or source that is missing."""
    make, rows, shape, num_classes = BUILT_IN[name]
    data = make()
    assert sum(len(getattr(data, split).inputs) for split in data.splits) == rows
    assert data.train.inputs.shape[1:] == shape
    assert data.name == name
    assert "scikit-learn" in data.source
    if num_classes:
        assert set(data.train.targets) == set(data.test.targets) == set(range(num_classes))
        assert len(data.target_names) == num_classes
    else:
        assert data.train.targets.std() == pytest.approx(1, abs=1e-4)
    if name == "digits":
        assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 1)
    else:
        np.testing.assert_allclose(data.train.inputs.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(data.train.inputs.std(axis=0), 1, atol=1e-4)
