"""Tasks: what is minimized and what is reported, for each kind of target."""

from dlcore.core.task import Forward, Metric, Penalty, Report, Task, l2
from dlcore.tasks.classification import classification
from dlcore.tasks.detection import detection
from dlcore.tasks.embeddings import embedding
from dlcore.tasks.multi_label import multi_label
from dlcore.tasks.reconstruction import (
    gaussian_noise,
    l1_activity,
    masking_noise,
    pixel_cross_entropy,
    reconstruction,
    target_activity,
    variational,
)
from dlcore.tasks.regression import regression
from dlcore.tasks.sequences import token_prediction
from dlcore.tasks.strokes import strokes
from dlcore.tasks.supervised import supervised
from dlcore.tasks.translation import translation

__all__ = [
    "Forward",
    "Metric",
    "Penalty",
    "Report",
    "Task",
    "classification",
    "detection",
    "embedding",
    "gaussian_noise",
    "l1_activity",
    "l2",
    "masking_noise",
    "multi_label",
    "pixel_cross_entropy",
    "reconstruction",
    "regression",
    "strokes",
    "supervised",
    "target_activity",
    "token_prediction",
    "translation",
    "variational",
]
