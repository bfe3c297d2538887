"""Losses: each takes outputs and targets of a batch and returns one number per example, [B].

Those that compare the examples of a batch, `triplet` and `mutual_likelihood`, return one number, [].
"""

from dlcore.losses.classification import logistic, softmax_cross_entropy
from dlcore.losses.embeddings import (
    arcface,
    cosface,
    mutual_likelihood,
    mutual_likelihood_scores,
    sphereface,
    triplet,
)
from dlcore.losses.regression import squared_error

__all__ = [
    "arcface",
    "cosface",
    "logistic",
    "mutual_likelihood",
    "mutual_likelihood_scores",
    "softmax_cross_entropy",
    "sphereface",
    "squared_error",
    "triplet",
]
