"""Embedding networks keep the contract, their losses agree with PyTorch, and unseen faces are told apart."""

import functools

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from data_support import needs_shared_data, private_cache  # noqa: F401
from model_contract import Case, ModelContract
from sklearn.metrics import roc_auc_score
from small import labeled_points

import dlcore as dl
from dlcore.nn.embeddings import Angles, Gaussian, angles, unit_vectors

GOLDEN = golden_values.load("families")
POINTS = labeled_points(32)
X, LABELS = POINTS.train
BACKBONE = dl.models.mlp([4, 32, 8], "tanh")
CLASSES = dl.models.embedding(BACKBONE, 8, num_classes=3)


def gaussians(backbone=BACKBONE, head=None):
    return dl.models.probabilistic_embedding(backbone, head or dl.models.linear(8, 8, initializer="lecun_normal"), 8)


def case(model, loss, **options):
    return Case(lambda: dl.tasks.embedding(model, POINTS, loss), **options)


class TestEmbedding(ModelContract):
    """One case for each kind of loss; `cosface` is `arcface` with another margin."""

    CASES = {
        "triplet": case(
            dl.models.embedding(BACKBONE, 8), functools.partial(dl.losses.triplet, mining="all"), num_steps=400
        ),
        "arcface": case(CLASSES, functools.partial(dl.losses.arcface, scale=16.0), num_steps=200),
        "sphereface": case(
            CLASSES, functools.partial(dl.losses.sphereface, margin=2), learning_rate=0.03, num_steps=200, heavy=True
        ),
        # The density of a point grows without bound as the Gaussians shrink: only the way down can be asked for.
        "mutual_likelihood": case(gaussians(), dl.losses.mutual_likelihood, remaining=0.5, lowest=-10.0, num_steps=100),
    }


@pytest.mark.parametrize("mining", ["semi_hard", "hard", "all"])
def test_triplet_agrees_with_pytorch(mining):
    """Catches other triplets than brute force finds, distances for their squares, another mean."""
    values = GOLDEN["triplet"]
    loss = functools.partial(dl.losses.triplet, labels=jnp.asarray(values["labels"]), mining=mining)
    got = jax.jit(jax.value_and_grad(loss))(values["embeddings"])
    golden_values.assert_matches(got, (values[mining], values[f"{mining}_gradient"]))


@pytest.mark.parametrize("name", ["arcface", "cosface", "sphereface_1", "sphereface_2", "sphereface_3", "sphereface_4"])
def test_margins_agree_with_pytorch(name):
    """Catches a margin on all classes, of the wrong sign or branch, weights or features not of length 1."""
    values = GOLDEN["margin"]
    kind, _, multiple = name.partition("_")
    options = {"margin": int(multiple), "annealing": 0.5} if multiple else {"scale": 8.0}

    def loss(features, weights):
        found = angles(features, weights)
        return jnp.mean(getattr(dl.losses, kind)(found, jnp.asarray(values["labels"]), **options))

    got = jax.value_and_grad(loss, argnums=(0, 1))(values["features"], values["weights"])
    golden_values.assert_matches(got, (values[name], (values[f"{name}_features"], values[f"{name}_weights"])))


def test_mutual_likelihood_agrees_with_pytorch():
    """Catches deviations for variances, a lost constant, pairs of an example with itself."""
    values = GOLDEN["likelihood"]
    pair = Gaussian(values["mean"], values["log_variance"])
    golden_values.assert_matches(dl.losses.mutual_likelihood_scores(pair, pair), values["scores"])
    got = jax.value_and_grad(dl.losses.mutual_likelihood)(pair, values["labels"])
    gradient = Gaussian(values["mean_gradient"], values["log_variance_gradient"])
    golden_values.assert_matches(got, (values["loss"], gradient))


@pytest.mark.parametrize("loss", [dl.losses.arcface, dl.losses.cosface, dl.losses.sphereface])
def test_margins_are_safe_at_the_ends(loss):
    """Catches the derivative of arccos or of a square root at a cosine of 1 or -1, and of a norm at 0."""
    weights = jnp.eye(3)
    features = jnp.concatenate([2 * weights, -weights, jnp.zeros((1, 3))])
    labels = jnp.asarray([0, 1, 2, 0, 1, 2, 0])
    gradient = jax.grad(lambda f, w: loss(angles(f, w), labels).sum(), argnums=(0, 1))(features, weights)
    assert all(np.isfinite(leaf).all() for leaf in gradient)


