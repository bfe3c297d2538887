"""Tasks: what is minimised and what is reported, for each kind of target."""

from dlcore.tasks.classification import classification
from dlcore.tasks.detection import detection
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
from dlcore.tasks.task import Metric, Objective, Penalty, Task, l2, supervised

__all__ = [
    "Metric",
    "Objective",
    "Penalty",
    "Task",
    "classification",
    "detection",
    "gaussian_noise",
    "l1_activity",
    "l2",
    "masking_noise",
    "pixel_cross_entropy",
    "reconstruction",
    "regression",
    "supervised",
    "target_activity",
    "variational",
]
