"""What a loss of ours refuses a task refuses when it is made, in every split; what a task cannot use as well."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl

X, LABELS = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
SPLITS = ("train", "validation", "test")
TOKENS, SOURCES = np.array([[1, 2, 1]]), np.array([[4, 5]])
OBJECTS = np.float32([[[1, 0, 0, 0, 4, 4]]])
POINTS = np.ones((1, 3, 2), np.float32)
VARIATIONAL = dl.models.autoencoder([4, 2], variational=True)


def data(split, right, wrong):
    """The right columns, but for one split."""
    return dl.data.Dataset(**{name: wrong if name == split else right for name in SPLITS})


def classes(**options):
    return functools.partial(dl.tasks.classification, dl.models.mlp([4, 3]), **options)


def objects(*row):
    return np.ones((1, 8, 8)), np.float32([[row]])


TASKS = {
    "labels": (classes(), (X, LABELS), (X, LABELS + 1), "labels hold 3"),
    "labels of supervised": (
        lambda data: dl.tasks.supervised(dl.models.mlp([4, 3]), data, dl.losses.softmax_cross_entropy),
        (X, LABELS),
        (X, -LABELS),
        r"softmax_cross_entropy: labels hold -1",
    ),
    "labels of partial": (
        lambda data: dl.tasks.supervised(
            dl.models.mlp([4, 3]), data, functools.partial(dl.losses.multiclass_focal, gamma=1.0)
        ),
        (X, LABELS),
        (X, LABELS + 1),
        "multiclass_focal: labels hold 3",
    ),
    "pixels": (
        lambda data: dl.tasks.reconstruction(dl.models.mlp([4, 2, 4]), data, loss=dl.losses.bernoulli_cross_entropy),
        (X, None),
        (2 * X, None),
        "targets hold 1.*Divide 8-bit pixels",
    ),
    "pixels of variational": (
        lambda data: dl.tasks.variational(VARIATIONAL, data, loss=dl.tasks.pixel_cross_entropy),
        (X, None),
        (X - 1, None),
        "pixel_cross_entropy: targets hold -",
    ),
    "shares": (
        lambda data: dl.tasks.regression(dl.models.linear(4), data, loss=dl.losses.bernoulli_cross_entropy),
        (X, X[:, 0]),
        (X, X[:, 0] + 1),
        r"numbers in \[0, 1\]",
    ),
    "flags": (
        functools.partial(dl.tasks.multi_label, dl.models.mlp([4, 3])),
        (X, np.eye(3, dtype=int)[LABELS]),
        (X, -np.eye(3, dtype=int)[LABELS]),
        "labels hold -1",
    ),
    "tokens": (
        functools.partial(
            dl.tasks.token_prediction, dl.models.recurrent(3, 4, 3, num_tokens=3, output="all")
        ),
        (TOKENS, TOKENS),
        (TOKENS, TOKENS + 1),
        "labels hold 3",
    ),
    "padding": (
        functools.partial(
            dl.tasks.token_prediction, dl.models.recurrent(3, 4, 3, num_tokens=3, output="all")
        ),
        (TOKENS, TOKENS),
        (TOKENS, 0 * TOKENS),
        "hides all steps of row 0",
    ),
    "translations": (
        functools.partial(dl.tasks.translation, dl.models.sequence_to_sequence(6, 6, num_units=2)),
        (SOURCES, dl.data.framed(SOURCES)),
        (SOURCES, dl.data.framed(SOURCES + 1)),
        r"labels hold 6 .*; expects integers in \[0, 6\)",
    ),
    "sources": (
        functools.partial(dl.tasks.translation, dl.models.sequence_to_sequence(6, 6, num_units=2)),
        (SOURCES, dl.data.framed(SOURCES)),
        (-SOURCES, dl.data.framed(SOURCES)),
        "some below 0",
    ),
    **{
        name: (
            functools.partial(dl.tasks.detection, dl.models.grid_detector((8, 8), 2, channels=[2])),
            objects(1, 0, 0, 0, 4, 4),
            objects(*row),
            text,
        )
        for name, row, text in (
            ("classes of objects", (1, 2, 0, 0, 4, 4), "labels hold 2"),
            ("half a class", (1, 0.5, 0, 0, 4, 4), "labels hold 0.5"),
            ("half an object", (0.5, 0, 0, 0, 4, 4), "whether there is an object: labels hold 0.5"),
            ("corners", (1, 0, 4, 0, 0, 4), "Swap the corners"),
            ("outside", (1, 0, 0, 0, 4, 44), r"center at \[2.0, 22.0\], the image is \[8, 8\]; expects it inside"),
        )
    },
    "holes": (
        functools.partial(dl.tasks.strokes, dl.models.mixture_density(1, num_units=2)),
        (POINTS, np.array([[True, True, False]])),
        (POINTS, np.array([[True, False, True]])),
        "row 0: the mask has a point after one that is not there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_every_split_is_looked_at(name):
    """Catches a check of the train split only, and one that refuses what is right."""
    make, right, wrong, text = TASKS[name]
    make(dl.data.Dataset(right))
    for split in SPLITS:
        with pytest.raises(dl.DataError, match=f"(?s){split} split.*{text}"):
            make(data(split, right, wrong))


@pytest.mark.parametrize(
    ("make", "targets", "text"),
    [
        (classes(), LABELS.astype(float), r'y.astype\(int\) on whole numbers, .* target_kind="class"'),
        (classes(), LABELS[:, None], r"targets are int32\[6, 1\]; classification expects integer labels \[N\]"),
        (classes(), np.eye(3)[LABELS], r"y.argmax\(1\) on one-hot rows"),
        (classes(loss=dl.losses.squared_error), LABELS, "squared_error: outputs are .* expects the same shape"),
        (classes(loss=dl.losses.focal), LABELS, "focal: outputs are .* expects the same shape"),
        (
            classes(loss=functools.partial(dl.losses.weighted_cross_entropy, class_weights=[1.0, -1.0, 1.0])),
            LABELS,
            "class_weights are .*; expects finite numbers, 0 or more",
        ),
        (functools.partial(dl.tasks.translation, dl.models.mlp([4, 3])), LABELS, "translation expects integer ids"),
    ],
)
def test_targets_of_another_kind(make, targets, text):
    """Catches a loss that does not fit the task, found at the first step only."""
    with pytest.raises(dl.DlcoreError, match=text):
        make(dl.data.Dataset((X, targets)))


def test_traced_and_foreign_losses_pass():
    """Catches a check that calls a loss of one's own, or asks for values that a program only knows when it runs."""

    def foreign(output, targets):
        assert len(output) == 2, "called on a whole split"
        return output[:, 0]

    dl.tasks.supervised(dl.models.mlp([4, 3]), dl.data.Dataset((X, LABELS)), foreign)

    def loss(inputs, weights):
        chosen = functools.partial(dl.losses.weighted_cross_entropy, class_weights=weights)
        task = classes(loss=chosen)(dl.data.Dataset((inputs, jnp.asarray(LABELS))))
        params, state = task.model.init(jax.random.key(0))
        return task.objective(params, state, task.data.train)[0]

    assert np.isfinite(jax.jit(loss)(X, jnp.ones(3)))


