"""Arguments of functions directly under `dl`."""

import jax.numpy as jnp
from flax import linen, nnx

EXAMPLES = {
    "from_linen": lambda: {"module": linen.Dense(2), "example_inputs": jnp.ones((1, 4))},
    "from_nnx": lambda: {"build": lambda rngs: nnx.Linear(4, 2, rngs=rngs), "parts": ()},
}