@pytest.mark.parametrize("mining", ["semi_hard", "hard", "all"])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0]])
def test_a_batch_without_triplets(mining, labels):
    """Catches 0 / 0: without a positive or a negative the loss and its derivative are 0."""
    embeddings = unit_vectors(jnp.asarray(X[:4]))
    loss, gradient = jax.value_and_grad(dl.losses.triplet)(embeddings, jnp.asarray(labels), mining=mining)
    assert float(loss) == 0
    assert not gradient.any()


def test_a_batch_without_pairs():
    """Catches 0 / 0 in the likelihood of no pair."""
    pair = Gaussian(jnp.asarray(X[:4]), jnp.zeros((4, 4)))
    loss, gradient = jax.value_and_grad(dl.losses.mutual_likelihood)(pair, jnp.arange(4))
    assert float(loss) == 0
    assert not any(leaf.any() for leaf in gradient)


def test_outputs_are_unit_vectors():
    """Catches a norm over the batch, and NaN where the backbone gives 0."""
    params, state = CLASSES.init(jax.random.key(0))
    output = CLASSES.apply(params, state, X)[0]
    np.testing.assert_allclose(np.linalg.norm(output, axis=1), 1, rtol=1e-6)
    features = CLASSES.parts["features"].apply(params, state, X)[0]
    found = CLASSES.parts["angles"].apply(params, state, X)[0]
    np.testing.assert_allclose(found.norms, np.linalg.norm(features, axis=1), rtol=1e-5)
    weights = params["classes"] / np.linalg.norm(params["classes"], axis=1, keepdims=True)
    np.testing.assert_allclose(found.cosines, output @ weights.T, rtol=1e-4, atol=1e-5)
    mean = gaussians().apply(*gaussians().init(jax.random.key(0)), X)[0].mean
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), 1, rtol=1e-6)


def test_nearest_neighbor_accuracy_by_hand():
    """Catches an example that is its own neighbor, the farthest for the nearest, variances that do not count."""
    points, labels = np.float32([[0, 0], [0, 1], [5, 0], [5, 3], [0, 1.5]]), np.array([0, 0, 1, 1, 1])
    accuracy = dl.metrics.nearest_neighbor_accuracy
    assert float(accuracy(points, labels)) == pytest.approx(3 / 5)  # 1 and 4 are each other's
    many = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    distance = ((many[:, None] - many[None]) ** 2).sum(axis=2) + 1e9 * np.eye(300)
    groups = (many[:, 0] > 0).astype(int)
    assert float(accuracy(many, groups)) == pytest.approx((groups[distance.argmin(axis=1)] == groups).mean())
    # The sharp neighbor at distance 0.3 is likelier than a blurred one at 0.25.
    sharp = Gaussian(np.float32([[0], [0.3], [-0.25]]), np.float32([[-3], [-3], [4]]))
    assert float(accuracy(sharp, np.array([0, 0, 1]))) == pytest.approx(2 / 3)


def test_nearest_neighbors_of_every_scale():
    """Catches squares that overflow or vanish next to one distant row, a large offset, or in small units."""
    x, labels = np.array([[0.0], [5], [5.125], [0.25], [0]]), np.array([0, 1, 1, 0, 2])  # right: 1, 2 and 3

    def cases(x, large, small):
        return [np.r_[x, [[large]]], np.r_[x * small, [[-large]]], np.c_[x, np.full(5, large)], large / 8 * x]

    accuracy = jax.jit(dl.metrics.nearest_neighbor_accuracy)
    for dtype, large, small in ((np.float64, 1.7e308, 1e-290), (np.float32, 3.3e38, 1e-30)):
        for case in cases(x, large, small):
            given = case.astype(dtype)
            named = np.r_[labels, 3][: len(given)]
            found = (
                dl.metrics.nearest_neighbor_accuracy(given, named) if dtype == np.float64 else accuracy(given, named)
            )
            assert float(found) == pytest.approx(3 / len(given))


