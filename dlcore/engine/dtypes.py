"""Types of numbers in results: those that NumPy, xarray and Zarr hold."""

from typing import Any

import jax
import numpy as np


def on_host(dtype: Any) -> np.dtype:
    """What NumPy, xarray and Zarr hold of a dtype: the small floats that they do not know become float32."""
    known = np.dtype(dtype).kind in "biufc"
    return np.dtype(dtype) if known else np.dtype(np.float32)


def as_numbers(leaf: Any) -> Any:
    """Random keys as the integers they are made of."""
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
