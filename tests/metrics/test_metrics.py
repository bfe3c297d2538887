"""Metrics against scikit-learn, sacrebleu and published numbers; what does not fit is refused."""

import functools
import sys

import golden_values
import hypothesis
import hypothesis.extra.numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import dlcore as dl
from dlcore import metrics

GOLDEN = golden_values.load("functions")
CLASSES, FLAGS = GOLDEN["metrics/classes"], GOLDEN["metrics/labels"]["flags"]


@pytest.mark.parametrize("zero_division", [0, 1])
@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_precision_recall_and_f1_equal_scikit_learn(kind, zero_division):
    """Catches precision for recall, F1 of the averages for the average of F1s, classes without examples left out."""
    targets = CLASSES["labels"] if kind == "classes" else FLAGS

    @jax.jit
    def evaluate(logits, targets, zero_division):
        return {
            f"{metric}_{average}": getattr(metrics, metric)(
                logits, targets, average=average, zero_division=zero_division
            )
            for metric in ("precision", "recall", "f1")
            for average in ("micro", "macro", "none")
        }

    golden = GOLDEN[f"metrics/{kind}_{zero_division}"]
    golden_values.assert_matches(evaluate(CLASSES["logits"], targets, zero_division), golden, 1e-6)


def test_one_column_of_labels_is_one_class():
    """Catches [N] counted as N classes, or with class 0 as a class of its own."""
    logits, flags = CLASSES["logits"][:, 0], FLAGS[:, 0]
    for metric in (metrics.precision, metrics.recall, metrics.f1):
        assert metric(logits, flags) == metric(logits[:, None], flags[:, None])
    hits = ((logits > 0) & (flags > 0)).sum()
    assert metrics.recall(logits, flags) == pytest.approx(hits / flags.sum())


def test_metrics_of_classes_and_labels_equal_scikit_learn():
    """Catches a transposed confusion matrix, top-k that counts ranks from 1, labels counted for examples."""
    logits, labels = CLASSES["logits"], CLASSES["labels"]
    np.testing.assert_array_equal(metrics.confusion_matrix(logits, labels), CLASSES["confusion_matrix"])
    for k in (1, 2, 4):
        assert metrics.top_k_accuracy(logits, labels, k=k) == pytest.approx(float(CLASSES[f"top_{k}"]))
    assert metrics.top_k_accuracy(logits, labels, k=5) == 1
    assert metrics.top_k_accuracy(logits, labels, k=1) == metrics.accuracy(logits, labels)
    for name in ("subset_accuracy", "hamming_loss"):
        expected = float(GOLDEN["metrics/labels"][name])
        assert getattr(metrics, name)(logits, FLAGS) == pytest.approx(expected, rel=1e-6)


def test_metrics_of_real_values_equal_scikit_learn():
    """Catches one mean for all columns in r2, and squares for absolute values."""
    golden = GOLDEN["metrics/regression"]
    for name in ("r2", "mean_absolute_error"):
        value = getattr(metrics, name)(CLASSES["logits"], golden["targets"])
        assert value == pytest.approx(float(golden[name]), rel=1e-5)


def test_numpy_is_computed_in_float64():
    """Catches scores and logits that differ beyond the seventh digit, made ties by rounding to float32."""
    scores, same = 1 - np.array([3e-12, 2e-12, 1e-12]), np.array([0, 0, 1])
    assert metrics.roc_auc(scores, same) == 1
    assert metrics.best_threshold(scores, same) == (scores[2], 1)
    assert metrics.accuracy(np.stack([scores, scores[::-1]]), np.array([2, 0])) == 1
    assert metrics.binary_accuracy(np.array([1e-60]), np.array([1])) == 1
    targets = 2.0**30 + np.arange(4)
    assert metrics.r2(jnp.full(4, 2.0**30), targets) == pytest.approx(1 - 14 / 5)
    assert metrics.mean_absolute_error(jnp.full(4, 2.0**30), targets) == 1.5


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_squares_and_areas_beyond_the_range_of_float32(scale):
    """Catches values that are fine, but whose squares vanish or are infinite: a perfect prediction, or NaN."""
    targets, errors = jnp.array([1.0, 2, 3, 5]) * scale, jnp.array([1.0, -1, 0, 1]) * scale
    assert metrics.r2(targets + errors, targets) == pytest.approx(1 - 3 / 8.75, rel=1e-5)
    psnr = metrics.psnr((targets + errors)[None], targets[None], max_value=10 * scale)
    assert psnr == pytest.approx(10 * np.log10(100 / 0.75), rel=1e-5)
    boxes = jnp.array([[0.0, 0, 2, 2], [1, 0, 2, 2]]) * scale
    assert metrics.box_iou(boxes[0], boxes[1]) == pytest.approx(0.5)
    embeddings = jnp.array([[0.0], [1], [3], [4.5]]) * scale
    assert metrics.nearest_neighbor_accuracy(embeddings, np.array([0, 0, 1, 1])) == 1


def test_shares_of_many_examples():
    """Catches counts in float32, which end at 2^24."""
    logits = jnp.ones(2**24 + 8)
    assert metrics.binary_accuracy(logits.at[:8].set(-1), jnp.ones(logits.shape, int)) == np.float32(
        1 - 8 / len(logits)
    )


def test_r2_of_bytes_and_of_a_column():
    """Catches differences of bytes that wrap around, and [N, 1] against [N] broadcast to [N, N]."""
    bytes_of = functools.partial(np.array, dtype=np.uint8)
    value = metrics.r2(bytes_of([10, 250, 30, 90]), bytes_of([250, 10, 200, 100]))
    np.testing.assert_allclose(value, 1 - 144200 / 34200, rtol=1e-6)
    with pytest.raises(dl.DataError, match="expects the same shape"):
        metrics.r2(jnp.ones((3, 1)), jnp.ones(3))


