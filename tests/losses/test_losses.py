"""Losses against PyTorch and scikit-learn, values and gradients; what does not fit is refused."""

import functools

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl
from dlcore import losses

GOLDEN = golden_values.load("functions")
OPTIONS = {
    "weighted_cross_entropy": {
        "label_smoothing": 0.1,
        "class_weights": GOLDEN["losses/weighted_cross_entropy"]["class_weights"],
    },
    "focal": {"positive_weight": 0.25, "gamma": 2.0},
    "huber": {"delta": 0.5},
    "pinball": {"quantile": 0.2},
    "masked_cross_entropy": {"mask": GOLDEN["losses/masked_cross_entropy"]["mask"]},
}
# Their oracles stand in the files of their families.
ELSEWHERE = {"arcface", "cosface", "sphereface", "triplet", "mutual_likelihood", "mutual_likelihood_scores"} | {
    "grid_detection",
    "mixture_density",
    "multiclass_focal",  # of two classes it is `focal`, which has one; of three it is written out below
}
NAMES = [name for name in losses.__all__ if name != "binary_cross_entropy" and name not in ELSEWHERE]


def call(name, outputs, targets):
    """The loss with the options of its golden values."""
    return getattr(losses, name)(outputs, targets, **OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_equal_the_oracle(name):
    """Catches sums for means, a factor of 2, classes or quantiles the wrong way round, overflow at large logits."""
    golden = GOLDEN[f"losses/{name}"]
    weights = jnp.arange(1, 1 + len(golden["values"]), dtype=float)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def evaluate(outputs, targets):
        values = call(name, outputs, targets)
        return jnp.sum(weights * values), values

    (_, values), gradient = evaluate(golden["inputs"], golden["targets"])
    assert values.shape == golden["values"].shape
    np.testing.assert_allclose(values, golden["values"], rtol=1e-5, atol=1e-6)
    if "gradient" in golden:
        np.testing.assert_allclose(gradient, golden["gradient"], rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradient).all()


def test_special_cases_are_the_plain_losses():
    """Catches smoothing of 0, a gamma of 0 or a quantile of 1/2 that change something."""
    classes, flags = GOLDEN["losses/softmax_cross_entropy"], GOLDEN["losses/multi_label_cross_entropy"]
    absolute, shares = GOLDEN["losses/absolute_error"], GOLDEN["losses/kl_divergence"]["targets"]
    one_column = flags["inputs"][:, 0], flags["targets"][:, 0]
    two_columns = np.stack([np.zeros_like(one_column[0]), one_column[0]], axis=1)

    @jax.jit
    def pairs():
        return (
            (losses.weighted_cross_entropy(classes["inputs"], classes["targets"]), classes["values"]),
            (losses.focal(flags["inputs"], flags["targets"], gamma=0.0), flags["values"]),
            (losses.focal(*one_column, gamma=0.0), losses.binary_cross_entropy(*one_column)),
            (losses.multiclass_focal(classes["inputs"], classes["targets"], gamma=0.0), classes["values"]),
            (losses.multiclass_focal(two_columns, one_column[1].astype(int)), losses.focal(*one_column)),
            (2 * losses.pinball(absolute["inputs"], absolute["targets"]), absolute["values"]),
            (losses.kl_divergence(jnp.log(jnp.maximum(shares, 1e-30)), shares), jnp.zeros(6)),
        )

    for value, expected in pairs():
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_derivatives_of_the_cross_entropy_by_hand(offset):
    """Catches a rule that is right once only, in one mode only, without lanes only; ties and classes ruled out.

    p - onehot and diag(p) - p p'.
    """
    logits = np.float32([[0, 1, -2, 0.5], [3, 3, -1, 3], [0, -np.inf, 2, 2], [40, 0, 1, 2]]) + np.float32(offset)
    labels = np.array([1, 0, 2, 3])
    powers = np.exp(np.float64(logits) - logits.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    jacobians = np.eye(4) * p[:, None] - p[:, :, None] * p[:, None]
    loss = losses.softmax_cross_entropy

    @jax.jit
    @jax.vmap
    def derivatives(z, label, direction):
        def gradient(z):
            return jax.grad(loss)(z, label)

        return (
            gradient(z),
            jax.jvp(lambda z: loss(z, label), (z,), (direction,))[1],
            jax.hessian(loss)(z, label),
            jax.jvp(gradient, (z,), (direction,))[1],
            jax.grad(lambda z: gradient(z) @ direction)(z),
        )

    direction = np.float32(np.arange(16).reshape(4, 4) % 5 - 1.5)
    errors, product = p - np.eye(4)[labels], (jacobians @ direction[..., None])[..., 0]
    slope = (errors * direction).sum(axis=1)
    for found, expected in zip(
        derivatives(logits, labels, direction), (errors, slope, jacobians, product, product), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_derivatives_of_flags_by_hand():
    """Catches a rule that is right once only, in one mode only, not at 0, or that cancels far from it."""
    logits = np.float32([-80, -20, -1, 0, 1e-3, 2, 20])
    shares = np.float32([0, 1, 0.25, 0.5, 1, 0.75, 0])
    z, e = np.float64(logits), np.exp(-np.abs(np.float64(logits)))
    p, q = np.where(z > 0, 1, e) / (1 + e), np.where(z > 0, e, 1) / (1 + e)
    errors, curvature = np.where(shares == 1, -q, p - shares), p * q

    @jax.jit
    @jax.vmap
    def derivatives(z, share):
        def loss(z):
            return losses.bernoulli_cross_entropy(z[None], share[None])[0]

        return jax.grad(loss)(z), jax.hessian(loss)(z), jax.jvp(jax.grad(loss), (z,), (jnp.ones(()),))[1]

    for found, expected in zip(derivatives(logits, shares), (errors, curvature, curvature), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-37)


def test_focal_of_three_classes_by_hand():
    """Catches the probability of another class, and a gamma that is not the exponent."""
    golden = GOLDEN["losses/softmax_cross_entropy"]
    nats = golden["values"]
    expected = (1 - np.exp(-nats)) ** 3 * nats
    found = losses.multiclass_focal(golden["inputs"], golden["targets"], gamma=3.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_extreme_logits_stay_finite():
    """Catches log(0), and a focal weight whose derivative is infinite where it vanishes."""
    logits, flags = jnp.array([-1e4, -50.0, 50.0, 1e4]), jnp.array([0, 0, 1, 1])

    def of_two_classes(x, labels):
        return losses.multiclass_focal(jnp.stack([jnp.zeros_like(x), x], axis=1), labels, gamma=0.5)

    for loss in (losses.binary_cross_entropy, losses.focal, functools.partial(losses.focal, gamma=0.5), of_two_classes):
        for labels in (flags, 1 - flags):
            value, gradient = jax.jit(jax.value_and_grad(lambda x, y=labels, loss=loss: loss(x, y).sum()))(logits)
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


def test_hidden_steps_change_nothing():
    """Catches padding that leaks: by its values, by infinite logits, by labels of no class, through the gradient."""
    golden = GOLDEN["losses/masked_cross_entropy"]
    mask = golden["mask"]
    spoilt = np.where(mask[..., None], golden["inputs"], np.inf).astype(np.float32)
    labels = np.where(mask, golden["targets"], -7)

    def total(logits):
        values = losses.masked_cross_entropy(logits, labels, mask)
        return jnp.sum(values * jnp.arange(1.0, 4.0)), values

    (_, values), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(spoilt)
    np.testing.assert_allclose(values, golden["values"], rtol=1e-5)
    np.testing.assert_allclose(gradient, golden["gradient"], rtol=1e-5, atol=1e-6)


def test_a_traced_mask_may_hide_everything():
    """Catches 0 / 0 in a row without steps, in the loss or in its gradient."""
    golden = GOLDEN["losses/masked_cross_entropy"]

    @jax.jit
    def evaluate(logits, mask):
        return jax.value_and_grad(lambda x: losses.masked_cross_entropy(x, golden["targets"], mask).sum())(logits)

    value, gradient = evaluate(golden["inputs"], np.zeros((3, 5), bool))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
    assert jax.jit(dl.metrics.masked_accuracy)(golden["inputs"], golden["targets"], np.zeros((3, 5), bool)) == 0
    assert jax.jit(dl.metrics.perplexity)(golden["inputs"], golden["targets"], np.zeros((3, 5), bool)) == 1


def test_options_may_be_swept():
    """Catches a check that refuses a traced hyperparameter, and an option that reaches nothing."""

    def fit(delta):
        task = dl.tasks.supervised(
            dl.models.mlp([3, 1]), small.noisy_line(), lambda p, y: losses.huber(p[:, 0], y, delta=delta)
        )
        return dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size="full", num_steps=1, evaluate=())

    runs = dl.sweep(fit, delta=jnp.array([0.1, 1.0]), lane_width=2)
    assert runs.batch_loss.isel(step=-1).values[0] < runs.batch_loss.isel(step=-1).values[1]


SCORES = np.zeros((4, 3), np.float32)
LABELS = np.array([0, 1, 2, 1])
FLAGS = np.zeros((4, 3), int)


@pytest.mark.parametrize(
    ("evaluate", "error", "message"),
    [
        (
            lambda: losses.weighted_cross_entropy(SCORES, LABELS, class_weights=np.ones(4)),
            dl.ArgumentError,
            r"class_weights are \[4\], the logits \[4, 3\]; expects \[3\], one weight for each class",
        ),
        (
            lambda: losses.weighted_cross_entropy(SCORES, LABELS, label_smoothing=1.5),
            dl.ArgumentError,
            "label_smoothing is 1.5; expects a finite number, 0 or more, at most 1",
        ),
        (
            lambda: losses.weighted_cross_entropy(SCORES, LABELS + 1),
            dl.DataError,
            r"weighted_cross_entropy: labels hold 3 at \[2\]; expects integers in \[0, 3\)",
        ),
        (
            lambda: losses.multiclass_hinge(SCORES, FLAGS),
            dl.DataError,
            r"multiclass_hinge: outputs are float32\[4, 3\], labels int64\[4, 3\]; expects logits .* labels.argmax",
        ),
        (
            lambda: losses.multiclass_hinge(SCORES, LABELS.astype(float)),
            dl.DataError,
            r"multiclass_hinge: labels is float64\[4\]; expects integer labels",
        ),
        (
            lambda: losses.hinge(SCORES[:, 0], 2 * FLAGS[:, 0] - 1),
            dl.DataError,
            r"hinge: labels hold -1 at \[0\], and 3 more such values; expects 0 and 1 only",
        ),
        (
            lambda: losses.hinge(SCORES[:, :1], FLAGS[:, 0]),
            dl.DataError,
            r"hinge: outputs are float32\[4, 1\], targets int64\[4\]; expects the same shape",
        ),
        (lambda: losses.multi_label_cross_entropy(SCORES, FLAGS + 2), dl.DataError, "labels hold 2 .* 0 and 1 only"),
        (lambda: losses.multi_label_cross_entropy(SCORES, FLAGS[:, :2]), dl.DataError, "expects the same shape"),
        (lambda: losses.focal(SCORES, FLAGS, gamma=-1), dl.ArgumentError, "gamma is -1; .* 0 or more"),
        (
            lambda: losses.focal(SCORES, FLAGS, positive_weight=2),
            dl.ArgumentError,
            "positive_weight is 2; .* at most 1",
        ),
        (lambda: losses.kl_divergence(SCORES, LABELS), dl.DataError, "kl_divergence: .* expects the same shape"),
        (
            lambda: losses.huber(SCORES, SCORES, delta=0),
            dl.ArgumentError,
            "delta is 0; expects a finite number, above 0",
        ),
        (lambda: losses.huber(SCORES, SCORES[:, :1]), dl.DataError, "huber: .* expects the same shape"),
        (lambda: losses.squared_error(SCORES[:, :1], SCORES[:, 0]), dl.DataError, "squared_error: .* the same shape"),
        (
            lambda: losses.binary_cross_entropy(SCORES[:, :1], LABELS),
            dl.DataError,
            "binary_cross_entropy: .* expects the same shape",
        ),
        (lambda: losses.absolute_error(SCORES, LABELS), dl.DataError, "absolute_error: .* expects the same shape"),
        (lambda: losses.pinball(SCORES, SCORES, quantile=50), dl.ArgumentError, "quantile is 50; .* at most 1"),
        (lambda: losses.bernoulli_cross_entropy(SCORES, LABELS), dl.DataError, "expects the same shape"),
        (
            lambda: losses.masked_cross_entropy(SCORES[None], LABELS[None], FLAGS[None, :, 0]),
            dl.DataError,
            "masked_cross_entropy: the mask hides all steps of row 0",
        ),
        (
            lambda: losses.masked_cross_entropy(SCORES[None], LABELS[None] + 1, FLAGS[None, :, 0] == 0),
            dl.DataError,
            r"masked_cross_entropy: labels hold 3 at \[0, 2\]",
        ),
        (
            lambda: losses.masked_cross_entropy(SCORES[None], LABELS[None], FLAGS[None, :3, 0] == 0),
            dl.DataError,
            r"masked_cross_entropy: the mask is \[1, 3\]; expects \[1, 4\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(evaluate, error, message):
    """Catches labels that JAX clamps, shapes that it broadcasts, and numbers that make no loss."""
    with pytest.raises(error, match=message):
        evaluate()


def flagged(num_labels=3, dtype=np.int32):
    """Points with a flag for each of some half-spaces."""
    data = small.labeled_points()
    train, test = ((s.inputs, (s.inputs[:, :num_labels] > 0.3).astype(dtype)) for s in (data.train, data.test))
    return dl.data.Dataset(train, test=test)


@pytest.mark.parametrize("dtype", [np.int32, bool, np.uint8])
def test_multi_label_by_hand(dtype):
    """Catches a sum over labels, a threshold on probabilities instead of logits, micro and macro swapped."""
    data, model = flagged(dtype=dtype), dl.models.mlp([4, 5, 3])
    task = dl.tasks.multi_label(model, data, penalty=dl.tasks.l2(0.0), metrics={"first": lambda z, y: z[0, 0]})
    params, state = model.init(jax.random.key(0))
    loss, (metrics, _) = task.objective(params, state, data.train)
    logits, flags = np.asarray(model.apply(params, state, data.train.inputs)[0], float), data.train.targets.astype(bool)
    right, found = (logits > 0) == flags, (logits > 0) & flags
    assert loss == pytest.approx(np.mean(np.log1p(np.exp(np.where(flags, -logits, logits)))), rel=1e-5)
    assert metrics["subset_accuracy"] == pytest.approx(right.all(axis=1).mean())
    assert metrics["hamming_loss"] == pytest.approx(1 - right.mean(), rel=1e-5)
    assert metrics["micro_f1"] == pytest.approx(2 * found.sum() / ((logits > 0).sum() + flags.sum()), rel=1e-5)
    assert metrics["first"] == pytest.approx(logits[0, 0], rel=1e-5)


def test_multi_label_learns():
    """Catches a task that does not train, or not inside a study."""
    task = dl.tasks.multi_label(dl.models.mlp([4, 3]), flagged())

    def fit(learning_rate):
        optimizer = optax.adam(learning_rate)
        return dl.training(jax.random.key(0), task, optimizer, batch_size=8, num_epochs=60, record_every=180)

    runs = dl.sweep(fit, learning_rate=jnp.array([0.0, 0.1]), lane_width=2)
    assert (runs.train_micro_f1.isel(step=-1).values > [-1, 0.9]).all()
    assert runs.test_hamming_loss.isel(step=-1).values[1] < 0.2


@pytest.mark.parametrize(
    ("width", "targets", "message"),
    [
        (3, np.zeros((6, 3), np.float32), r"targets are float32\[6, 3\]; multi_label expects integers or Booleans"),
        (3, np.zeros(6, np.int32), r"targets are int32\[6\]; .* use dl.tasks.classification"),
        (2, np.zeros((6, 3), np.int32), r"output is \[B, 2\], the targets are \[6, 3\]; .* one logit for each label"),
        (3, np.eye(6, 3, dtype=np.int32) * 2, r"train split: labels hold 2 at \[0, 0\], and 2 more .* 0 and 1 only"),
    ],
)
def test_multi_label_refuses_what_does_not_fit(width, targets, message):
    """Catches class numbers taken for flags, and a loss broadcast over another number of labels."""
    data = dl.data.Dataset((np.zeros((6, 4), np.float32), targets))
    with pytest.raises(dl.DataError, match=message):
        dl.tasks.multi_label(dl.models.mlp([4, width]), data)


@pytest.mark.parametrize("num_classes", [10, 100])
def test_logits_that_are_computed_in_the_same_program(num_classes):
    """Catches a loss that is off by log 2 where XLA computes a scaled logit twice and rounds it in two ways."""
    scores = np.random.default_rng(0).normal(size=(2000, num_classes)).astype(np.float32)
    scale, labels = np.float32(30.7), scores.argmax(axis=1)
    logits = (scale * scores).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers[np.arange(len(powers)), labels] = 0
    losses = jax.jit(lambda scores, scale: dl.losses.softmax_cross_entropy(scale * scores, labels))(scores, scale)
    np.testing.assert_allclose(losses, np.log1p(powers.sum(axis=1)), rtol=1e-4, atol=1e-30)
