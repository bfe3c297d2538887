"""What a split holds: several inputs, no targets, weights; checked, described, and kept together row by row."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dlcore as dl

IDS = np.arange(12.0)
COLUMNS = ({"id": IDS, "image": IDS[:, None, None] + np.zeros((1, 2, 2))}, (IDS, IDS.astype(int)), IDS + 1)
X, Y = np.ones((3, 2)), np.arange(3.0)


def rows_of(split):
    """Ids of the rows, and a check that all columns hold the same."""
    ids = split.inputs["id"]
    assert split.num_rows == len(ids)
    for column in (split.inputs["image"][:, 1, 0], *split.targets, split.weights - 1):
        np.testing.assert_array_equal(column, ids)
    return ids.tolist()


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (({"a": Y, "b": np.ones(4)}, Y), "has 3 inputs and 4 of another; expects arrays of one length"),
        (({"a": Y}, np.ones(4)), "has 3 inputs and 4 targets; expects one target for each input"),
        ((tuple(X), Y), "has 2 inputs and 3 targets; .* np.stack makes one array"),
        (({}, Y), r"inputs are \{\}; a dictionary of them expects names"),
        (({1: Y}, Y), "a dictionary of them expects names"),
        (({"a": ["x"]}, Y[:1]), r"inputs\['a'\] have dtype <U1; expects numbers"),
        (({"a": np.ma.masked_equal(Y, 1.0)}, Y), r"inputs\['a'\] are not .* masked"),
        ((X, np.ma.masked_equal(Y, 1.0)), "targets are not .* masked"),
        ((X, {"mean": np.array([0, 1, np.nan])}), r"targets\['mean'\] hold nan at row 2"),
        ((X, Y, np.ma.masked_equal(Y, 1.0)), "weights are not .* masked"),
        ((X, Y, [1, 1]), "has 3 inputs and 2 weights; expects one weight for each input"),
        ((X, Y, [1, -1, 1]), "weights hold -1.0 at row 1; expects 0 or more"),
        ((X, Y, [1, np.inf, 1]), "weights hold inf at row 1"),
        ((X, Y, [0, 0, 0]), "weights sum to 0, .* at least one above 0"),
        ((X, Y, [3e38, 3e38, 0]), "weights sum to 6e\\+38"),
        ((X, Y, X), r"weights are float32\[N, 2\]; expects one array \[N\]"),
        ((X, Y, Y, Y), r"expects a pair \(inputs, targets\), or \(inputs, targets, weights\)"),
    ],
)
def test_what_is_refused(columns, text):
    """Catches columns that do not belong together, and weights that make a mean of nothing."""
    with pytest.raises(dl.DataError, match=text):
        dl.data.Dataset(columns)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (({"id": IDS}, (IDS, IDS.astype(int))), r"inputs are \{id: float32\[N\]\}, those of train"),
        ((COLUMNS[0], None), "targets are None, those of train"),
        ((COLUMNS[0], (IDS, IDS)), "targets are .*those of train"),
    ],
)
def test_splits_are_alike(test, text):
    """Catches a test split with other columns, which would fail inside the step; weights may be missing there."""
    with pytest.raises(dl.DataError, match=text):
        dl.data.Dataset(COLUMNS, test=test)
    assert dl.data.Dataset(COLUMNS, test=COLUMNS[:2]).test.weights is None


def test_rows_stay_together():
    """Catches a column that another order of the rows left behind."""
    data = dl.data.from_arrays(*COLUMNS[:2], weights=COLUMNS[2], validation=0.25, test=0.25)
    parts = [rows_of(getattr(data, split)) for split in data.splits]
    assert [len(part) for part in parts] == [6, 3, 3]
    assert sorted(itertools.chain(*parts)) == IDS.tolist()
    assert rows_of(dl.data.first(data, 4).train) == parts[0][:4]
    folds = dl.data.folds(data, 3)
    assert sorted(itertools.chain(*(rows_of(fold.validation) for fold in folds))) == sorted(parts[0] + parts[1])
    assert all(sorted(rows_of(fold.train) + rows_of(fold.validation)) == sorted(parts[0] + parts[1]) for fold in folds)
    ordered = dl.data.from_split(dl.data.Split(*COLUMNS), test=0.25)
    assert rows_of(ordered.test) == [9, 10, 11]
    pytest.importorskip("grain")
    assert len(rows_of(next(dl.data.batches(data, batch_size=5, seed=0)))) == 5


def test_description():
    """Catches a description of one array where there are several, or none."""
    data = dl.data.Dataset(COLUMNS, test=COLUMNS[:2], name="mine")
    assert repr(data).startswith(
        "Dataset mine: train 12, test 12; inputs {id: float32[N], image: float32[N, 2, 2]}, targets (float32[N], "
        "int32[N]), weights of train; from"
    )
    assert "inputs float32[N, 2], no targets; from" in repr(dl.data.Dataset((X, None)))


@pytest.mark.parametrize(
    "call",
    [
        dl.data.standardize,
        dl.data.standardizer,
        dl.data.Dataset.plot,
        lambda data: dl.data.continued(data, 2),
        lambda data: dl.data.grouped(data, 2),
        lambda data: dl.data.folds(data, 2, stratify=True),
    ],
)
def test_functions_of_one_array(call):
    """Catches a function that takes the columns for one array."""
    with pytest.raises(dl.DataError, match="expects one array"):
        call(dl.data.Dataset(COLUMNS[:2]))


def test_weights_of_groups_and_of_one_split_only():
    """Catches weights that are dropped where rows are put together."""
    labeled = dl.data.Dataset((np.ones((4, 2)), np.array([0, 0, 1, 1]), np.ones(4)))
    with pytest.raises(dl.DataError, match=r"grouped: unnamed\.train has weights"):
        dl.data.grouped(labeled, 2)
    with pytest.raises(dl.DataError, match="only one of train and validation has weights"):
        dl.data.folds(dl.data.Dataset(COLUMNS, validation=COLUMNS[:2]), 2)


def test_a_run_on_several_inputs():
    """Catches a step, an order or an evaluation of one array only, and streamed inputs beside others in memory."""
    rng = np.random.default_rng(0)
    images, ages, labels = rng.normal(size=(12, 3)), rng.normal(size=12), np.arange(12) % 2
    network = dl.models.mlp([4, 2])

    def apply(params, state, x, *, key=None, train=False):
        return network.apply(params, state, jnp.concatenate([x["image"], x["age"][:, None]], axis=1))

    def losses(model, inputs):
        task = dl.tasks.classification(model, dl.data.Dataset((inputs, labels, 1 + labels)))
        evaluate = dl.core.dataset.in_memory(task.data)
        training = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=4, num_epochs=2, evaluate=evaluate)
        return dl.run(training)

    model = dl.Model(network.init, apply)
    expected = losses(network, np.concatenate([images, ages[:, None]], axis=1))
    several = losses(model, {"image": images, "age": ages})
    streamed = losses(model, {"image": dl.data.Streamed(images), "age": ages})
    np.testing.assert_allclose(several.train_loss, expected.train_loss, rtol=1e-5)
    np.testing.assert_allclose(streamed.batch_loss, several.batch_loss, rtol=1e-6)
    assert "train_loss" not in streamed


def test_balanced_weights():
    """Catches classes that count by their rows, by their numbers, or with another mean than 1."""
    labels = np.array([7, 0, 7, 7, 2, 7])
    weights = dl.data.balanced_weights(labels)
    np.testing.assert_allclose([weights[labels == each].sum() for each in (0, 2, 7)], 2)
    for wrong, text in (([], "no labels|integer labels"), ([0.5], "integer labels"), ([[1]], "integer labels")):
        with pytest.raises(dl.DataError, match=text):
            dl.data.balanced_weights(wrong)
    with pytest.raises(dl.ArgumentError, match="traced"):
        jax.jit(dl.data.balanced_weights)(labels)


def test_each_class_has_a_name():
    """Catches names that are too few in one of the splits; marks of no class need none."""
    marked = np.array([0, -1, 1])
    assert dl.data.Dataset((X, marked), target_names=("a", "b")).target_names == ("a", "b")
    assert dl.data.Dataset((X, Y), target_names=("price",)).target_names == ("price",)
    for splits in ({"train": (X, marked + 1)}, {"train": (X, marked), "test": (X, marked + 1)}):
        with pytest.raises(dl.DataError, match=r"holds label 2; expects labels below 2, the number of target_names"):
            dl.data.Dataset(**splits, target_names=("a", "b"))
