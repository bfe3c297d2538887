"""Tasks: what is minimised and what is reported, for each kind of target."""

from dlcore.tasks.classification import classification
from dlcore.tasks.embeddings import embedding
from dlcore.tasks.multi_label import multi_label
from dlcore.tasks.regression import regression
from dlcore.tasks.sequences import token_prediction
from dlcore.tasks.strokes import strokes
from dlcore.tasks.task import Metric, Objective, Penalty, Task, l2, supervised
from dlcore.tasks.translation import translation

__all__ = [
    "Metric",
    "Objective",
    "Penalty",
    "Task",
    "classification",
    "embedding",
    "l2",
    "multi_label",
    "regression",
    "strokes",
    "supervised",
    "token_prediction",
    "translation",
]
