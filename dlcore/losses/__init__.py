"""Losses: each takes outputs and targets of a batch and returns one number per example, [B]."""

from dlcore.losses.classification import logistic, softmax_cross_entropy
from dlcore.losses.detection import cell_boxes, grid_detection
from dlcore.losses.regression import squared_error

__all__ = ["cell_boxes", "grid_detection", "logistic", "softmax_cross_entropy", "squared_error"]
