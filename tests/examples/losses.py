"""Valid arguments of losses."""

import jax.numpy as jnp

from dlcore.models.detector import GridPredictions
from dlcore.nn.embeddings import Angles, Gaussian
from dlcore.nn.mixture import Mixture

X, LABELS = jnp.array([[0.0, 1.0, 2.0], [1.0, 0.5, 0.0], [3.0, 1.0, 0.0]]), jnp.array([0, 2, 0])
FLAGS = jnp.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]])
GAUSSIAN, ANGLES = Gaussian(X, 0 * X), Angles(X / 4, jnp.ones(3))
MIXTURE = Mixture(*(jnp.zeros((2, 3, *rest)) for rest in ((2,), (2, 2), (2, 2), (2,), ())))
CELLS = GridPredictions(jnp.zeros((1, 2, 2)), jnp.ones((1, 2, 2, 4)), jnp.zeros((1, 2, 2, 3)))

EXAMPLES = {
    **{name: lambda: {"predictions": X, "targets": X + 1} for name in ("squared_error", "absolute_error")},
    "huber": lambda: {"predictions": X, "targets": X + 1, "delta": 0.5},
    "pinball": lambda: {"predictions": X, "targets": X + 1, "quantile": 0.2},
    "bernoulli_cross_entropy": lambda: {"logits": X, "targets": FLAGS / 2},
    "kl_divergence": lambda: {"logits": X, "targets": FLAGS / FLAGS.sum(axis=1, keepdims=True)},
    "masked_cross_entropy": lambda: {
        "logits": jnp.zeros((2, 3, 4)),
        "labels": jnp.ones((2, 3), int),
        "mask": jnp.array([[True, True, False], [True, True, True]]),
    },
    "softmax_cross_entropy": lambda: {"logits": X, "labels": LABELS},
    "weighted_cross_entropy": lambda: {
        "logits": X,
        "labels": LABELS,
        "label_smoothing": 0.1,
        "class_weights": jnp.ones(3),
    },
    "binary_cross_entropy": lambda: {"logits": X, "labels": FLAGS},
    "multi_label_cross_entropy": lambda: {"logits": X, "labels": FLAGS},
    "multiclass_focal": lambda: {"logits": X, "labels": LABELS, "gamma": 2.0},
    "focal": lambda: {"logits": X, "labels": FLAGS, "gamma": 2.0, "positive_weight": 0.25},
    "hinge": lambda: {"scores": X, "labels": FLAGS},
    "multiclass_hinge": lambda: {"scores": X, "labels": LABELS},
    "mixture_density": lambda: {
        "mixture": MIXTURE,
        "targets": jnp.ones((2, 3, 3)),
        "mask": jnp.ones((2, 3), bool),
    },
    "grid_detection": lambda: {
        "cells": CELLS,
        "targets": jnp.array([[[1.0, 2, 0, 0, 4, 4]]]),
        "image_size": (8, 8),
        "box_weight": 5.0,
        "no_object_weight": 0.5,
    },
    "triplet": lambda: {"embeddings": X, "labels": LABELS, "margin": 0.2, "mining": "hard"},
    "mutual_likelihood": lambda: {"embeddings": GAUSSIAN, "labels": LABELS},
    "mutual_likelihood_scores": lambda: {"a": GAUSSIAN, "b": GAUSSIAN},
    "arcface": lambda: {"angles": ANGLES, "labels": LABELS, "scale": 64.0, "margin": 0.5},
    "cosface": lambda: {"angles": ANGLES, "labels": LABELS, "scale": 64.0, "margin": 0.5},
    "sphereface": lambda: {"angles": ANGLES, "labels": LABELS, "margin": 2, "annealing": 1.0},
}
