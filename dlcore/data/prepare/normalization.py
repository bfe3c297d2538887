"""Normalization: shift and scale by statistics of the train split, and back."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments, array, boolean, instance, number, one_of
from dlcore.core.dataset import Dataset, Split, one_array
from dlcore.core.dtypes import is_float
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.values import in_pieces, sealed
from dlcore.data.parameters import DATASET
from dlcore.data.prepare.statistics import Statistics, check_finite, statistics
from dlcore.data.read.streamed import Streamed

Per = Literal["feature", "global"]
PER = one_of("feature", "global")
VALUES = array(ndim=range(1, 33), text="numbers [N, ...]")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scaling:
    """What a `Normalizer` learned: (values - center) / scale + offset; a pytree.

    center, scale, offset: arrays that fit the values [N, ...], of size 1 along the first axis, or along all.
    dtype: of the values it was fitted to; `invert` returns it. row: the shape of their rows, None for one scale of all.

    Example:
      >>> scaling = dl.data.z_score().fit(np.array([[1.0], [3.0]]))
      >>> scaling.center.tolist(), scaling.scale.tolist()
      ([[2.0]], [[1.0]])
    """

    center: Any
    scale: Any
    offset: Any
    dtype: np.dtype = dataclasses.field(metadata={"static": True})
    row: tuple[int, ...] | None = dataclasses.field(metadata={"static": True})


class Normalizer(NamedTuple):
    """Shift and scale as pure functions, of NumPy or JAX arrays [N, ...].

    fit: `fit(values) -> Scaling`, on the train split only; finite numbers. Known values are taken in float64.
    apply: `apply(scaling, values) -> floats`: integers become float32, floats keep their dtype.
    invert: `invert(scaling, floats) -> values`; integers rounded, and cut off at the ends of their dtype. Of known ones
      up to 2^53 exactly those that came in, if they span less than 2^23; less if min_max maps them far from 0.
    description: of what it does, for `Dataset.normalization`.

    All three raise `DataError` for what are no numbers, for masked values and for rows of another shape.

    Example:
      >>> normalizer = dl.data.z_score()
      >>> values = np.array([[1.0], [3.0]])
      >>> scaling = normalizer.fit(values)
      >>> normalizer.apply(scaling, np.array([[5.0]])).tolist(), normalizer.description
      ([[3.0]], 'standardized per column')
    """

    fit: Callable[[Any], Scaling]
    apply: Callable[[Scaling, Any], Any]
    invert: Callable[[Scaling, Any], Any]
    description: str


@arguments(low=number(), high=number(), per=PER)
def min_max(low: float = 0.0, high: float = 1.0, *, per: Per = "feature") -> Normalizer:
    """From the smallest to the largest value onto [low, high]; what is constant, to the middle.

    Args:
      per: "feature" for each column (for images, each pixel) by itself, "global" for all together.

    Raises:
      ArgumentError: low is not below high, an unknown `per`.

    Example:
      >>> normalizer = dl.data.min_max(-1, 1)
      >>> values = np.array([[0.0], [5.0], [10.0]])
      >>> normalizer.apply(normalizer.fit(values), values).tolist()
      [[-1.0], [0.0], [1.0]]
    """
    if not low < high:
        raise ArgumentError(f"min_max: low is {low!r} and high {high!r}; expects low below high.")

    def scaling(s):
        return s.low, s.spread / (high - low), s.select(low, (low + high) / 2)

    return _normalizer(scaling, per, f"scaled to [{low:g}, {high:g}]")


@arguments(per=PER)
def mean_normalization(*, per: Per = "feature") -> Normalizer:
    """(value - mean) / (largest - smallest): mean 0, within [-1, 1]; what is constant, to 0.

    Args, Raises: as `min_max`.

    Example:
      >>> normalizer = dl.data.mean_normalization()
      >>> values = np.array([[0.0], [4.0], [5.0]])
      >>> normalizer.apply(normalizer.fit(values), values).round(2).tolist()
      [[-0.6], [0.2], [0.4]]
    """
    return _normalizer(lambda s: (s.center, s.spread, -s.rest / s.spread), per, "mean-normalized")


@arguments(per=PER)
def z_score(*, per: Per = "feature") -> Normalizer:
    """(value - mean) / standard deviation: mean 0, deviation 1; what is constant, to 0.

    Args, Raises: as `min_max`.

    Example:
      >>> normalizer = dl.data.z_score()
      >>> values = np.array([[1.0], [3.0]])
      >>> scaling = normalizer.fit(values)
      >>> normalizer.invert(scaling, normalizer.apply(scaling, values)).tolist()
      [[1.0], [3.0]]
    """
    return _normalizer(lambda s: (s.center, s.deviation, -s.rest / s.deviation), per, "standardized")


@arguments(dataset=DATASET, normalizer=instance(Normalizer, example="dl.data.z_score()"), targets=boolean)
def normalize(dataset: Dataset, normalizer: Normalizer, *, targets: bool = False) -> Dataset:
    """The data set with inputs normalized by statistics of the train split; `Dataset.normalization` says so.

    Args:
      targets: do the same to the targets (regression). Their scaling, to give predictions back in the units they came
        in, is `normalizer.fit(dataset.train.targets)`.

    Raises:
      DataError: streamed inputs, several inputs or targets, no targets to normalize.

    Example:
      >>> data = dl.data.normalize(dl.data.iris(), dl.data.min_max(-1, 1))
      >>> float(data.train.inputs.min()), float(data.train.inputs.max())
      (-1.0, 1.0)
    """
    found = one_array(dataset, "inputs", "normalize")
    if isinstance(found, Streamed):
        raise DataError(
            f"{dataset.name}: the inputs are streamed from files; expects arrays in memory. Normalize inside the step: "
            "dl.data.prepared(model, lambda x: (x - mean) / deviation), or dl.data.unit_range for bytes."
        )
    inputs = normalizer.fit(found)
    outputs = normalizer.fit(one_array(dataset, "targets", "normalize")) if targets else None

    def parts(split: Split) -> Split:
        values = split.targets if outputs is None else sealed(normalizer.apply(outputs, split.targets))
        return Split(sealed(normalizer.apply(inputs, split.inputs)), values, split.weights)

    done = f"{'inputs and targets' if targets else 'inputs'} {normalizer.description} on train"
    return dataclasses.replace(
        dataset,
        **{split: parts(getattr(dataset, split)) for split in dataset.splits},
        normalization=done if dataset.normalization == "none" else f"{dataset.normalization}; then {done}",
    )


@arguments(dataset=DATASET, targets=boolean)
def standardize(dataset: Dataset, *, targets: bool = False) -> Dataset:
    """Shift and scale each input column to mean 0, standard deviation 1 on the train split; constant columns to 0.

    Args:
      targets: do the same to the targets (regression).

    Raises:
      DataError: streamed inputs, several inputs or targets, no targets to standardize.

    Example:
      >>> data = dl.data.standardize(dl.data.from_arrays([[1.0], [3.0]], [0, 1]))
      >>> data.train.inputs.tolist()
      [[-1.0], [1.0]]
    """
    return normalize(dataset, z_score(), targets=targets)


def _normalizer(scaling: Callable[[Statistics], tuple[Any, Any, Any]], per: Per, what: str) -> Normalizer:
    def fit(values):
        values = _checked("fit", values)
        if not isinstance(values, Tracer):
            values = np.asarray(values)
            check_finite("fit", values)
        axes = 0 if per == "feature" else None
        row = tuple(values.shape[1:]) if per == "feature" else None
        return Scaling(*scaling(statistics(values, axes)), dtype=values.dtype, row=row)

    def apply(fitted, values):
        values = _checked("apply", values, fitted)
        dtype = values.dtype if is_float(values.dtype) else np.dtype(np.float32)

        def shifted(x):
            return _kept_exact(x, lambda x: ((x - fitted.center) / fitted.scale + fitted.offset).astype(dtype))

        return in_pieces(shifted, values) if type(values) is np.ndarray else shifted(values)

    def invert(fitted, values):
        values = _checked("invert", values, fitted)
        dtype = _dtype_of(fitted.dtype, values)
        if dtype != fitted.dtype and not is_float(dtype) and not isinstance(values, Tracer):
            values, dtype = np.asarray(values), fitted.dtype  # 64-bit integers, which JAX has none of

        def original(x):
            found = (x - fitted.offset) * fitted.scale + fitted.center
            return found.astype(dtype) if is_float(dtype) else _rounded(found, dtype)

        return _kept_exact(values, original)

    return Normalizer(fit, apply, invert, f"{what} {'per column' if per == 'feature' else 'as a whole'}")


def _checked(what: str, values: Any, fitted: Scaling | None = None) -> Any:
    """The values as an array [N, ...] whose rows are like those that were fitted."""
    values = VALUES.check(f"{what} of a normalizer: values", values)
    row = None if fitted is None else fitted.row
    fits = fitted is None or (values.ndim == fitted.center.ndim if row is None else row in ((), values.shape[1:]))
    if not values.size or not fits:
        of_row = "..." if row is None else ", ".join(map(str, row))
        raise DataError(
            f"{what} of a normalizer: values are {described(values)}; expects [N, {of_row}], at least one row, as "
            "fitted. Reshape them, or fit another."
        )
    return values


def _kept_exact(values: Any, function: Callable[[Any], Any]) -> Any:
    """The function of the values; where they are known by way of NumPy's float64, which holds all of 32 bits."""
    if isinstance(values, Tracer):
        return function(values)
    with np.errstate(over="ignore"):  # beyond the dtype it is inf, as JAX has it
        found = function(np.asarray(values))
    return jnp.asarray(found) if isinstance(values, jax.Array) else found


def _rounded(values: Any, dtype: np.dtype) -> Any:
    """The nearest integers, or Booleans: what lies outside their range becomes its end, it would wrap around."""
    if not isinstance(values, Tracer):
        check_finite("invert", np.asarray(values))
    if dtype.kind == "b":
        return values >= 0.5
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    ends = np.asarray([low, high], values.dtype)
    if int(ends[1]) > high:  # the largest float below it
        ends[1] = np.nextafter(ends[1], ends[0])
    return values.round().clip(*ends).astype(dtype)


def _dtype_of(dtype: np.dtype, values: Any) -> np.dtype:
    """The dtype, of JAX arrays the nearest that JAX computes with."""
    return dtype if isinstance(values, np.ndarray) else jax.dtypes.canonicalize_dtype(dtype)
