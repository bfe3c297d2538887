"""What metrics refuse, and their words for it."""

import numpy as np
import pytest

import dlcore as dl
from dlcore import metrics
from dlcore.metrics import Boxes

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
        (lambda: metrics.f1(LOGITS, np.ones((4, 2), int)), dl.DataError, r"f1: .* expects the same shape, \[4, 3\]\.$"),
        (lambda: metrics.f1(LOGITS, LABELS[:, None]), dl.DataError, r"f1: .* integers \[...\]\. Use labels\[:, 0\]\.$"),
        (lambda: metrics.f1(LOGITS[:, :1], LABELS > 0), dl.DataError, r"f1: .* Use outputs\[:, 0\] for flags\.$"),
        (lambda: metrics.accuracy(LOGITS, LABELS[:, None]), dl.DataError, r"accuracy: .* Use labels\[:, 0\]\.$"),
        (lambda: metrics.r2(LOGITS[:, :1], LABELS), dl.DataError, r"r2: .* the same shape\. Use outputs\[:, 0\]\.$"),
        (lambda: metrics.r2(LABELS, LOGITS[:, :1]), dl.DataError, r"r2: .* the same shape\. Use targets\[:, 0\]\.$"),
        (
            lambda: metrics.f1(LOGITS, LABELS, zero_division=np.nan),
            dl.ArgumentError,
            "zero_division is nan; expects a finite number",
        ),
        (
            lambda: metrics.f1(LOGITS, LABELS, classes="present"),
            dl.ArgumentError,
            "classes is 'present'; .* 'occurring'",
        ),
        (
            lambda: metrics.subset_accuracy(LOGITS[:, 0], np.zeros(4)),
            dl.DataError,
            r"subset_accuracy: outputs are float64\[4\]; expects \[N, num_labels\]",
        ),
        (lambda: metrics.r2(LABELS, LABELS + np.inf), dl.DataError, r"r2: targets hold inf at \[0\]; expects finite"),
        (lambda: metrics.psnr(LOGITS, LOGITS + 2), dl.DataError, "psnr: targets hold 2.0 .* Pass max_value=255 for"),
        (
            lambda: metrics.nearest_neighbor_accuracy(LOGITS[:1], LABELS[:1]),
            dl.DataError,
            "expects .* two examples or more",
        ),
        (
            lambda: metrics.box_iou(np.array([0.0, 0, 1, np.inf]), np.zeros(4)),
            dl.DataError,
            r"box_iou: boxes hold inf at \[3\]; expects finite",
        ),
        (
            lambda: metrics.box_iou(np.array([0.0, 0, 1, -1]), np.zeros(4), box_format="center"),
            dl.DataError,
            "sizes of boxes hold -1.0 .* Pass box_format='corners'",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, FOUND._replace(classes=["a", "b"])),
            dl.DataError,
            "classes of the true boxes are no array of numbers",
        ),
        (
            lambda: metrics.detection_average_precision(FOUND, FOUND._replace(images=[0.5, 1])),
            dl.DataError,
            "images of the true boxes are float64; expects integers",
        ),
        (
            lambda: metrics.bleu(["a"], ["a"], tokenize="spm"),
            dl.ArgumentError,
            "tokenize is 'spm'; expects one of '13a'",
        ),
        (
            lambda: metrics.bleu(["a"], ["a"], smooth_value=1.0),
            dl.ArgumentError,
            "smooth_value is 1.0; expects smooth_method='floor' or 'add-k'",
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
            lambda: metrics.detection_average_precision(FOUND, Boxes([[0, 0, 2**60 + 3, 3]], [0], [0])),
            dl.DataError,
            r"boxes of the true boxes is int64\[1, 4\]; expects numbers. float64 does not hold all integers like 11529",
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
