"""Metrics: each takes outputs and targets of a whole split and returns a scalar, if it does not say otherwise.

If one of the outputs is NaN, so is the metric. NumPy arrays are computed by NumPy, in float64; JAX arrays by JAX, in
float32 unless they are wider, and in programs.
"""

from dlcore.metrics.boxes import Boxes, box_iou
from dlcore.metrics.classification import (
    accuracy,
    binary_accuracy,
    confusion_matrix,
    f1,
    hamming_loss,
    precision,
    recall,
    subset_accuracy,
    top_k_accuracy,
)
from dlcore.metrics.detection import detection_average_precision
from dlcore.metrics.embeddings import nearest_neighbor_accuracy
from dlcore.metrics.images import psnr
from dlcore.metrics.regression import mean_absolute_error, r2
from dlcore.metrics.sequences import exact_match, masked_accuracy, perplexity
from dlcore.metrics.text import bleu
from dlcore.metrics.verification import (
    Threshold,
    accuracy_at_best_threshold,
    average_precision,
    best_threshold,
    equal_error_rate,
    roc_auc,
)

__all__ = [
    "Boxes",
    "Threshold",
    "accuracy",
    "accuracy_at_best_threshold",
    "average_precision",
    "best_threshold",
    "binary_accuracy",
    "bleu",
    "box_iou",
    "confusion_matrix",
    "detection_average_precision",
    "equal_error_rate",
    "exact_match",
    "f1",
    "hamming_loss",
    "masked_accuracy",
    "mean_absolute_error",
    "nearest_neighbor_accuracy",
    "perplexity",
    "precision",
    "psnr",
    "r2",
    "recall",
    "roc_auc",
    "subset_accuracy",
    "top_k_accuracy",
]
