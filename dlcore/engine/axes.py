"""A study: a function of trainings, the axes it is evaluated over, and the cells they span."""

import dataclasses
import functools
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import ANYTHING, Constraint, arguments, function, instance, sequence, text
from dlcore.core.description import Description
from dlcore.core.errors import ArgumentError, shown, suggest
from dlcore.core.training import Training
from dlcore.engine.checks import check_training
from dlcore.engine.dtypes import on_host
from dlcore.engine.labels import labels, name_of, same
from dlcore.engine.later import pd

# Hyperparameters by their usual names for which a negative value is a mistake.
NOT_NEGATIVE = ("learning_rate", "lr", "momentum", "weight_decay", "decay_steps", "seed")
INTEGERS = ("seed",)


class Values:
    """The values of one parameter of a study.

    name: of the parameter. labels: as in the results, [n]. traced: as the program gets them, [n]; None if static.
    static: the values themselves; () if traced.
    """

    def __init__(self, name: str, given: Any):
        self.name = name
        self.static: tuple[Any, ...] = ()
        self.traced: np.ndarray | None = None
        if isinstance(given, Mapping):
            if not given or not all(isinstance(key, str | int | float | None) for key in given):
                raise ArgumentError(f"axis {name!r} is {shown(given)}; expects a dictionary from labels to values.")
            self.static, self.labels = tuple(given.values()), labels(list(given))
        elif isinstance(given, list | tuple):
            if not len(given):
                raise ArgumentError(f"axis {name!r} is empty; expects at least one value.")
            if name in NOT_NEGATIVE:
                numbers = [value if isinstance(value, int | float | np.number) else 1 for value in given]
                _check_range(name, numbers, numbers)
            self.static, self.labels = tuple(given), labels(given)
        else:
            self.labels = _numbers(name, given)
            self.traced = _converted(name, self.labels)

    @classmethod
    def known(cls, name: str, labels: np.ndarray, traced: np.ndarray | None) -> "Values":
        """Values read from a store: of static ones only the labels are known, which stand for them."""
        values = cls.__new__(cls)
        values.name, values.labels, values.traced = name, labels, traced
        values.static = () if traced is not None else tuple(labels.tolist())
        return values

    def __len__(self) -> int:
        return len(self.labels)


class Points:
    """Values of several parameters that go together; see `points`."""

    def __init__(self, name: str, given: Mapping[str, Any]):
        self.name = name
        self.values = tuple(Values(parameter, each) for parameter, each in given.items())
        sizes = {values.name: len(values) for values in self.values}
        if not sizes or len(set(sizes.values())) > 1:
            listed = ", ".join(f"{parameter} {size}" for parameter, size in sizes.items()) or "nothing"
            raise ArgumentError(f"points: the numbers of values are {listed}; expects as many of each parameter.")

    def __len__(self) -> int:
        return len(self.values[0])

    def __repr__(self) -> str:
        return f"{len(self)} points of {', '.join(values.name for values in self.values)}"


