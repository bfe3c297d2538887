"""Metrics: each takes outputs and targets of a whole split and returns a scalar."""

from dlcore.metrics.classification import accuracy, binary_accuracy
from dlcore.metrics.embeddings import nearest_neighbour_accuracy
from dlcore.metrics.regression import r2

__all__ = ["accuracy", "binary_accuracy", "nearest_neighbour_accuracy", "r2"]
