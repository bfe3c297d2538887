"""The door of every model: inputs as arrays that JAX computes with, and zeros where a mask hides what there is."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import RefusedError, as_array
from dlcore.core.dtypes import is_float
from dlcore.core.errors import DataError, described
from dlcore.nn.masked import Masked, checked_masked


def entered(x: Any, what: str = "apply: inputs") -> Any:
    """The inputs of a model, a tree, with every NumPy array in it as one of JAX's dtypes and every `Masked` checked.

    Args:
      what: they are, in the plural, for the message.

    Raises:
      DataError: arrays of no numbers, with masked values, or of integers that 32 bits do not hold; a mask that does
        not fit.
    """
    return jax.tree.map(functools.partial(_entered, what), x, is_leaf=lambda node: isinstance(node, Masked))


def entered_rows(x: Any) -> Any:
    """The same of one row or more.

    Raises:
      DataError: also arrays without a row.
    """
    x = entered(x)
    if any(getattr(leaf, "shape", (1,))[:1] == (0,) for leaf in jax.tree.leaves(x)):
        raise DataError(f"apply: inputs are {described(x)}; expects one row or more. Leave empty batches out.")
    return x


def as_numbers(name: str, x: Any) -> Any:
    """One array of numbers; narrower floats than 16 bits, for which JAX has no arithmetic, as float32.

    Raises:
      DataError: anything else, e.g. a tuple or a dictionary. name: of the model, for the message.
    """
    try:
        if isinstance(x, tuple | dict | str | None):
            raise RefusedError
        found = _in_range(as_array(x))
    except RefusedError as refusal:
        raise DataError(
            f"{name}: inputs are {_named(x)}; expects one array of numbers [B, ...]. {refusal}".rstrip()
        ) from None
    if is_float(found.dtype) and found.dtype.itemsize < 2:
        return found.astype(float)
    return found


def as_features(name: str, x: Any, num_inputs: int, advice: str) -> Any:
    """Inputs [B, num_inputs], floats.

    Raises:
      DataError: another shape, integers. advice: what to do then.
    """
    x = as_numbers(name, x)
    if x.ndim != 2 or x.shape[1] != num_inputs or not is_float(x.dtype):
        raise DataError(
            f"{name}: inputs are {x.dtype}{list(x.shape)}; the first layer expects floats [B, {num_inputs}]. {advice}"
        )
    return x


def as_pixels(name: str, x: Any) -> jax.Array:
    """Real numbers [B, *sizes, C], one size or more.

    Raises:
      DataError: another shape, complex numbers. name: of the function, for the message.
    """
    x = as_numbers(name, x)
    if x.ndim < 3 or x.dtype.kind == "c":
        raise DataError(f"{name}: x is {x.dtype}{list(x.shape)}; expects real numbers [B, *sizes, C].")
    return jnp.asarray(x)


def _entered(what: str, leaf: Any) -> Any:
    if isinstance(leaf, Masked):
        return checked_masked(Masked(_entered("Masked: values", leaf.values), leaf.mask))
    if not isinstance(leaf, np.ndarray | np.generic):
        return leaf
    try:
        return _in_range(as_array(leaf))
    except RefusedError as refusal:
        raise DataError(f"{what} are {_named(leaf)}; expects numbers. {refusal}".rstrip()) from None


def _in_range(found: Any) -> Any:
    """An array in a dtype of JAX, which would drop the upper half of 64-bit integers, and knows neither text nor dates.

    A NumPy array stays one: it has values in a trace too, that can be checked.
    """
    if isinstance(found, jax.Array):
        return found
    small = found.dtype.kind == "V" and jnp.issubdtype(found.dtype, jnp.number)  # bfloat16 and its like
    if found.dtype.kind not in "biufc" and not small:
        raise RefusedError("Convert them, e.g. with x.astype('float32').")
    if found.dtype.kind == "c" and found.dtype.itemsize > 16:
        found = found.astype(np.complex128)
    dtype = jax.dtypes.canonicalize_dtype(found.dtype)
    if found.dtype.kind in "iu" and found.size and dtype != found.dtype:
        low, high = found.min(), found.max()
        if low < np.iinfo(dtype).min or high > np.iinfo(dtype).max:
            raise RefusedError(f"They reach from {low} to {high}, beyond {dtype}: convert them to floats.")
    with np.errstate(over="ignore"):  # beyond the range of a float it is inf, as JAX has it
        return found.astype(dtype, copy=False)


def _named(x: Any) -> str:
    found = described(x)
    return type(x).__name__ if found == "nothing" else found
