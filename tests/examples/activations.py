"""Arguments of `dl.activations`."""

import jax.numpy as jnp

EXAMPLES = {
    "by_name": lambda: {"activation": "relu"},
    "elu": lambda: {"x": jnp.ones((2, 3)), "alpha": 0.5},
    "gelu": lambda: {"x": jnp.ones((2, 3))},
    "identity": lambda: {"x": jnp.ones((2, 3))},
    "leaky_relu": lambda: {"x": jnp.ones((2, 3)), "slope": 0.5},
    "prelu": lambda: {"x": jnp.ones((2, 3)), "slope": 0.5},
    "relu": lambda: {"x": jnp.ones((2, 3))},
    "selu": lambda: {"x": jnp.ones((2, 3))},
    "sigmoid": lambda: {"x": jnp.ones((2, 3))},
    "silu": lambda: {"x": jnp.ones((2, 3))},
    "softmax": lambda: {"x": jnp.ones((2, 3))},
    "softplus": lambda: {"x": jnp.ones((2, 3))},
    "softsign": lambda: {"x": jnp.ones((2, 3))},
    "tanh": lambda: {"x": jnp.ones((2, 3))},
    "layer": lambda: {"activation": "prelu"},
    "num_pieces": lambda: {"activation": "maxout"},
}
