"""Tasks of data with weights, without targets, with several inputs; losses of one's own choice."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype(np.float32)
Y = RNG.normal(size=6).astype(np.float32)
LABELS = np.array([0, 1, 2, 1, 0, 2])
WEIGHTS = np.float32([1, 2, 0, 0.5, 3, 1])
SAME = dl.Model(lambda key: ({}, {}), lambda params, state, x, **_: (x, state))  # its output is its input
TOKENS = np.array([[4, 5, 0], [5, 4, 4]])
POINTS = RNG.normal(size=(2, 4, 2)).astype(np.float32)


def objective(task, batch=None, params=None):
    """(loss, metrics) of a batch; by default the train split."""
    value, (metrics, _) = task.objective(params or {}, {}, batch or task.data.train)
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def cross_entropy(logits, labels):
    """Minus the log probability of the labels, by NumPy."""
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


def test_the_loss_is_a_weighted_mean():
    """Catches a division by the number of rows, and weights that reach the metrics."""
    weighted = dl.tasks.classification(SAME, dl.data.Dataset((X, LABELS, WEIGHTS)))
    plain = dl.tasks.classification(SAME, dl.data.Dataset((X, LABELS)))
    (loss, metrics), (_, expected) = objective(weighted), objective(plain)
    assert loss == pytest.approx(np.average(cross_entropy(X, LABELS), weights=WEIGHTS), rel=1e-5)
    assert metrics == expected
    first = weighted.data.train.select(slice(2))
    assert objective(weighted, first)[0] == pytest.approx(
        np.average(cross_entropy(X[:2], LABELS[:2]), weights=WEIGHTS[:2]), rel=1e-5
    )


def test_weights_that_are_all_zero_in_a_batch():
    """Catches 0 / 0, in the loss and in its gradient, and a penalty that vanishes with the examples."""
    model = dl.models.linear(3)
    task = dl.tasks.regression(model, dl.data.Dataset((X, Y, WEIGHTS)), penalty=dl.tasks.l2(1.0))
    params, state = model.init(jax.random.key(0))
    params = jax.tree.map(jnp.ones_like, params)
    nothing = task.data.train.select(slice(2, 3))
    value, gradient = jax.value_and_grad(lambda params: task.objective(params, state, nothing)[0])(params)
    assert float(value) == pytest.approx(2.0)  # half the squared norm of 3 weights and a bias
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(gradient))


def test_what_must_not_count_may_be_anything():
    """Catches 0 times infinity."""
    values = jnp.array([1.0, jnp.inf, 3.0])
    assert float(dl.core.task.weighted_mean(values, jnp.array([1.0, 0.0, 1.0]))) == 2.0


@pytest.mark.parametrize("name", ["translation", "strokes"])
def test_weights_of_sequences(name):
    """Catches a task that ignores weights: one that is 0 leaves the loss of the other row."""
    if name == "translation":
        columns, make = (TOKENS, dl.data.framed(TOKENS)), dl.tasks.translation
        model = dl.models.sequence_to_sequence(6, 6, num_units=4)
    else:
        columns, make = (POINTS, None), dl.tasks.strokes
        model = dl.models.mixture_density(1, num_units=4)
    params, state = jax.jit(model.init)(jax.random.key(0))
    both, second = (
        make(model, dl.data.Dataset(split))
        for split in ((*columns, [0, 1]), dl.data.Split(*columns).select(slice(1, 2)))
    )
    losses = [float(jax.jit(task.objective)(params, state, task.data.train)[0]) for task in (both, second)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda data: dl.tasks.embedding(SAME, data, dl.losses.triplet),
        lambda data: dl.tasks.reconstruction(SAME, data),
        lambda data: dl.tasks.variational(dl.models.autoencoder([3, 2], variational=True), data),
    ],
    ids=["embedding", "reconstruction", "variational"],
)
def test_tasks_that_do_not_weigh_say_so(make):
    """Catches weights that nobody looks at, also those of the test split only."""
    with pytest.raises(dl.DataError, match="has weights, which are not used here"):
        make(dl.data.Dataset((X, LABELS), test=(X, LABELS, WEIGHTS)))


def test_a_mean_cannot_be_weighed():
    """Catches a loss that is a mean already, of which the weights would be lost."""
    task = dl.tasks.supervised(SAME, dl.data.Dataset((X, X, WEIGHTS)), lambda output, targets: jnp.mean(output))
    with pytest.raises(dl.DataError, match=r"is float32\[\]; expects \[6\], one number for each example"):
        objective(task)


@pytest.mark.parametrize("targets", [{"a": Y, "b": Y}, (Y, Y)], ids=["dictionary", "tuple"])
def test_losses_of_several_targets(targets):
    """Catches a check of the first axis of one array: [B, 1] against [B] is refused here too."""
    first = next(iter(targets)) if isinstance(targets, dict) else 0
    data = dl.data.Dataset((X, targets))
    right = dl.tasks.supervised(SAME, data, lambda output, targets: (output[:, 0] - targets[first]) ** 2)
    assert objective(right)[0] == pytest.approx(np.mean((X[:, 0] - Y) ** 2), rel=1e-5)
    wrong = dl.tasks.supervised(SAME, data, lambda output, targets: (output[:, :1] - targets[first][None]) ** 2)
    with pytest.raises(dl.DataError, match=r"is float32\[6, 6\]; expects \[6\], one number for each"):
        objective(wrong)


def test_without_targets_the_inputs_take_their_place():
    """Catches a loss and a metric that get None."""
    task = dl.tasks.supervised(
        SAME,
        dl.data.from_arrays(X, None, test=0.5),
        lambda output, inputs: jnp.sum(output - inputs, axis=1) + 1.0,
        metrics={"mean": lambda output, inputs: jnp.mean(inputs)},
    )
    loss, metrics = objective(task)
    assert loss == 1.0
    assert metrics["mean"] == pytest.approx(task.data.train.inputs.mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["classification", "regression", "multi_label", "token_prediction", "detection",
                                  "embedding", "translation"])  # fmt: skip
@pytest.mark.parametrize(("targets", "text"), [(None, "has no targets"), ({"a": Y, "b": Y}, r"are \{a: float32\[N\]")])
def test_tasks_of_one_target(name, targets, text):
    """Catches an attribute of None where a data set lacks what a task needs."""
    more = (dl.losses.triplet,) if name == "embedding" else ()
    with pytest.raises(dl.DataError, match=rf"{name}: .*{text}.*expects one array"):
        getattr(dl.tasks, name)(SAME, dl.data.Dataset((X, targets)), *more)


CHOSEN = {
    "smoothed": (dl.tasks.classification, LABELS, dl.losses.weighted_cross_entropy, {"label_smoothing": 0.2}),
    "classes": (dl.tasks.classification, LABELS, dl.losses.weighted_cross_entropy, {"class_weights": [1.0, 2.0, 4.0]}),
    "focal": (dl.tasks.classification, LABELS, dl.losses.multiclass_focal, {"gamma": 1.0}),
    "huber": (dl.tasks.regression, X[::-1], dl.losses.huber, {"delta": 0.3}),
    "labels": (dl.tasks.multi_label, (X > 0).astype(int), dl.losses.focal, {"gamma": 1.0}),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_loss_of_ones_choice(name):
    """Catches a task that keeps its own loss, and an option that cannot be traced, as that of a sweep is."""
    make, targets, loss, options = CHOSEN[name]
    data = dl.data.Dataset((X, targets, WEIGHTS))

    def value(options):
        task = make(SAME, data, loss=functools.partial(loss, **options))
        return task.objective({}, {}, data.train)[0]

    expected = np.average(loss(X, targets, **options), weights=WEIGHTS)
    traced = jax.jit(value)({option: jnp.asarray(chosen) for option, chosen in options.items()})
    assert float(traced) == pytest.approx(expected, rel=1e-5)
    assert abs(objective(make(SAME, data))[0] - expected) > 1e-3
    with pytest.raises(dl.DataError, match=r"is float32\[6, 3\]; expects \[6\]"):
        objective(make(SAME, data, loss=lambda output, targets: output))


def test_a_loss_of_one_logit():
    """Catches logits [B, 1] that reach a loss of [B]."""
    flags = LABELS % 2
    narrow = SAME._replace(apply=lambda params, state, x, **_: (x[:, :1], state))
    task = dl.tasks.classification(narrow, dl.data.Dataset((X, flags)), loss=dl.losses.focal)
    assert objective(task)[0] == pytest.approx(float(dl.losses.focal(X[:, 0], flags).mean()), rel=1e-5)


def test_a_model_of_one_input():
    """Catches a dictionary that reaches a network of one array, which fails with an attribute it lacks."""
    data = dl.data.Dataset(({"a": X, "b": Y}, LABELS))
    with pytest.raises(dl.DataError, match=r"mlp: inputs are .*; expects one array of numbers"):
        dl.tasks.classification(dl.models.mlp([4, 3]), data)
