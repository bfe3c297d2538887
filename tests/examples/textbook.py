"""Arguments of `dl.textbook`."""

import jax.numpy as jnp

import dlcore as dl


def _params():
    layer = {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}
    return {"layers": {0: layer, 1: layer}}


def _elman():
    return dl.textbook.Elman(jnp.ones((2, 3)), jnp.full((3, 3), 0.1), jnp.zeros(3))


EXAMPLES = {
    "elman_states": lambda: {"params": _elman(), "inputs": jnp.ones((2, 4, 2)), "activation": "tanh"},
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
}
