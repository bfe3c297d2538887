"""Arguments of `dl.probes`."""

import jax.numpy as jnp

EXAMPLES = {"layer_norms": lambda: {"values": {"dense": {"kernel": jnp.ones(2)}}, "dim": "layer"}}
