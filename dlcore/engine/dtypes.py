"""Numbers in results: the types that NumPy, xarray and Zarr hold, keys as numbers, names for values."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def on_host(dtype: Any) -> np.dtype:
    """What NumPy, xarray and Zarr hold of a dtype: the small floats that they do not know become float32."""
    known = np.dtype(dtype).kind in "biufc"
    return np.dtype(dtype) if known else np.dtype(np.float32)


def as_numbers(leaf: Any) -> Any:
    """Random keys as the integers they are made of."""
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def as_leaf(numbers: Any, like: Any) -> jax.Array:
    """What `as_numbers` was given, with the dtype of `like`."""
    if not jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jnp.asarray(numbers, like.dtype)
    impl = jax.random.key_impl(jnp.zeros((), like.dtype))
    return jax.random.wrap_key_data(jnp.asarray(numbers, jnp.uint32), impl=impl)


def bits(array: np.ndarray) -> np.ndarray:
    """The bytes of an array, in C order, [n] uint8."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and values, in C order."""
    array = np.asarray(array)
    order = ">" if array.dtype.byteorder == ">" else ""
    found = hashlib.sha256(f"{order}{array.dtype.name}{list(array.shape)}".encode())
    found.update(bits(array).data)
    return found.hexdigest()
