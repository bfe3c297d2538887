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
from dlcore.metrics import Boxes

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


NAN = np.float32("nan")
STEPS = {"labels": np.zeros((2, 3), int), "mask": np.array([[True] * 3, [True, True, False]])}
OF_NAN = {
    "accuracy": (np.ones((4, 3), np.float32), {"labels": np.zeros(4, int)}),
    "top_k_accuracy": (np.ones((4, 3), np.float32), {"labels": np.zeros(4, int), "k": 2}),
    **dict.fromkeys(("precision", "recall", "f1"), (np.ones((4, 3), np.float32), {"labels": np.zeros(4, int)})),
    **dict.fromkeys(
        ("binary_accuracy", "subset_accuracy", "hamming_loss"),
        (np.ones((4, 2), np.float32), {"labels": np.array([[0, 1]] * 4)}),
    ),
    **dict.fromkeys(
        ("r2", "mean_absolute_error", "psnr"), (np.ones((4, 1), np.float32), {"targets": np.zeros((4, 1))})
    ),
    **dict.fromkeys(("masked_accuracy", "perplexity", "exact_match"), (np.ones((2, 3, 4), np.float32), STEPS)),
    "nearest_neighbor_accuracy": (np.arange(4, dtype=np.float32)[:, None], {"labels": np.zeros(4, int)}),
    **dict.fromkeys(
        ("roc_auc", "equal_error_rate", "best_threshold", "accuracy_at_best_threshold"),
        (np.arange(4, dtype=np.float32), {"same": np.array([0, 1, 0, 1])}),
    ),
    "average_precision": (np.arange(4, dtype=np.float32), {"relevant": np.array([0, 1, 0, 1])}),
}


@pytest.mark.parametrize("name", OF_NAN)
def test_metrics_of_nan_are_nan(name):
    """Catches a diverged network that scores the share of class 0, and one NaN that is outvoted by the other rows."""
    outputs, others = OF_NAN[name]
    spoiled = outputs.copy()
    spoiled.reshape(len(spoiled), -1)[1, 0] = NAN
    for leaf in jax.tree.leaves(getattr(metrics, name)(outputs, **others)):
        assert np.isfinite(leaf).all()
    for leaf in jax.tree.leaves(getattr(metrics, name)(spoiled, **others)):
        assert np.isnan(leaf).all()


@pytest.mark.parametrize("name", ["masked_accuracy", "perplexity", "exact_match"])
def test_nan_at_steps_that_are_not_there_does_not_count(name):
    """Catches padding that makes a metric NaN."""
    outputs, others = OF_NAN[name]
    spoiled = outputs.copy()
    spoiled[1, 2] = NAN
    assert getattr(metrics, name)(spoiled, **others) == getattr(metrics, name)(outputs, **others)


def test_counts_and_boxes_of_nan():
    """Catches NaN counted as class 0, and corners that are NaN taken for a box without area."""
    logits = np.array([[NAN, 1], [0, 1]], np.float32)
    np.testing.assert_array_equal(metrics.confusion_matrix(logits, np.array([0, 0])), [[0, 1], [0, 0]])
    box = jnp.array([0.0, 0, 2, 2])
    assert np.isnan(jax.jit(metrics.box_iou)(box.at[3].set(jnp.nan), box))
    true = Boxes([[0, 0, 4, 4]], [0], [0])
    assert np.isnan(metrics.detection_average_precision(true._replace(scores=[NAN]), true))


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


def test_iou_by_hand():
    """Catches sides multiplied though they do not meet, a union that counts the overlap twice, width for height."""
    box = np.float32([0, 0, 2, 4])  # 2 high, 4 wide
    others = np.float32([[0, 0, 2, 4], [1, 2, 3, 6], [5, 5, 6, 6], [2, 0, 4, 4], [0, 1, 2, 2], [1, 1, 1, 1]])
    expected = [1, 2 / 14, 0, 0, 2 / 8, 0]
    np.testing.assert_allclose(jax.jit(metrics.box_iou)(box[None], others), expected, rtol=1e-6)
    np.testing.assert_allclose(metrics.box_iou(others[:, None], box[None, None])[:, 0], expected, rtol=1e-6)
    assert metrics.box_iou(np.zeros(4), np.zeros(4)) == 0


