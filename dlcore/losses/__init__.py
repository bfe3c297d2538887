"""Losses: each takes outputs and targets of a batch and returns one number per example, [B]."""

from dlcore.losses.classification import logistic, softmax_cross_entropy
from dlcore.losses.regression import squared_error
from dlcore.losses.sequences import masked_cross_entropy

__all__ = ["logistic", "masked_cross_entropy", "softmax_cross_entropy", "squared_error"]
