"""Normalization: shift and scale by statistics of the train split, and back."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from dlcore.core.arguments import arguments, boolean, instance, number, one_of
from dlcore.core.dataset import Dataset, Split, one_array
from dlcore.core.errors import ArgumentError, DataError
from dlcore.data.parameters import DATASET
from dlcore.data.read.streamed import Streamed

Per = Literal["feature", "global"]
PER = one_of("feature", "global")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scaling:
    """What a `Normalizer` learned: (values - center) / scale + offset; a pytree.

    center, scale, offset: arrays that fit the values [N, ...], of size 1 along the first axis, or along all.
    dtype: of the values it was fitted to; `invert` returns it.
    """

    center: Any
    scale: Any
    offset: Any
    dtype: np.dtype = dataclasses.field(metadata={"static": True})


class Normalizer(NamedTuple):
    """Shift and scale as pure functions, of NumPy or JAX arrays [N, ...].

    fit: `fit(values) -> Scaling`, on the train split only.
    apply: `apply(scaling, values) -> floats`: integers become float32, floats keep their dtype.
    invert: `invert(scaling, floats) -> values`; of integers exactly those that came in, rounded.
    description: of what it does, for `Dataset.normalization`.
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
    return _normalizer(lambda s: (s.mean, s.spread, s.select(0.0, 0.0)), per, "mean-normalized")


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
    return _normalizer(lambda s: (s.mean, s.deviation, s.select(0.0, 0.0)), per, "standardized")


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
            "dl.data.prepared(model, dl.data.unit_range)."
        )
    inputs = normalizer.fit(found)
    outputs = normalizer.fit(one_array(dataset, "targets", "normalize")) if targets else None

    def parts(split: Split) -> Split:
        values = split.targets if outputs is None else normalizer.apply(outputs, split.targets)
        return Split(normalizer.apply(inputs, split.inputs), values, split.weights)

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

    Example:
      >>> data = dl.data.standardize(dl.data.from_arrays([[1.0], [3.0]], [0, 1]))
      >>> data.train.inputs.tolist()
      [[-1.0], [1.0]]
    """
    return normalize(dataset, z_score(), targets=targets)


class _Statistics(NamedTuple):
    """Of each column, or of all values; in float64 for NumPy arrays."""

    low: Any
    mean: Any
    spread: Any
    deviation: Any
    select: Callable[[float, float], Any]  # (value where values vary, where they are constant)


def _statistics(values: Any, per: Per) -> _Statistics:
    xp = values.__array_namespace__()
    where = {"axis": 0 if per == "feature" else None, "keepdims": True}
    exact = {**where, "dtype": np.float64} if xp is np else where
    low, high = values.min(**where), values.max(**where)
    # By the values, not by the deviation: that of equal values is a rounding error above 0.
    varies = high > low
    wide = low.astype(exact.get("dtype", xp.result_type(low, float)))
    return _Statistics(
        low=wide,
        mean=xp.where(varies, values.mean(**exact), wide),
        spread=xp.where(varies, high.astype(wide.dtype) - wide, 1),
        deviation=xp.where(varies, values.std(**exact), 1),
        select=lambda varying, constant: xp.where(varies, varying, constant),
    )


def _normalizer(scaling: Callable[[_Statistics], tuple[Any, Any, Any]], per: Per, what: str) -> Normalizer:
    def fit(values):
        return Scaling(*scaling(_statistics(values, per)), dtype=values.dtype)

    def apply(fitted, values):
        dtype = fitted.dtype if _is_float(fitted.dtype) else np.dtype(np.float32)
        return ((values - fitted.center) / fitted.scale + fitted.offset).astype(dtype)

    def invert(fitted, values):
        original = (values - fitted.offset) * fitted.scale + fitted.center
        return (original if _is_float(fitted.dtype) else original.round()).astype(fitted.dtype)

    return Normalizer(fit, apply, invert, f"{what} {'per column' if per == 'feature' else 'as a whole'}")


def _is_float(dtype: Any) -> bool:
    return bool(jax.dtypes.issubdtype(dtype, np.floating))