def test_groups_hold_one_identity():
    """Catches examples that leave their labels, occur twice, or mix within a group."""
    inputs, labels = np.arange(23, dtype=np.float32)[:, None], np.array([0] * 7 + [1] * 6 + [2] * 10)
    data = dl.data.grouped(dl.data.Dataset((inputs, labels), test=(inputs, labels)), 3)
    assert data.train.inputs.shape == (7 // 3 + 6 // 3 + 10 // 3, 3, 1) == data.test.inputs.shape
    rows = data.train.inputs[..., 0].astype(int)
    np.testing.assert_array_equal(labels[rows], data.train.targets)
    assert (data.train.targets == data.train.targets[:, :1]).all()
    assert len(np.unique(rows)) == rows.size
    other = dl.data.grouped(dl.data.Dataset((inputs, labels)), 3, seed=1)
    assert not np.array_equal(other.train.inputs, data.train.inputs)


def test_groups_and_margins_in_a_sweep():
    """Catches a task that cannot take groups apart, and margins or scales that cannot be traced."""
    data = dl.data.grouped(dl.data.Dataset((X, LABELS)), 2)
    flat = dl.data.Dataset((data.train.inputs.reshape(-1, 4), data.train.targets.reshape(-1)))

    def fit(margin, kind, rows):
        options = {"scale": 8.0 * margin} if kind == "cosface" else {}
        loss = functools.partial(getattr(dl.losses, kind), margin=margin, **options)
        model = CLASSES if kind == "cosface" else dl.models.embedding(BACKBONE, 8)
        task = dl.tasks.embedding(model, data if rows == "groups" else flat, loss)
        return dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size="full", num_steps=2, evaluate=("train",))

    margins = np.float32([0.2, 0.6])
    runs = dl.sweep(fit, margin=margins, kind=["triplet", "cosface"], rows=["groups"], lane_width=2)
    assert len(np.unique(runs.train_loss.isel(step=-1))) == 4
    same = dl.sweep(fit, margin=margins, kind=["triplet"], rows=["flat"], lane_width=2)
    np.testing.assert_allclose(
        same.train_loss.sel(kind="triplet"), runs.train_loss.sel(kind=["triplet"])[:, 0], rtol=1e-5
    )


def test_loss_of_people_without_class_weights():
    """Catches a clamped label: the loss of unseen people is not known, of some unseen that of the others."""
    data = dl.data.Dataset((X, LABELS), validation=(X, LABELS + 1), test=(X, LABELS + 3))
    task = dl.tasks.embedding(CLASSES, data, dl.losses.cosface)
    params, state = CLASSES.init(jax.random.key(0))
    assert np.isnan(task.objective(params, state, data.test)[0])
    some, (metrics, _) = task.objective(params, state, data.validation)
    known = LABELS + 1 < 3
    losses = dl.losses.cosface(CLASSES.parts["angles"].apply(params, state, X)[0], np.where(known, LABELS + 1, 0))
    assert float(some) == pytest.approx(float(losses[known].mean()), rel=1e-5)
    assert list(metrics) == ["nearest_neighbor_accuracy"]


FACES = {
    "triplet": dl.losses.triplet,
    "arcface": functools.partial(dl.losses.arcface, scale=16.0, margin=0.3),
    "cosface": functools.partial(dl.losses.cosface, scale=16.0, margin=0.2),
    "sphereface": functools.partial(dl.losses.sphereface, margin=3, annealing=5.0),
}


def faces():
    """30 people to train on, the 10 others to verify, in groups of 5 pictures; and the pixels' standardizer."""
    images = dl.data.from_image_folder(needs_shared_data() / "orl-faces.zip", size=(28, 23))
    inputs, labels = images.train
    seen = labels < 30
    data = dl.data.Dataset((inputs[seen], labels[seen]), test=(inputs[~seen], labels[~seen]))
    return dl.data.grouped(data, 5), dl.data.standardizer(data)


def area(scores, labels):
    """Area under the ROC curve of telling pairs of one person from pairs of two."""
    pairs = np.triu_indices(len(labels), 1)
    return roc_auc_score((labels[:, None] == labels)[pairs], np.asarray(scores)[pairs])


@pytest.mark.heavy
def test_unseen_faces_are_told_apart():
    """Catches losses that fit the people seen but say nothing of others: each has to beat the pixels themselves."""
    data, standardized = faces()
    steps = [dl.data.in_training(dl.data.shift), standardized, dl.data.flatten]
    network = dl.data.prepared(dl.models.mlp([28 * 23, 128, 64]), *steps)
    x, labels = data.test.inputs.reshape(-1, 28, 23), data.test.targets.reshape(-1)

    def embedded(model, loss, optimizer):
        task = dl.tasks.embedding(model, data, loss)
        training = dl.training(
            jax.random.key(0), task, optimizer, batch_size=20, num_steps=200, record_every=200, evaluate=("test",)
        )
        history = dl.run(training, final_params=True)
        assert history.test_nearest_neighbor_accuracy[-1] > 0.9
        params, state = dl.final_params(history, model)
        return params, state, model.apply(params, state, x)[0]

    pixels = unit_vectors(dl.data.flatten(standardized(x)))
    areas = {"pixels": area(pixels @ pixels.T, labels)}
    for name, loss in FACES.items():
        model = dl.models.embedding(network, 64, num_classes=None if name == "triplet" else 30)
        params, state, found = embedded(model, loss, optax.adam(1e-3))
        areas[name] = area(found @ found.T, labels)
        if name == "triplet":
            backbone = dl.models.pretrained(network, params["backbone"], state["backbone"])
    model = dl.models.probabilistic_embedding(backbone, dl.models.mlp([64, 64, 64], normalization="layer"), 64)
    frozen = optax.chain(optax.adam(5e-3), optax.freeze({"backbone": True, "head": False}))
    params, _, found = embedded(model, dl.losses.mutual_likelihood, frozen)
    assert all(map(np.array_equal, *map(jax.tree.leaves, (params["backbone"], backbone.init(jax.random.key(1))[0]))))
    areas["mutual_likelihood"] = area(dl.losses.mutual_likelihood_scores(found, found), labels)
    assert min(areas, key=areas.__getitem__) == "pixels", areas