@arguments(dim=sequence(text, most=1, text="at most one name"), parameters=ANYTHING)
def points(*dim: str, **parameters: Any) -> Points:
    """Values that go together, one cell for each, where axes would take all combinations: a random search.

    Args:
      dim: name of the dimension in the results, whose coordinates are the parameters; "point" by default.
      parameters: parameter of the function to its values, as many for each; an array is traced, a list static, as in
        `dlcore.study`.

    Raises:
      ArgumentError: different numbers of values, or values that are none.

    Example:
      >>> exponents = np.random.default_rng(0).uniform([-3, -5], [0, -2], (20, 2))  # a row for each point
      >>> dl.points(learning_rate=10 ** exponents[:, 0], weight_decay=10 ** exponents[:, 1])
      20 points of learning_rate, weight_decay
    """
    return Points(dim[0] if dim else "point", parameters)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Study:
    """A function of trainings and the dimensions it is evaluated over; the cells are their product, in C order.

    dims: name of a dimension to the values along it, those of one parameter or of several that go together.
    """

    fn: Callable[..., Training]
    dims: Mapping[str, tuple[Values, ...]] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each dimension."""
        return tuple(len(values[0]) for values in self.dims.values())

    @property
    def num_cells(self) -> int:
        """Number of runs."""
        return math.prod(self.shape)

    @functools.cached_property
    def traced(self) -> dict[str, np.ndarray]:
        """The value of each traced parameter in each cell, [num_cells]."""
        return {values.name: values.traced[index] for values, index in self._along_cells() if values.traced is not None}

    @functools.cached_property
    def programs(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Each different combination of static values, by name, and the cells that have it, in order."""
        number = np.zeros(self.num_cells, int)  # of the combination, as its values are met
        columns = [(values, index) for values, index in self._along_cells() if values.traced is None]
        for values, index in columns:
            first = [next(i for i, other in enumerate(values.static) if same(other, each)) for each in values.static]
            _, number = np.unique(number * len(first) + np.asarray(first)[index], return_inverse=True)
        _, starts, group = np.unique(number, return_index=True, return_inverse=True)
        order = np.argsort(starts)  # in the order of their first cells
        return [
            ({values.name: values.static[index[starts[n]]] for values, index in columns}, np.flatnonzero(group == n))
            for n in order
        ]

    def training(self, cell: Mapping[str, Any]) -> Training:
        """`fn(**cell)`, checked."""
        return check_training(self.fn(**cell), getattr(self.fn, "__name__", "fn"))

    def abstract_cell(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of each traced value of one cell."""
        return {name: jax.ShapeDtypeStruct((), values.dtype) for name, values in self.traced.items()}

    def coordinates(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Labels along the dimensions, as xarray takes them."""
        found: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for dim, along in self.dims.items():
            if (dim,) != tuple(values.name for values in along):
                found[dim] = ((dim,), np.arange(len(along[0])))
            found |= {values.name: ((dim,), as_given(values.labels)) for values in along}
        return found

    def cell_words(self, *rows: int) -> list[str]:
        """The values of cells, by their labels."""
        columns = self._along_cells()
        return [", ".join(f"{values.name}={values.labels[index[row]]}" for values, index in columns) for row in rows]

    def __repr__(self) -> str:
        return self._described().text()

    def _repr_html_(self) -> str:
        return self._described().html()

    def _described(self) -> Description:
        rows = [
            (
                values.name if values.name == dim else f"{values.name} (dim {dim})",
                f"{len(values)} {'static' if values.traced is None else 'traced'}: {_excerpt(values.labels)}",
            )
            for dim, along in self.dims.items()
            for values in along
        ]
        head = f"{_count(self.num_cells, 'cell')}, {_count(len(self.programs), 'program')}"
        return Description(f"Study of {name_of(self.fn)}", head, rows)

    def _along_cells(self) -> list[tuple[Values, np.ndarray]]:
        """All values, each with its index in every cell, [num_cells]."""
        grids = np.meshgrid(*(np.arange(n) for n in self.shape), indexing="ij")
        return [
            (values, grid.reshape(-1))
            for along, grid in zip(self.dims.values(), grids, strict=True)
            for values in along
        ]


MAKES_TRAININGS = Constraint("a function that returns dl.training(...)", function.accept)
POINTS = sequence(instance(Points, example="dl.points(learning_rate=..., weight_decay=...)"))


@arguments(fn=MAKES_TRAININGS, points=POINTS, axes=ANYTHING)
def study(fn: Callable[..., Training], /, *points: Points, **axes: Any) -> Study:
    """A study as a value: printed it shows its cells and programs; `dlcore.sweep` executes it.

    Args:
      fn: pure; returns `dlcore.training(...)`. Called under a trace, with traced scalars for arrays.
      points: of `dlcore.points`: parameters whose values go together, along one dimension.
      axes: parameter of `fn` to its values. A NumPy or JAX array [n] is traced and mapped; a list or tuple is static
        and compiles once per value; so is a dictionary, whose keys are the labels in the results.

    Raises:
      ArgumentError: a parameter that the function does not have, that is lacking or given twice; values that are none.

    Example:
      >>> def fit(seed, learning_rate):
      ...     task = dl.tasks.classification(dl.models.linear(4, 3), dl.data.iris())
      ...     return dl.training(jax.random.key(seed), task, optax.sgd(learning_rate), batch_size=30, num_epochs=5)
      >>> dl.study(fit, seed=np.arange(4), learning_rate=np.array([0.01, 0.1]))
      Study of fit: 8 cells, 1 program
        seed: 4 traced: 0, 1, 2, 3
        learning_rate: 2 traced: 0.01, 0.1
    """
    dims: dict[str, tuple[Values, ...]] = {}
    for each in points:
        if each.name in dims:
            raise ArgumentError(
                f"two points have the dimension {each.name!r}; expects one name each: dl.points('NAME', ...)."
            )
        dims[each.name] = each.values
    parameters = [values.name for along in dims.values() for values in along] + list(axes)
    _check_parameters(fn, parameters)
    for name, given in axes.items():
        if name in dims:
            raise ArgumentError(f"the axis {name!r} has the name of points; expects another: dl.points('NAME', ...).")
        dims[name] = (Values(name, given),)
    for name in dims:
        if name in parameters and name not in (values.name for values in dims[name]):
            raise ArgumentError(f"{name!r} is a dimension of points and another's parameter; expects one. Rename it.")
    if isinstance(fn, jax.stages.Wrapped):  # compiled by itself it could not return functions
        fn = inspect.unwrap(fn)
    return Study(fn, dims)


def _check_parameters(fn: Callable[..., Training], given: Sequence[str]) -> None:
    """Each parameter of the function once, and no others."""
    parameters = inspect.signature(fn).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in given:
        if name not in named and not takes_any:
            raise ArgumentError(f"axis {name!r} is not a parameter of the function; {suggest(name, named)}")
        if given.count(name) > 1:
            raise ArgumentError(f"the parameter {name!r} is given twice, by points and axes; expects one of them.")
    missing = [name for name, p in named.items() if p.default is p.empty and name not in given]
    if missing:
        raise ArgumentError(
            f"the function's parameters {', '.join(missing)} have neither an axis nor a default. "
            f"Add {missing[0]}=... to the study, or fix the value with functools.partial."
        )


def _numbers(name: str, values: Any) -> np.ndarray:
    """The values of a traced axis as they were given."""
    if isinstance(values, range):
        values = np.asarray(values)
    if not isinstance(values, np.ndarray | jax.Array):
        raise ArgumentError(
            f"axis {name!r} is {shown(values)}; expects an array (traced) or a list (static, compiled once per "
            f"value). For one value: {name}=[{shown(values)}]."
        )
    if values.ndim != 1:
        raise ArgumentError(
            f"axis {name!r} has shape {values.shape}; an axis is 1-d. Pass the flattened values, or two axes."
        )
    if values.size == 0:
        raise ArgumentError(f"axis {name!r} is empty; expects at least one value.")
    if isinstance(values, np.ndarray):
        values = values.astype(values.dtype.newbyteorder("="), copy=False)  # JAX knows no other byte order
    if jax.dtypes.issubdtype(values.dtype, np.floating):
        values = np.asarray(values).astype(on_host(values.dtype), copy=False)
    if jax.dtypes.issubdtype(values.dtype, jax.dtypes.extended) or np.dtype(values.dtype).kind not in "biuf":
        raise ArgumentError(
            f"axis {name!r} has dtype {values.dtype}; a traced axis holds numbers (of keys, pass the integer "
            f"seeds). For static values: {name}=[...]."
        )
    return np.asarray(values)


def _converted(name: str, values: np.ndarray) -> np.ndarray:
    """In the dtype that JAX computes with."""
    with np.errstate(over="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not fit is reported below
        converted = values.astype(jax.dtypes.canonicalize_dtype(values.dtype))
    _check_range(name, values, converted)
    return converted


def _check_range(name: str, values: Any, converted: Any) -> None:
    """Check the values given, next to what they become in the dtype JAX computes with."""
    for position, (value, new) in enumerate(zip(values, converted, strict=True)):
        expected = "finite numbers" + (", 0 or more" if name in NOT_NEGATIVE else "")
        if name in INTEGERS:
            expected = "integers that fit 32 bits, 0 or more"
        fits = math.isfinite(new) and (isinstance(new, float | np.floating) or new == value)
        whole = name not in INTEGERS or new == int(new) if math.isfinite(new) else False
        if not fits or not whole or (name in NOT_NEGATIVE and value < 0):
            raise ArgumentError(f"axis {name!r} holds {value} at position {position}; expects {expected}.")


def as_given(labels: np.ndarray) -> Any:
    """Labels as xarray takes them without turning None into NaN."""
    return pd.Index(labels, dtype=object) if labels.dtype == object else labels


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _excerpt(values: np.ndarray, most: int = 6) -> str:
    """The labels, or the first and the last of many."""
    shown_values = [f"{value:.4g}" if isinstance(value, float | np.floating) else str(value) for value in values]
    if len(shown_values) > most:
        shown_values = [*shown_values[: most - 2], "...", shown_values[-1]]
    return ", ".join(shown_values)
