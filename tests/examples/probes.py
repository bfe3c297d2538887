"""Arguments of `dl.probes`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import small
import xarray as xr
from observations import observed


@functools.cache
def _seen():
    return observed(small.CLASSIFICATION)


EXAMPLES = {
    "activations": lambda: {"seen": _seen(), "split": "train", "num_rows": 8, "margin": 0.05, "dim": "hidden_layer"},
    "eigenvalues": lambda: {"coefficients": np.array([[2.0, 2.0], [1.0, 0.0]])},
    "gradient_noise": lambda: {"seen": _seen(), "split": "train", "num_rows": 8},
    "hessian_trace": lambda: {
        "seen": _seen(),
        "split": "train",
        "num_rows": 8,
        "num_samples": 2,
        "key": jax.random.key(0),
    },
    "kernel_eigenvalues": lambda: {"kernel": np.eye(2)},
    "lanczos": lambda: {"product": lambda vector: 2 * vector, "start": jnp.ones(3), "num_iterations": 2},
    "layer_norms": lambda: {"values": {"dense": {"kernel": jnp.ones(2)}}, "dim": "layer"},
    "noise_scale": lambda: {"records": xr.DataArray([2.0, 4.0], {"part": ["signal", "noise"]}, ("part",)), "over": ()},
    "sharpness": lambda: {
        "seen": _seen(),
        "split": "train",
        "num_rows": 8,
        "num_iterations": 2,
        "key": jax.random.key(0),
    },
    "tangent_kernel": lambda: {"seen": _seen(), "split": "train", "num_rows": 4, "outputs": "mean"},
    "two_batch_noise": lambda: {
        "seen": _seen(),
        "small": 2,
        "big": 4,
        "split": "train",
        "key": jax.random.key(0),
    },
    "unit_statistics": lambda: {"values": jnp.ones((2, 3)), "activation": "relu", "margin": 0.05},
    "unit_symmetry": lambda: {"params": {"dense": {"kernel": jnp.ones((2, 3))}}, "dim": "layer", "rounding": 1e-5},
    "update_ratios": lambda: {"seen": _seen(), "dim": "layer"},
}
