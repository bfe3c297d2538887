"""Arguments of `dl.textbook`."""

import jax.numpy as jnp
import numpy as np
import optax

import dlcore as dl


def _params():
    layer = {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}
    return {"layers": {0: layer, 1: layer}}


def _elman():
    return dl.textbook.Elman(jnp.ones((2, 3)), jnp.full((3, 3), 0.1), jnp.zeros(3))


_CORNERS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])

EXAMPLES = {
    "descent_path": lambda: {
        "height": lambda x: 0.5 * jnp.sum(x**2),
        "start": jnp.ones(2),
        "optimizer": optax.sgd(0.5),
        "num_steps": 3,
    },
    "carried_back": lambda: {"error": jnp.ones((2, 3)), "jacobians": jnp.ones((2, 4, 3, 3))},
    "central_differences": lambda: {"loss": lambda x: x @ x, "point": jnp.ones(2), "step": 0.01},
    "elman_states": lambda: {"params": _elman(), "inputs": jnp.ones((2, 4, 2)), "activation": "tanh"},
    "gradient_distance": lambda: {"found": _params(), "expected": _params()},
    "over_problems": lambda: {
        "evaluate": lambda params, inputs, targets: inputs.sum(),
        "seeds": [0, 1],
        "widths": [2, 1],
        "loss": "squared_error",
        "dtype": "float32",
    },
    "random_problems": lambda: {
        "seeds": [0, 1],
        "widths": [2, 3, 1],
        "loss": "squared_error",
        "num_rows": 4,
    },
    "state_jacobians": lambda: {"params": _elman(), "inputs": jnp.ones((2, 4, 2)), "activation": "tanh"},
    "best_line": lambda: {"points": _CORNERS, "classes": np.array([0, 1, 1, 0]), "num_directions": 8},
    "best_stretches": lambda: {"classes": np.array([0, 1, 1, 0]), "num_changes": 1},
    "best_tree": lambda: {"inputs": _CORNERS, "classes": np.array([0, 1, 1, 0]), "num_cuts": 3},
    "reduced_rank_regression": lambda: {
        "inputs": np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        "targets": np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]),
        "rank": 1,
    },
    "sawtooth": lambda: {"num_layers": 2},
    "sawtooth_params": lambda: {"num_layers": 2},
    "through_layers": lambda: {
        "params": _params(),
        "inputs": jnp.ones((3, 2)),
        "targets": jnp.array([0, 1, 1]),
        "activation": "relu",
        "loss": "softmax_cross_entropy",
    },
    "through_time": lambda: {
        "params": _elman(),
        "inputs": jnp.ones((2, 4, 2)),
        "state_errors": jnp.ones((2, 4, 3)),
        "num_steps": 2,
        "activation": "tanh",
    },
    "unrolled_gradients": lambda: {
        "params": _elman(),
        "inputs": jnp.ones((2, 4, 2)),
        "state_errors": jnp.ones((2, 4, 3)),
        "activation": "tanh",
    },
}