boxes = hypothesis.extra.numpy.arrays(np.float64, 4, elements=st.integers(0, 8).map(float)).map(
    lambda corners: np.concatenate([np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])])
)


@hypothesis.given(boxes, boxes)
def test_iou_counts_cells(a, b):
    """Catches a formula that fails for some position of two boxes: counted on the grid instead."""
    rows, columns = np.mgrid[0:8, 0:8] + 0.5
    inside = [(rows > t) & (rows < m) & (columns > u) & (columns < n) for t, u, m, n in (a, b)]
    union = (inside[0] | inside[1]).sum()
    assert metrics.box_iou(a, b) == pytest.approx((inside[0] & inside[1]).sum() / max(union, 1))
    assert metrics.box_iou(a, b) == metrics.box_iou(b, a)


def ranking(right, num_true):
    """Found boxes, the right ones upon a true one and the wrong ones on nothing, and the true boxes."""
    places = np.arange(num_true) * 10.0
    hits = iter(range(num_true))
    tops = np.array([places[next(hits)] if ok else -1000.0 for ok in right])
    zeros = np.zeros(len(right), int)

    def squares(tops):
        return np.stack([tops, 0 * tops, tops + 4, 0 * tops + 4], axis=1)

    found = Boxes(squares(tops), zeros, zeros, np.linspace(1, 0.1, len(right)))
    return found, Boxes(squares(places), np.zeros(num_true, int), np.zeros(num_true, int))


def test_average_precision_of_boxes_as_published():
    """Catches a curve without its envelope, and recall of the boxes found instead of those there are.

    Padilla, Object-Detection-Metrics, README: 24 boxes found, 15 there are, 7 right; AP 0.24561 at all points, from
    summands that it rounds.
    """
    right = np.isin(np.arange(1, 25), [1, 3, 10, 12, 13, 14, 23])
    assert metrics.detection_average_precision(*ranking(right, 15)) == pytest.approx(0.2456, abs=1e-4)


def test_average_precision_of_boxes_at_101_recalls():
    """Catches 100 recalls, recall 0 left out, precision read before the recall is reached."""
    found, true = ranking([True, False, True, False], 4)
    # Up to recall 0.25 the precision is 1 (26 points), up to 0.5 it is 2/3 (25), beyond 0 (50).
    value = metrics.detection_average_precision(found, true, interpolation="coco")
    assert value == pytest.approx((26 + 25 * 2 / 3) / 101)
    assert metrics.detection_average_precision(found, true) == pytest.approx((1 + 2 / 3) / 4)


