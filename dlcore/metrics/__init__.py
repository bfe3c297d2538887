"""Metrics: each takes outputs and targets of a whole split and returns a scalar."""

from dlcore.metrics.classification import accuracy, binary_accuracy
from dlcore.metrics.regression import r2
from dlcore.metrics.sequences import exact_match, masked_accuracy, perplexity

__all__ = ["accuracy", "binary_accuracy", "exact_match", "masked_accuracy", "perplexity", "r2"]
