"""Arguments of `dl.models`."""

import jax
import jax.numpy as jnp
import numpy as np

import dlcore as dl

RADIAL = dl.models.radial_basis(np.array([[0.0, 1.0], [2.0, 3.0]], np.float32), 1.0)


def predictions() -> dl.models.GridPredictions:
    """Of 2 images, 3 x 4 cells and 5 classes."""
    return dl.models.GridPredictions(jnp.ones((2, 3, 4)), jnp.ones((2, 3, 4, 4)), jnp.ones((2, 3, 4, 5)))


def fitting() -> dict:
    """A radial basis network, and what it shall be fitted to."""
    params, state = RADIAL.init(jax.random.key(0))
    inputs, targets = jnp.arange(10.0).reshape(5, 2), jnp.arange(5.0)
    return {"model": RADIAL, "params": params, "state": state, "inputs": inputs, "targets": targets, "penalty": 0.1}


EXAMPLES = {
    "batch_norm": lambda: {"epsilon": 1e-3, "momentum": 0.5, "unbiased": True},
    "group_norm": lambda: {"num_groups": 2, "epsilon": 1e-3},
    "layer_norm": lambda: {"epsilon": 1e-3},
    "autoencoder": lambda: {
        "widths": [6, 4, 2],
        "activation": "relu",
        "code_activation": "tanh",
        "output": "sigmoid",
        "decoder_widths": [2, 4, 6],
        "tied": False,
        "variational": False,
        "normalization": dl.models.layer_norm(epsilon=1e-3),
        "initializer": "he_normal",
    },
    "convolutional": lambda: {
        "image_shape": (8, 8),
        "channels": [2, 3],
        "num_outputs": 3,
        "kernel_size": [3, 2],
        "padding": "SAME",
        "num_groups": 1,
        "activation": "relu",
        "normalization": "group",
        "pool": "max",
        "pool_size": 2,
        "pool_strides": None,
        "pool_padding": "VALID",
        "pool_dilation": 1,
        "pool_counts_padding": False,
        "global_pooling": False,
        "head": (4,),
        "dropout": 0.5,
        "initializer": "he_normal",
        "head_initializer": None,
        "bias_initializer": "zeros",
    },
    "convolutional_autoencoder": lambda: {
        "image_shape": (8, 8),
        "channels": [2, 3],
        "code_size": 2,
        "activation": "relu",
        "output": "linear",
        "kernel_size": 3,
        "num_groups": (1, 1),
        "variational": True,
        "normalization": "batch",
        "initializer": "he_normal",
    },
    "deep_linear": lambda: {"widths": [4, 3, 2], "initializer": "zeros"},
    "deepobs_2c2d": lambda: {"image_shape": (28, 28), "num_classes": 10},
    "deepobs_3c3d": lambda: {"image_shape": (32, 32, 3), "num_classes": 10},
    "detect": lambda: {
        "predictions": predictions(),
        "max_boxes": 2,
        "score_threshold": 0.1,
        "iou_threshold": 0.5,
    },
    "fit_output_layer": fitting,
    "found_boxes": lambda: {"detections": dl.models.detect(predictions(), max_boxes=2)},
    "grid_detector": lambda: {
        "image_shape": (8, 8, 3),
        "num_classes": 2,
        "channels": [2, 3],
        "activation": "leaky_relu",
        "normalization": "layer",
        "initializer": "he_normal",
    },
    "k_means_centers": lambda: {"inputs": np.arange(12.0).reshape(6, 2), "num_centers": 2, "seed": 1},
    "layer_table": lambda: {"model": dl.models.mlp([4, 3]), "x": jnp.ones((2, 4))},
    "lenet": lambda: {"image_shape": (28, 28), "num_classes": 10},
    "linear": lambda: {"num_inputs": 4, "num_outputs": 2, "initializer": "zeros"},
    "logistic": lambda: {"num_inputs": 4, "num_classes": 3, "initializer": "zeros"},
    "mlp": lambda: {
        "widths": [4, 5, 3],
        "activation": "relu",
        "initializer": "he_normal",
        "dropout": 0.5,
        "normalization": "batch",
        "skip": True,
        "output_activation": "identity",
    },
    "nearest_center_widths": lambda: {"centers": np.arange(6.0).reshape(3, 2), "num_neighbors": 2},
    "non_max_suppression": lambda: {
        "boxes": jnp.ones((2, 3, 4)),
        "scores": jnp.ones((2, 3)),
        "classes": jnp.zeros((2, 3), int),
        "max_boxes": 2,
        "iou_threshold": 0.5,
    },
    "num_params": lambda: {"model": dl.models.mlp([4, 3])},
    "radial_basis": lambda: {
        "centers": np.arange(6.0).reshape(3, 2),
        "widths": [1.0, 2.0, 3.0],
        "num_outputs": 2,
        "learned": True,
        "initializer": "zeros",
    },
    "random_centers": lambda: {"key": jax.random.key(0), "inputs": np.arange(12.0).reshape(6, 2), "num_centers": 2},
    "reparameterize": lambda: {
        "key": jax.random.key(0),
        "mean": jnp.ones((2, 3)),
        "log_variance": jnp.ones((2, 3)),
    },
    "resnet": lambda: {
        "image_shape": (8, 8),
        "num_classes": 3,
        "depth": 8,
        "width": 2,
        "activation": "relu",
        "normalization": dl.models.group_norm(2),
        "initializer": "he_normal",
    },
    "spread_widths": lambda: {"centers": np.arange(6.0).reshape(3, 2)},
    "summary": lambda: {"model": dl.models.mlp([4, 3]), "x": dl.models.symbolic("batch, 4")},
    "symbolic": lambda: {"shapes": ("batch, 4", "batch, time"), "dtype": float},
    "true_boxes": lambda: {"targets": np.ones((2, 3, 6))},
    "decomposed": lambda: {
        "modules": [dl.models.linear(2, 1), dl.models.linear(2, 1)],
        "split": lambda x: (x, x),
        "combine": "sum",
    },
    "embedding": lambda: {"backbone": dl.models.linear(4, 2), "num_features": 2, "num_classes": 3},
    "mixture_density": lambda: {
        "num_mixtures": 2,
        "num_units": 2,
        "num_layers": 1,
        "cell": "gru",
        "pen": True,
        "min_deviation": 0.01,
    },
    "mixture_of_experts": lambda: {
        "experts": [dl.models.linear(2, 1), dl.models.linear(2, 1)],
        "gate": dl.models.linear(2, 2),
        "top_k": 1,
    },
    "pretrained": lambda: {"model": dl.models.linear(2, 1), "params": {"kernel": jnp.ones((2, 1))}, "state": {}},
    "probabilistic_embedding": lambda: {
        "backbone": dl.models.linear(4, 2),
        "head": dl.models.linear(2, 2),
        "num_features": 2,
    },
    "recurrent": lambda: {
        "num_inputs": 2,
        "num_units": 2,
        "num_outputs": 2,
        "cell": "simple",
        "num_layers": 2,
        "bidirectional": False,
        "output": "all",
        "num_tokens": 5,
        "padding": 0,
        "stateful": 3,
        "truncation": 2,
        "forget_bias": 1.0,
        "initializer": "lecun_normal",
        "dropout": 0.1,
    },
    "restarted": lambda: {"model": dl.models.linear(2), "change": lambda key, name, values: values + 1},
    "routed": lambda: {
        "modules": [dl.models.linear(2, 1), dl.models.linear(2, 1)],
        "route": lambda x: jnp.zeros(len(x), int),
    },
    "sequence_to_sequence": lambda: {
        "num_source_tokens": 8,
        "num_target_tokens": 8,
        "num_units": 2,
        "embedding_size": 2,
        "cell": "gru",
        "num_layers": 1,
        "attention": "dot",
        "bidirectional": True,
        "dropout": 0.1,
    },
}