def test_a_true_box_is_found_once():
    """Catches two right boxes for one object, boxes matched in another image or class, and the rule of the other."""
    true = Boxes([[0, 0, 4, 4], [0, 3, 4, 7]], [0, 0], [0, 0])
    # The second overlaps the first true box most (0.6), which is taken, and the other one by 1/3.
    found = Boxes([[0, 0, 4, 4], [0, 1, 4, 5]], [0, 0], [0, 0], [0.9, 0.8])
    assert metrics.detection_average_precision(found, true, iou_thresholds=[0.3]) == 0.5
    coco = metrics.detection_average_precision(found, true, iou_thresholds=[0.3], interpolation="coco")
    assert coco == 1
    for elsewhere in (found._replace(images=[1, 1]), found._replace(classes=[1, 1])):
        assert metrics.detection_average_precision(elsewhere, true) == 0
    nothing = Boxes(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    assert metrics.detection_average_precision(nothing, true) == 0
    assert metrics.detection_average_precision(nothing, true, interpolation="coco") == 0
    two = Boxes([[0, 0, 4, 4]] * 2, [0, 1], [0, 1])
    half = Boxes([[0, 0, 4, 3], [0, 0, 4, 4]], [0, 1], [0, 1], [0.5, 0.6])
    # Class 0 overlaps by 3/4, class 1 fully: right at 2 and 2 of the thresholds, then 1 and 2.
    value = metrics.detection_average_precision(half, two, iou_thresholds=[0.5, 0.8])
    assert value == pytest.approx((1 + 0 + 1 + 1) / 4)


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


LOGITS, LABELS = np.zeros((4, 3), np.float32), np.array([0, 1, 2, 1])
FOUND = Boxes(np.zeros((2, 4)), [0, 0], [0, 0], [0.5, 0.6])


@pytest.mark.parametrize(
    ("evaluate", "error", "message"),
    [
        (
            lambda: metrics.f1(LOGITS, LABELS, average="weighted"),
            dl.ArgumentError,
            "f1: average is 'weighted'; expects one of 'macro'",
        ),
        (lambda: metrics.precision(LOGITS, LABELS, average=None), dl.ArgumentError, "average is None; expects one of"),
        (lambda: metrics.recall(LOGITS, LABELS + 1), dl.DataError, r"recall: labels hold 3 .* integers in \[0, 3\)"),
        (lambda: metrics.recall(LOGITS[:, :2], LABELS), dl.DataError, r"labels hold 2 .* integers in \[0, 2\)"),
        (lambda: metrics.f1(LOGITS, np.ones((4, 2), int)), dl.DataError, "f1: .* expects the same shape"),
        (
            lambda: metrics.f1(LOGITS, LABELS, zero_division=np.nan),
            dl.ArgumentError,
            "zero_division is nan; expects a finite number",
        ),
        (lambda: metrics.top_k_accuracy(LOGITS, LABELS, k=4), dl.ArgumentError, "k is 4, there are 3 classes"),
        (lambda: metrics.top_k_accuracy(LOGITS, LABELS, k=0), dl.ArgumentError, "k is 0; expects a positive integer"),
        (lambda: metrics.confusion_matrix(LOGITS, -LABELS), dl.DataError, "confusion_matrix: labels hold -1"),
        (lambda: metrics.hamming_loss(LOGITS, np.full((4, 3), 2)), dl.DataError, "hamming_loss: labels hold 2"),
        (lambda: metrics.mean_absolute_error(LOGITS, LABELS), dl.DataError, "expects the same shape"),
        (lambda: metrics.psnr(LOGITS, LOGITS, max_value=0), dl.ArgumentError, "max_value is 0; .* above 0"),
        (lambda: metrics.box_iou(LOGITS, LOGITS), dl.DataError, r"boxes are \[4, 3\]; expects \[..., 4\]: top, left"),
        (lambda: metrics.roc_auc(LOGITS, LOGITS), dl.DataError, r"scores are \[4, 3\]; expects \[N\]"),
        (lambda: metrics.roc_auc(LOGITS[:, 0], LABELS), dl.DataError, "labels hold 2 .* 0 and 1 only"),
        (
            lambda: metrics.bleu("a", "b"),
            dl.ArgumentError,
            "bleu: predictions is 'a'; expects a sequence of 1 or more lines",
        ),
        (lambda: metrics.bleu(["a"], []), dl.ArgumentError, r"references is \[\]; expects a sequence"),
        (
            lambda: metrics.bleu(["a"], [[]]),
            dl.ArgumentError,
            r"references is \[\[\]\]; expects a sequence of 1 or more lines",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND._replace(scores=None), FOUND),
            dl.DataError,
            "the found boxes have no scores",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, FOUND._replace(images=[0])),
            dl.DataError,
            r"the true boxes are \[\[2, 4\], \[1\], \[2\], \[2\]\]; expects boxes \[N, 4\]",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, Boxes(np.zeros((0, 4)), [], [])),
            dl.DataError,
            "there is no true box",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, FOUND, iou_thresholds=[50]),
            dl.ArgumentError,
            r"iou_thresholds is \[50\]; expects a sequence of 1 or more numbers in \(0, 1\]",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, FOUND, iou_thresholds=[]),
            dl.ArgumentError,
            r"iou_thresholds is \[\]; expects",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, FOUND, interpolation="all_point"),
            dl.ArgumentError,
            "interpolation is 'all_point'; expects .* Did you mean 'all_points'",
        ),
        (
            lambda: metrics.masked_accuracy(LOGITS[None], LABELS[None], np.zeros((1, 4), bool)),
            dl.DataError,
            "masked_accuracy: the mask hides all steps of row 0",
        ),
        (lambda: metrics.perplexity(LOGITS[None], LABELS[None] + 1), dl.DataError, r"perplexity: labels hold 3 at"),
    ],
)
def test_what_does_not_fit_is_refused(evaluate, error, message):
    """Catches labels that JAX drops or wraps around, shapes that it broadcasts, and options that mean nothing."""
    with pytest.raises(error, match=message):
        evaluate()
