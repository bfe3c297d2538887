"""Losses: each takes outputs and targets of a batch and returns one number per example, [B].

Those that compare the examples of a batch, `triplet` and `mutual_likelihood`, return one number, [].
They compute in float32, or in float64 where JAX does: float16 and bfloat16 outputs are widened first, exactly, and the
loss is float32; the gradient has the dtype of the outputs. Integers, Booleans and NumPy's float64 become such floats,
or are refused where they do not fit one. Where outputs are NaN, so is the loss; a logit of -inf rules its class out.
Labels that are traced cannot be refused: one of no class makes the loss NaN.

Those with further arguments become losses of a task by `functools.partial(dl.losses.huber, delta=0.5)`.
"""

from dlcore.losses.classification import (
    binary_cross_entropy,
    focal,
    hinge,
    kl_divergence,
    multi_label_cross_entropy,
    multiclass_focal,
    multiclass_hinge,
    softmax_cross_entropy,
    weighted_cross_entropy,
)
from dlcore.losses.detection import grid_detection
from dlcore.losses.embeddings import arcface, cosface, mutual_likelihood, mutual_likelihood_scores, sphereface, triplet
from dlcore.losses.mixture_density import mixture_density
from dlcore.losses.reconstruction import bernoulli_cross_entropy
from dlcore.losses.regression import absolute_error, huber, pinball, squared_error
from dlcore.losses.sequences import masked_cross_entropy

__all__ = [
    "absolute_error",
    "arcface",
    "bernoulli_cross_entropy",
    "binary_cross_entropy",
    "cosface",
    "focal",
    "grid_detection",
    "hinge",
    "huber",
    "kl_divergence",
    "masked_cross_entropy",
    "mixture_density",
    "multi_label_cross_entropy",
    "multiclass_focal",
    "multiclass_hinge",
    "mutual_likelihood",
    "mutual_likelihood_scores",
    "pinball",
    "softmax_cross_entropy",
    "sphereface",
    "squared_error",
    "triplet",
    "weighted_cross_entropy",
]
