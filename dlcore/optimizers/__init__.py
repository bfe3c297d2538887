"""Optimizers by name and learning-rate schedules, composed of optax transformations."""

from dlcore.optimizers.named import CLIPPINGS, OPTIMIZERS, by_name
from dlcore.optimizers.schedules import constant, cosine, exponential, inverse_time, step_decay, warm_up

__all__ = [
    "CLIPPINGS",
    "OPTIMIZERS",
    "by_name",
    "constant",
    "cosine",
    "exponential",
    "inverse_time",
    "step_decay",
    "warm_up",
]