def test_r2_of_constant_targets():
    """Catches 0 / 0 and -inf; scikit-learn says 1 and 0 as well."""
    constant = jnp.full(4, 3.0)
    assert metrics.r2(constant, constant) == 1
    assert metrics.r2(constant + 1, constant) == 0


def test_metrics_of_sequences():
    """Catches padding that counts, and rows weighted alike though they differ in length."""
    golden, sequences = GOLDEN["losses/masked_cross_entropy"], GOLDEN["metrics/sequences"]
    logits, mask = golden["inputs"], golden["mask"]
    for padding in (-3, logits.argmax(axis=-1)):  # a label of no class, the label that would be right
        labels = np.where(mask, golden["targets"], padding)
        assert metrics.perplexity(logits, labels, mask) == pytest.approx(float(sequences["perplexity"]), rel=1e-5)
        assert metrics.masked_accuracy(logits, labels, mask) == pytest.approx(float(sequences["accuracy"]), rel=1e-6)
    assert metrics.perplexity(jnp.zeros((2, 3, 7)), jnp.zeros((2, 3), int)) == pytest.approx(7, rel=1e-5)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "equal_error_rate", "accuracy_at_best_threshold"])
def test_verification_equals_scikit_learn(name, kind):
    """Catches ties that depend on the order of rows, a curve without its first point, an unweighted accuracy."""
    golden = GOLDEN[f"metrics/scores_{kind}"]
    metric = jax.jit(getattr(metrics, name))
    assert metric(golden["scores"], golden["same"]) == pytest.approx(float(golden[name]), abs=2e-6)
    assert metric(golden["scores"][::-1], golden["same"][::-1]) == pytest.approx(float(golden[name]), abs=2e-6)


def test_best_threshold_gives_its_accuracy():
    """Catches a threshold beside the one that was counted, and pairs refused at the threshold itself."""
    for kind in ("distinct", "tied"):
        scores, same = (GOLDEN[f"metrics/scores_{kind}"][part] for part in ("scores", "same"))
        threshold, accuracy = jax.jit(metrics.best_threshold)(scores, same)
        assert np.mean((scores >= threshold) == (same > 0)) == pytest.approx(float(accuracy))
    threshold, accuracy = metrics.best_threshold(np.float32([3, 2, 1]), np.array([0, 0, 1]))
    assert (threshold, accuracy) == (np.inf, pytest.approx(2 / 3))


@hypothesis.given(
    hypothesis.extra.numpy.arrays(np.float32, 12, elements=st.integers(-4, 4).map(float)),
    st.permutations([0] * 5 + [1] * 7),
)
def test_scores_turned_around_turn_the_curve(scores, same):
    """Catches ties counted for one side: turned scores have the area 1 - A and the error rate 1 - E."""
    same = np.array(same)
    for metric in (metrics.roc_auc, metrics.equal_error_rate):
        assert metric(scores, same) + metric(-scores, same) == pytest.approx(1, abs=1e-5)
    # Pairs that win, half of those that tie: Mann and Whitney's statistic.
    differences = scores[same > 0][:, None] - scores[same == 0][None]
    assert metrics.roc_auc(scores, same) == pytest.approx(np.mean((np.sign(differences) + 1) / 2), abs=1e-5)


def test_verification_of_one_kind_is_undefined():
    """Catches an area of 0 or 1 where there is none."""
    scores, same = np.float32([1, 2, 3]), np.ones(3, int)
    with pytest.raises(dl.DataError, match="roc_auc: all 3 labels are 1; expects some of each kind"):
        metrics.roc_auc(scores, same)
    assert np.isnan(jax.jit(metrics.roc_auc)(scores, same))
    assert np.isnan(jax.jit(metrics.equal_error_rate)(scores, same))


def test_psnr_by_hand():
    """Catches natural logarithms, the peak not squared, the mean of errors for the mean of images."""
    targets = np.zeros((2, 4, 4), np.float32)
    predictions = targets + np.float32([0.1, 0.01])[:, None, None]
    assert metrics.psnr(predictions, targets) == pytest.approx((20 + 40) / 2, rel=1e-5)
    assert metrics.psnr(255 * predictions, 255 * targets, max_value=255) == pytest.approx(30, rel=1e-5)
    assert metrics.psnr(targets, targets) == np.inf


def test_bleu_equals_sacrebleu():
    """Catches references given line by line instead of column by column, and scores from 0 to 1."""
    predictions = ["the cat sat on the mat.", "a dog barks at night", "hello, world"]
    references = [
        ["the cat sat on a mat.", "the cat was sitting on the mat."],
        ["the dog barks at the moon"],
        ["hello, world!"],
    ]
    single, golden = [entry[0] for entry in references], GOLDEN["metrics/bleu"]
    assert metrics.bleu(predictions, references) == pytest.approx(float(golden["several"]), rel=1e-6)
    assert metrics.bleu(predictions, single) == pytest.approx(float(golden["single"]), rel=1e-6)
    upper = [line.upper() for line in predictions]
    assert metrics.bleu(upper, single, lowercase=True) == pytest.approx(float(golden["lowercase"]), rel=1e-6)
    assert metrics.bleu(single, single) == pytest.approx(100)


def test_bleu_without_sacrebleu(monkeypatch):
    """Catches a bare ImportError."""
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(dl.ArgumentError, match=r"bleu needs sacrebleu.*pip install -e '.\[text\]'"):
        metrics.bleu(["a"], ["a"])
