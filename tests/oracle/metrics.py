"""Metrics by scikit-learn and torchmetrics, on random and on degenerate inputs, in float64.

Where both of them have a metric, they are held against each other; what they define differently is said at the place.
"""

import numpy as np
import sklearn.metrics
import sklearn.neighbors
import torch
import torchmetrics.functional as torchmetrics
from scipy.optimize import brentq
from torchmetrics.functional.image import peak_signal_noise_ratio

K = 5


def agreed(*values):
    """The first of values that several libraries give, which have to be equal."""
    for value in values[1:]:
        np.testing.assert_allclose(np.asarray(values[0], float), np.asarray(value, float), rtol=1e-5, atol=1e-7)
    return values[0]


def classes():
    """Logits [24, 5] and labels: random, of one class, with classes that do not occur or are never predicted, tied."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(24, K)).astype(np.float32), rng.integers(0, K, 24)
    unpredicted = logits.copy()
    unpredicted[:, 3] = -9
    tied = rng.integers(0, 2, (24, K)).astype(np.float32)
    inputs = {
        "random": (logits, labels),
        "one_label": (logits, np.full(24, 2)),
        "one_prediction": (logits + np.float32([0, 0, 9, 0, 0]), labels),
        "perfect": (np.eye(K, dtype=np.float32)[labels], labels),
        "only_class_1": (np.tile(np.float32([[0, 1, 0, 0, 0]]), (24, 1)), np.full(24, 1)),
        "absent": (unpredicted, labels % 3),
        "tied": (tied, labels),
        "infinite": (np.where(logits < -0.5, -np.inf, logits).astype(np.float32), labels),
    }
    return {f"classes/{name}": of_classes(*given) for name, given in inputs.items()}


def of_classes(logits, labels):
    """All metrics of class labels."""
    predicted, t = logits.argmax(axis=1), torch.tensor
    made = {
        "logits": logits,
        "labels": labels,
        "accuracy": agreed(
            sklearn.metrics.accuracy_score(labels, predicted),
            torchmetrics.classification.multiclass_accuracy(t(predicted), t(labels), K, average="micro"),
        ),
        "confusion_matrix": agreed(
            sklearn.metrics.confusion_matrix(labels, predicted, labels=range(K)),
            torchmetrics.classification.multiclass_confusion_matrix(t(predicted), t(labels), K),
        ),
        # Of equal scores scikit-learn takes the last classes first, dlcore the first ones: columns from the right.
        "top_k_accuracy": sklearn.metrics.top_k_accuracy_score(
            K - 1 - labels, np.nan_to_num(logits[:, ::-1], neginf=-1e9), k=2, labels=range(K)
        ),
    }
    for name in ("precision", "recall", "f1"):
        of_sklearn = getattr(sklearn.metrics, f"{name}_score")
        of_torch = getattr(torchmetrics.classification, f"multiclass_{name}".replace("_f1", "_f1_score"))
        for zero in (0, 1):
            for average in ("micro", "macro", None):
                value = of_sklearn(labels, predicted, labels=range(K), average=average, zero_division=zero)
                made[f"{name}_{average or 'none'}_{zero}"] = value
            occurring = of_sklearn(labels, predicted, average="macro", zero_division=zero)
            by_torch = of_torch(t(predicted), t(labels), K, average="macro", zero_division=zero)
            made[f"{name}_occurring_{zero}"] = agreed(occurring, by_torch)
    return made


def flags():
    """Logits and flags [24, 5]: random, none or all there, predicted or not, columns without either."""
    rng = np.random.default_rng(1)
    logits, there = rng.normal(size=(24, K)).astype(np.float32), rng.integers(0, 2, (24, K))
    empty, low = there.copy(), logits.copy()
    empty[:, 1], low[:, 1] = 0, -1
    inputs = {
        "random": (logits, there),
        "none_there": (logits, 0 * there),
        "all_there": (logits, 0 * there + 1),
        "none_predicted": (-abs(logits), there),
        "nothing": (-abs(logits), 0 * there),
        "column": (low, empty),
        "zeros": (0 * logits, there),
    }
    return {f"flags/{name}": of_flags(*given) for name, given in inputs.items()}


def of_flags(logits, there):
    """All metrics of flags."""
    predicted, t = (logits > 0).astype(int), torch.tensor
    made = {
        "logits": logits,
        "labels": there,
        "subset_accuracy": agreed(
            sklearn.metrics.accuracy_score(there, predicted),
            torchmetrics.classification.multilabel_exact_match(t(predicted), t(there), K),
        ),
        "hamming_loss": agreed(
            sklearn.metrics.hamming_loss(there, predicted),
            torchmetrics.classification.multilabel_hamming_distance(t(predicted), t(there), K, average="micro"),
        ),
        "binary_accuracy": agreed(
            sklearn.metrics.accuracy_score(there.ravel(), predicted.ravel()),
            torchmetrics.classification.binary_accuracy(t(predicted), t(there)),
        ),
    }
    for name in ("precision", "recall", "f1"):
        of_sklearn = getattr(sklearn.metrics, f"{name}_score")
        for zero in (0, 1):
            for average in ("micro", "macro", None):
                value = of_sklearn(there, predicted, average=average, zero_division=zero)
                made[f"{name}_{average or 'none'}_{zero}"] = value
    return made


def regression():
    """Predictions and targets [24, 3]: random, far from 0, very large and small, constant."""
    rng = np.random.default_rng(2)
    targets = rng.normal(size=(24, 3)).astype(np.float32)
    predictions = (targets + rng.normal(0, 0.3, targets.shape)).astype(np.float32)
    constant = np.full((24, 3), np.float32(0.1))
    column = targets.copy()
    column[:, 1] = 0.1
    exact = predictions.copy()
    exact[:, 1] = column[:, 1]
    inputs = {
        "random": (predictions, targets),
        "offset": ((predictions + 1e4).astype(np.float32), (targets + 1e4).astype(np.float32)),
        "far_offset": ((predictions + 1e6).astype(np.float32), (targets + 1e6).astype(np.float32)),
        "large": (predictions * np.float32(1e6), targets * np.float32(1e6)),
        "small": (predictions * np.float32(1e-6), targets * np.float32(1e-6)),
        "constant": (predictions, constant),
        "constant_far": (predictions + np.float32(1e6), constant + np.float32(1e6)),
        "constant_perfect": (constant, constant),
        "constant_column": (exact, column),
        "perfect": (targets, targets),
    }
    return {f"regression/{name}": of_regression(*given) for name, given in inputs.items()}


def of_regression(predictions, targets):
    """r2, the absolute error, and psnr of rows as images, whose largest value is that of the targets' magnitudes.

    torchmetrics has no r2 of constant targets that scikit-learn and dlcore have.
    """
    pair = targets.astype(float), predictions.astype(float)
    t = [torch.tensor(values) for values in pair]
    peak = float(abs(targets).max())
    squares = ((pair[0] - pair[1]) ** 2).mean(axis=1)
    psnr = peak_signal_noise_ratio(t[1], t[0], data_range=peak, dim=1, reduction="elementwise_mean")
    return {
        "predictions": predictions,
        "targets": targets,
        "r2": sklearn.metrics.r2_score(*pair, multioutput="variance_weighted"),
        "mean_absolute_error": agreed(
            sklearn.metrics.mean_absolute_error(*pair), torchmetrics.mean_absolute_error(t[1], t[0])
        ),
        "peak": peak,
        "psnr": np.inf if not squares.all() else psnr,
    }


def scores():
    """Scores [24] and whether they ought to be high: random, tied, all equal, in order, one of a kind, far from 0."""
    rng = np.random.default_rng(3)
    same = rng.integers(0, 2, 24)
    random, single = rng.normal(size=24).astype(np.float32), np.arange(24) == 7
    inputs = {
        "random": (random, same),
        "tied": (rng.integers(0, 4, 24).astype(np.float32), same),
        "equal": (np.ones(24, np.float32), same),
        "separated": (random + 9 * same.astype(np.float32), same),
        "reversed": (random - 9 * same.astype(np.float32), same),
        "single": (random, single.astype(int)),
        "all_but_one": (random, 1 - single),
        "offset": ((random + 1e4).astype(np.float32), same),
        "small": (random * np.float32(1e-30), same),
    }
    return {f"scores/{name}": of_scores(*given) for name, given in inputs.items()}


def of_scores(scores, same):
    """Areas, error rate and accuracy; torchmetrics averages its error rate where dlcore interpolates it."""
    t = torch.tensor
    curve = sklearn.metrics.roc_curve(same, scores, drop_intermediate=False)
    # scipy's own example of how to find it; torchmetrics squashes scores outside [0, 1] by a sigmoid, which makes ties.
    rate = brentq(lambda x: 1 - x - np.interp(x, curve[0], curve[1]), 0, 1)
    ranks = np.unique(scores, return_inverse=True)[1] / 24
    return {
        "scores": scores,
        "same": same,
        "roc_auc": agreed(
            sklearn.metrics.roc_auc_score(same, scores), torchmetrics.classification.binary_auroc(t(ranks), t(same))
        ),
        "average_precision": agreed(
            sklearn.metrics.average_precision_score(same, scores),
            torchmetrics.classification.binary_average_precision(t(ranks), t(same)),
        ),
        "equal_error_rate": rate,
        "accuracy_at_best_threshold": max(sklearn.metrics.accuracy_score(same, scores >= c) for c in curve[2]),
    }


def sequences():
    """Logits [4, 6, 5], labels and mask: random, large, one step a row, one label; of -100 torchmetrics counts none."""
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(4, 6, K)).astype(np.float32), rng.integers(0, K, (4, 6))
    right = np.where(rng.random((4, 6, 1)) < 0.9, 3 * np.eye(K)[labels], logits).astype(np.float32)
    mask = np.arange(6) < np.array([[6], [3], [1], [2]])
    inputs = {
        "random": (logits, labels, mask),
        "nearly_right": (right, labels, mask),
        "large": ((logits * 3 + 1e5).astype(np.float32), labels, mask),
        "first_steps": (logits, labels, np.arange(6)[None] < np.ones((4, 1))),
        "one_label": (logits, 0 * labels, mask),
        "even": (0 * logits, labels, mask),
    }
    return {f"sequences/{name}": of_sequences(*given) for name, given in inputs.items()}


def of_sequences(logits, labels, mask):
    """Perplexity, accuracy of steps and of rows."""
    t, ignored = torch.tensor, torch.tensor(np.where(mask, labels, -100))
    predicted = logits.argmax(axis=2)
    rows = torchmetrics.classification.multiclass_exact_match(
        t(np.where(mask, predicted, 0)), t(np.where(mask, labels, 0)), K, multidim_average="global"
    )
    return {
        "logits": logits,
        "labels": labels,
        "mask": mask,
        "perplexity": torchmetrics.text.perplexity(t(logits.astype(float)), ignored, ignore_index=-100),
        "masked_accuracy": agreed(
            sklearn.metrics.accuracy_score(labels[mask], predicted[mask]),
            torchmetrics.classification.multiclass_accuracy(
                t(predicted), ignored, K, average="micro", ignore_index=-100
            ),
        ),
        "exact_match": rows,
    }


def neighbors():
    """Embeddings [24, 3] and labels; far from 0, and far from each other in two clusters."""
    rng = np.random.default_rng(5)
    near = rng.normal(size=(24, 3))
    labels = (near[:, 0] + rng.normal(0, 0.5, 24) > 0).astype(int)
    clusters = near + 1e4 * (np.arange(24) % 2)[:, None]
    made = {}
    for name, values in {"random": near, "offset": near + 1e4, "clusters": clusters, "small": near * 1e-25}.items():
        embeddings = values.astype(np.float32)
        search = sklearn.neighbors.NearestNeighbors(n_neighbors=1, algorithm="kd_tree")  # "brute" cancels
        search.fit(embeddings.astype(float) / embeddings.max())
        nearest = search.kneighbors(return_distance=False)[:, 0]
        made[f"neighbors/{name}"] = {
            "embeddings": embeddings,
            "labels": labels,
            "nearest_neighbor_accuracy": sklearn.metrics.accuracy_score(labels, labels[nearest]),
        }
    return made


def golden():
    """All of them; float32 stays what it is, libraries' values are float64."""
    cases = classes() | flags() | regression() | scores() | sequences() | neighbors()
    return {f"{case}/{part}": np.asarray(value) for case, parts in cases.items() for part, value in parts.items()}