COSINES = Angles(jnp.zeros((4, 3)), jnp.ones(4))
FOUR = jnp.arange(4) % 3


def task(model, targets=LABELS, loss=dl.losses.cosface):
    return dl.tasks.embedding(model, dl.data.Dataset((X, targets)), loss)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dl.losses.arcface(COSINES, FOUR, scale=0.0),
            "arcface: scale is 0.0; expects a finite number, above 0",
        ),
        (lambda: dl.losses.arcface(COSINES, FOUR, margin=-0.5), "arcface: margin is -0.5; expects"),
        (lambda: dl.losses.cosface(COSINES, FOUR, scale=float("inf")), "cosface: scale is inf; expects"),
        (lambda: dl.losses.cosface(COSINES, FOUR, margin=0), "cosface: margin is 0; expects"),
        (
            lambda: dl.losses.sphereface(COSINES, FOUR, margin=1.5),
            "sphereface: margin is 1.5; expects an integer from 1 to 100",
        ),
        (lambda: dl.losses.sphereface(COSINES, FOUR, annealing=-1), "sphereface: annealing is -1; expects"),
        (lambda: dl.losses.triplet(X, LABELS, margin=0.0), "triplet: margin is 0.0; expects"),
        (
            lambda: dl.losses.triplet(X, LABELS, mining="semihard"),
            "mining is 'semihard'; expects .* Did you mean 'semi_hard'",
        ),
        (lambda: dl.losses.triplet(X, LABELS[:5]), r"triplet: labels are int32\[5\]; expects integers \[32\]"),
        (lambda: dl.losses.triplet(X, X[:, 0]), r"triplet: labels is float32\[32\]; expects integer labels"),
        (
            lambda: dl.losses.triplet(X[0], LABELS),
            r"triplet: embeddings is float32\[4\]; expects floats \[B, features\]",
        ),
        (
            lambda: dl.losses.mutual_likelihood(X, LABELS),
            r"embeddings is float32\[32, 4\]; expects a named tuple .* Gaussian",
        ),
        (lambda: dl.losses.arcface(X, LABELS), r"arcface: angles is float32\[32, 4\]; expects a named tuple .* Angles"),
        (lambda: dl.losses.arcface(COSINES, FOUR + 1), r"labels hold 3 at \[2\].* integers in \[0, 3\)"),
        (lambda: dl.models.embedding(BACKBONE, 0), "num_features is 0; expects an integer from 1 to"),
        (lambda: dl.models.embedding(BACKBONE, 8, num_classes=-1), "num_classes is -1; expects an integer from 1 to"),
        (
            lambda: task(dl.models.embedding(BACKBONE, 9, num_classes=3)),
            r"the output is float32\[2, 8\]; expects floats",
        ),
        (
            lambda: gaussians(head=dl.models.linear(8, 4)).apply(
                *gaussians(head=dl.models.linear(8, 4)).init(jax.random.key(0)), X
            ),
            r"probabilistic_embedding: head: the output is float32\[32, 4\]; expects floats \[B, 8\]",
        ),
        (lambda: task(CLASSES, X), r"targets are float32\[32, 4\]; embedding expects integer identities \[N\]"),
        (lambda: task(CLASSES, LABELS + 1), r"train split: labels hold 3 at \[\d+.* integers in \[0, 3\)"),
        (lambda: dl.data.grouped(POINTS, 0), "group_size is 0; expects a positive integer"),
        (
            lambda: dl.data.grouped(POINTS, 30),
            r"class 0 has \d+ examples in the train split; expects at least group_size",
        ),
        (
            lambda: jax.eval_shape(lambda x: dl.data.grouped(dl.data.Dataset((x, LABELS)), 2).train.inputs, X),
            "inputs of the train split are DynamicJaxprTracer; expects arrays in memory",
        ),
        (
            lambda: dl.data.grouped(dl.data.Dataset((X, X)), 2),
            r"targets of the train split are float32\[32, 4\]; expects",
        ),
    ],
)
def test_bad_input(call, message):
    """Catches what would fail later and say less."""
    with pytest.raises(dl.DlcoreError, match=message):
        call()
