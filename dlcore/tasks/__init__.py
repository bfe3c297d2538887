"""Tasks: what is minimised and what is reported, for each kind of target."""

from dlcore.tasks.classification import classification
from dlcore.tasks.embeddings import embedding
from dlcore.tasks.regression import regression
from dlcore.tasks.task import Metric, Objective, Penalty, Task, l2, supervised

__all__ = ["Metric", "Objective", "Penalty", "Task", "classification", "embedding", "l2", "regression", "supervised"]