def test_codes():
    """Catches a sum over the last axis only, a code outside of [0, 1] that is clipped, and noise of integers."""
    assert float(dl.tasks.l1_activity(0.5)(np.ones((2, 2, 3), np.uint8))) == 3.0
    assert np.isnan(dl.tasks.target_activity(0.5, 1.0)(np.float32([[2.0, 0.5]])))
    assert np.isfinite(dl.tasks.target_activity(0.5, 1.0)(np.float32([[1.0, 0.0]])))
    with pytest.raises(dl.DataError, match=r"gaussian_noise: x is uint8\[2\]; expects floats"):
        dl.tasks.gaussian_noise(0.1)(jax.random.key(0), np.ones(2, np.uint8))
    with pytest.raises(dl.ArgumentError, match=r"share is 1; .* below 1"):
        dl.tasks.masking_noise(1)


def test_divergence_of_small_variances():
    """Catches exp(v) - 1 - v, of which float32 leaves nothing where v is small."""
    task = dl.tasks.variational(VARIATIONAL, dl.data.Dataset((X, None)))
    outputs = jnp.asarray(X), jnp.zeros((6, 2)), jnp.full((6, 2), 1e-3)
    divergence = task.report({}, outputs, task.data.train)[1]["divergence"]
    exact = np.expm1(np.float64(np.float32(1e-3))) - np.float64(np.float32(1e-3))
    assert float(divergence) == pytest.approx(exact, rel=1e-3)


def test_narrow_identities_next_to_many_class_weights():
    """Catches the number of identities that wraps around in 8 bits: none is known, and the loss is 0 / 0."""
    model = dl.models.embedding(dl.models.mlp([2, 3]), 3, num_classes=256)
    params, state = model.init(jax.random.key(0))
    losses = []
    for dtype in (np.int32, np.uint8):
        data = dl.data.Dataset((np.eye(2), np.array([200, 201], dtype)))
        task = dl.tasks.embedding(model, data, dl.losses.arcface)
        batch = jax.tree.map(jnp.asarray, data.train)  # NumPy's would be compared without wrapping around
        losses.append(float(task.objective(params, state, batch, train=True)[0]))
    assert losses[0] == losses[1] > 0


def test_bfloat16_is_a_float():
    """Catches floats known by the kind that NumPy gives them, which it does not give to bfloat16; a pen of halves."""
    x, points = (jnp.asarray(values, jnp.bfloat16) for values in (X, np.round(X[:, :3, None] * np.ones(3))))
    dl.tasks.regression(dl.models.mlp([4, 1]), dl.data.Dataset((x, x[:, 0])))
    dl.tasks.reconstruction(dl.models.autoencoder([4, 2]), dl.data.Dataset((x, None)))
    model = dl.models.mixture_density(1, num_units=2, pen=True)
    dl.tasks.strokes(model, dl.data.Dataset((points, None)))
    with pytest.raises(dl.DataError, match=r"expects 1 \(up\) and 0 only"):
        dl.tasks.strokes(model, dl.data.Dataset((points / 2, None)))


@pytest.mark.parametrize(("value", "dtype"), [(300, np.float16), (200, np.uint8), (3 + 4j, np.complex64)])
def test_l2_of_every_dtype(value, dtype):
    """Catches squares that overflow in halves, wrap around in bytes, or are no squares of complex numbers."""
    assert float(dl.tasks.l2(2.0)({"a": np.full(4, value, dtype)})) == 4 * abs(value) ** 2
