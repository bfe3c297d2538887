"""Arguments of `dl.activations`."""

import jax.numpy as jnp

EXAMPLES = {
    "relu": lambda: {"x": jnp.ones((2, 3))},
}
