"""Valid arguments of tasks."""

import jax.numpy as jnp
import numpy as np

import dlcore as dl

INPUTS = np.ones((4, 3), np.float32)
LABELS = np.array([0, 1, 1, 0])


def _task(targets, width=2, inputs=INPUTS, **rest):
    return {"model": dl.models.mlp([3, width]), "data": dl.data.Dataset((inputs, targets)), "penalty": None, **rest}


def _autoencoder(**rest):
    model = dl.models.autoencoder([3, 2], variational="beta" in rest)
    return {"model": model, "data": dl.data.Dataset((INPUTS, LABELS)), "loss": dl.losses.squared_error, **rest}


def _detection():
    data = dl.data.Dataset((np.ones((1, 8, 8)), np.array([[[1.0, 0, 0, 0, 4, 4]]])))
    model = dl.models.grid_detector((8, 8), 2, channels=[2])
    rest = {"metrics": None, "penalty": None, "box_weight": 5.0, "no_object_weight": 0.5}
    return {"model": model, "data": data, **rest}


def _tokens():
    data = dl.data.Dataset((np.array([[1, 2, 1]]), np.array([[2, 1, 2]])))
    model = dl.models.recurrent(3, 4, 3, num_tokens=3, output="all")
    return {"model": model, "data": data, "padding": 0, "metrics": None, "penalty": None}


EXAMPLES = {
    "classification": lambda: _task(LABELS, loss=None, metrics={"error": lambda z, y: 0.0}),
    "regression": lambda: _task(INPUTS[:, :2], loss=dl.losses.squared_error, metrics={}),
    "multi_label": lambda: _task(np.eye(4, 2, dtype=int), loss=dl.losses.focal, metrics={}),
    "supervised": lambda: _task(LABELS, loss=dl.losses.softmax_cross_entropy, metrics=None),
    "embedding": lambda: _task(LABELS, loss=dl.losses.triplet, metrics=None),
    "detection": _detection,
    "token_prediction": _tokens,
    "reconstruction": lambda: _autoencoder(corruption=dl.tasks.masking_noise(0.3), sparsity=None),
    "variational": lambda: _autoencoder(beta=1.0),
    "strokes": lambda: {
        "model": dl.models.mlp([2, 2]),
        "data": dl.data.Dataset((np.ones((2, 3, 2), np.float32), np.ones((2, 3), bool))),
        "penalty": None,
    },
    "translation": lambda: {
        "model": dl.models.mlp([2, 2]),
        "data": dl.data.Dataset((np.array([[4, 5]]), dl.data.framed(np.array([[4, 5]])))),
        "penalty": None,
    },
    "l2": lambda: {"strength": 0.1},
    "masking_noise": lambda: {"share": 0.3},
    "gaussian_noise": lambda: {"deviation": 0.1},
    "l1_activity": lambda: {"strength": 0.1},
    "target_activity": lambda: {"target": 0.1, "strength": 1.0},
    "pixel_cross_entropy": lambda: {"logits": jnp.zeros((2, 3)), "images": jnp.ones((2, 3)) / 2},
}
