"""The axes of a study: what may be one, which are traced and which static, and the cells they span."""

import dataclasses
import inspect
import itertools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import integer
from dlcore.core.errors import ArgumentError, suggest
from dlcore.core.training import Training

# Hyperparameters by their usual names for which a negative value is a mistake.
NOT_NEGATIVE = ("learning_rate", "momentum", "weight_decay", "decay_steps", "seed")
INTEGERS = ("seed",)


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """A function of trainings and the axes it is evaluated over; the cells are the product of the axes.

    axes: name to values [n], in the order given: an array for a traced axis, a tuple for a static one.
    """

    fn: Callable[..., Training]
    axes: Mapping[str, np.ndarray | tuple]

    @property
    def static(self) -> dict[str, tuple]:
        """The axes that compile once per value."""
        return {name: values for name, values in self.axes.items() if isinstance(values, tuple)}

    @property
    def traced(self) -> dict[str, np.ndarray]:
        """The axes that are mapped inside the program."""
        return {name: values for name, values in self.axes.items() if isinstance(values, np.ndarray)}

    @property
    def num_traced_cells(self) -> int:
        """Number of combinations of traced values."""
        return math.prod(len(values) for values in self.traced.values())

    def static_cells(self) -> list[dict[str, Any]]:
        """Each combination of static values, by name."""
        return [dict(zip(self.static, values, strict=True)) for values in itertools.product(*self.static.values())]

    def traced_cells(self) -> dict[str, np.ndarray]:
        """Each traced axis' value in each combination, [num_traced_cells]; the last axis varies fastest."""
        grids = np.meshgrid(*self.traced.values(), indexing="ij")
        return {name: grid.reshape(-1) for name, grid in zip(self.traced, grids, strict=True)}

    def training(self, cell: Mapping[str, Any]) -> Training:
        """`fn(**cell)`, checked."""
        return check_training(self.fn(**cell), getattr(self.fn, "__name__", "fn"))

    def name_of(self, static: Mapping[str, Any]) -> str:
        """Static values in words, for a message."""
        return ", ".join(f"{name}={value!r}" for name, value in static.items()) or "the run"

    def abstract_cell(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of each traced value of one cell."""
        return {name: jax.ShapeDtypeStruct((), values.dtype) for name, values in self.traced.items()}


def study_of(fn: Callable[..., Training], axes: Mapping[str, Any]) -> Study:
    """The study of `fn` over `axes`; raises `ArgumentError` for what cannot be one."""
    if not callable(fn):
        raise ArgumentError(f"sweep's first argument is {fn!r}; expects a function that returns dl.training(...).")
    parameters = inspect.signature(fn).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in axes:
        if name not in named and not takes_any:
            raise ArgumentError(f"sweep axis {name!r} is not a parameter of the function; {suggest(name, named)}")
    missing = [name for name, p in named.items() if p.default is p.empty and name not in axes]
    if missing:
        raise ArgumentError(
            f"the function's parameters {', '.join(missing)} have neither an axis nor a default. "
            f"Add {missing[0]}=... to the sweep, or fix the value with functools.partial."
        )
    return Study(fn, {name: checked_axis(name, values) for name, values in axes.items()})


def checked_axis(name: str, values: Any) -> np.ndarray | tuple:
    """The axis' values: a tuple if static, else an array in the dtype JAX computes with."""
    if isinstance(values, list | tuple):
        if not values:
            raise ArgumentError(f"sweep axis {name!r} is empty; expects at least one value.")
        numbers = [value if isinstance(value, int | float | np.number) else 1 for value in values]
        _check_range(name, numbers, numbers)
        return tuple(values)
    if isinstance(values, range):
        values = np.asarray(values)
    if not isinstance(values, np.ndarray | jax.Array):
        raise ArgumentError(
            f"sweep axis {name!r} is {values!r}; expects an array (traced) or a list (static, compiled once per "
            f"value). For one value: {name}=[{values!r}]."
        )
    if values.ndim != 1:
        raise ArgumentError(
            f"sweep axis {name!r} has shape {values.shape}; an axis is 1-d. Pass the flattened values, or two axes."
        )
    if values.size == 0:
        raise ArgumentError(f"sweep axis {name!r} is empty; expects at least one value.")
    if isinstance(values, np.ndarray):
        values = values.astype(values.dtype.newbyteorder("="), copy=False)  # JAX knows no other byte order
    if jax.dtypes.issubdtype(values.dtype, jax.dtypes.extended) or np.dtype(values.dtype).kind not in "biuf":
        raise ArgumentError(
            f"sweep axis {name!r} has dtype {values.dtype}; a traced axis holds numbers (of keys, pass the integer "
            f"seeds). For static values: {name}=[...]."
        )
    array = np.asarray(values)
    with np.errstate(over="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not fit is reported below
        converted = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
    _check_range(name, array, converted)
    return converted


def check_training(training: Any, name: str) -> Training:
    """The argument, if it is a `Training`."""
    if not isinstance(training, Training):
        raise ArgumentError(f"{name} gave a {type(training).__name__}; expects a Training, from dl.training(...).")
    integer(meaning="records").check(f"{name}: num_records", training.num_records)
    return training


def labels(values: np.ndarray | tuple) -> np.ndarray:
    """Coordinate labels of an axis: numbers and strings as they are, other things by their name."""
    if isinstance(values, np.ndarray):
        return values
    for kind in (bool, int, int | float):
        if all(isinstance(value, kind) for value in values):
            return np.asarray(values)
    return np.asarray([getattr(value, "__name__", None) or str(value) for value in values], object)


def _check_range(name: str, values: Any, converted: Any) -> None:
    """Check the values given, next to what they become in the dtype JAX computes with."""
    for position, (value, new) in enumerate(zip(values, converted, strict=True)):
        expected = "finite numbers" + (", 0 or more" if name in NOT_NEGATIVE else "")
        if name in INTEGERS:
            expected = "integers that fit 32 bits, 0 or more"
        fits = math.isfinite(new) and (isinstance(new, float | np.floating) or new == value)
        whole = name not in INTEGERS or new == int(new) if math.isfinite(new) else False
        if not fits or not whole or (name in NOT_NEGATIVE and value < 0):
            raise ArgumentError(f"sweep axis {name!r} holds {value} at position {position}; expects {expected}.")
