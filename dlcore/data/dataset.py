"""`Dataset`: up to three splits of inputs and targets, and where they came from."""

import dataclasses
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.errors import DataError

SPLITS = ("train", "validation", "test")


class Split(NamedTuple):
    """inputs [N, ...] and targets [N, ...], row by row."""

    inputs: Any
    targets: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Data of a task, as host arrays; checked when made, moved to the device by the program that uses it.

    Args:
      train: a `Split` or any pair (inputs [N, ...], targets [N, ...]); float64 becomes JAX's default float.
      validation, test: the same with other rows, or None.
      name, source: what it is called and where it came from.
      target_names: of classes or of target columns, in order.

    Raises:
      DataError: no rows, inputs and targets of different length, not numbers, NaN or inf, splits of different shape.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    name: str = "unnamed"
    source: str = "arrays given by the caller"
    target_names: tuple[str, ...] = ()

    def __post_init__(self):
        for split in SPLITS:
            if (pair := getattr(self, split)) is not None:
                object.__setattr__(self, split, _checked_split(pair, f"{self.name}.{split}"))
        if self.train is None:
            raise DataError(f"{self.name} has no train split; pass train=(inputs, targets).")
        for split in self.splits:
            for part, values, expected in zip(Split._fields, getattr(self, split), self.train, strict=True):
                if values.shape[1:] != expected.shape[1:] or values.dtype != expected.dtype:
                    raise DataError(
                        f"{self.name}.{split}: {part} are {_describe(values)}, those of train {_describe(expected)}; "
                        "all splits need the same shape of a row and the same dtype."
                    )

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits there are, of "train", "validation", "test"."""
        return tuple(split for split in SPLITS if getattr(self, split) is not None)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(getattr(self, split).inputs)}" for split in self.splits)
        shapes = ", ".join(f"{part} {_describe(values)}" for part, values in self.train._asdict().items())
        return f"Dataset {self.name}: {sizes}; {shapes}; from {self.source}"


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    validation: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    stratify: bool = False,
    name: str = "unnamed",
    source: str = "arrays given by the caller",
    target_names: tuple[str, ...] = (),
) -> Dataset:
    """Split arrays at random into a `Dataset`.

    Args:
      inputs, targets: [N, ...] each; anything NumPy can read.
      validation, test: fraction of the rows for these splits; 0 for none. The rest is the train split.
      seed: of the split; part of what the data set is, so it does not change with the seeds of runs.
      stratify: keep the classes' proportions in every split (integer targets [N]).

    Raises:
      DataError: as `Dataset`; also fractions outside [0, 1) or that leave a split empty.
    """
    inputs, targets = _checked_split((inputs, targets), name)
    for split, fraction in {"validation": validation, "test": test, "validation + test": validation + test}.items():
        if not 0 <= fraction < 1:
            raise DataError(f"{split} is {fraction}; expects a fraction of the rows in [0, 1).")
    counts = {"validation": round(validation * len(inputs)), "test": round(test * len(inputs))}
    splits = {}
    rest = np.arange(len(inputs))
    for split, fraction in {"validation": validation, "test": test}.items():
        if fraction > 0:
            rest, rows = _held_out(rest, counts[split], targets if stratify else None, seed, f"{name}.{split}")
            splits[split] = Split(inputs[rows], targets[rows])
    return Dataset(Split(inputs[rest], targets[rest]), **splits, name=name, source=source, target_names=target_names)


def standardize(dataset: Dataset, *, targets: bool = False) -> Dataset:
    """Shift and scale each input column to mean 0, standard deviation 1 on the train split; constant columns to 0.

    Args:
      targets: do the same to the targets (regression).
    """

    def parts(split: Split) -> Split:
        scaled = [_scaled(split.inputs, dataset.train.inputs)]
        scaled.append(_scaled(split.targets, dataset.train.targets) if targets else split.targets)
        return Split(*scaled)

    return dataclasses.replace(dataset, **{split: parts(getattr(dataset, split)) for split in dataset.splits})


def _scaled(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    mean, deviation = reference.mean(0, dtype=np.float64), reference.std(0, dtype=np.float64)
    return ((values - mean) / np.where(deviation > 0, deviation, 1)).astype(reference.dtype)


def _held_out(rows: Any, count: int, classes: np.ndarray | None, seed: int, name: str):
    """Split `rows` into (rest, held out)."""
    from sklearn.model_selection import train_test_split  # 0.5 s to import

    if not 0 < count < len(rows):
        raise DataError(
            f"{name} would have {count} of {len(rows)} rows; each split needs at least one. Change its fraction."
        )
    try:
        return train_test_split(
            rows, test_size=count, random_state=seed, stratify=None if classes is None else classes[rows]
        )
    except ValueError as error:
        raise DataError(f"{name} cannot be stratified: {error} Pass stratify=False.") from error


def _checked_split(pair: Any, name: str) -> Split:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{name} is a {type(pair).__name__}; expects a pair (inputs, targets).")
    inputs, targets = (
        _checked_array(values, f"{name}: {part}") for part, values in zip(Split._fields, pair, strict=True)
    )
    if len(inputs) != len(targets):
        raise DataError(
            f"{name} has {len(inputs)} inputs and {len(targets)} targets; expects one target for each input."
        )
    return Split(inputs, targets)


def _checked_array(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} are not a rectangular array ({error}). Pad the rows to one length.") from error
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise DataError(
            f"{name} have dtype {array.dtype}; expects numbers. Encode strings and objects as integers first."
        )
    if array.ndim == 0 or array.shape[0] == 0:
        raise DataError(f"{name} have shape {array.shape}; expects at least one row along the first dimension.")
    return _canonical(array, name)


def _canonical(array: np.ndarray, name: str) -> np.ndarray:
    """In the dtype that JAX computes with, or an error where that would change a value beyond rounding."""
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow is reported below, with its row
        converted = array.astype(dtype)
    if array.dtype.kind in "iu":
        wrong = converted.astype(array.dtype) != array
    else:
        wrong = ~np.isfinite(converted.astype(np.float32) if dtype.name == "bfloat16" else converted)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f"row {index[0]}" + (f", position {index[1:]}" if index[1:] else "")
        raise DataError(
            f"{name} hold {array[index]} at {where}, and {int(wrong.sum()) - 1} more such values; "
            f"expects finite numbers that fit {dtype}. Drop, impute or rescale them first."
        )
    return converted


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype}[N{''.join(f', {size}' for size in array.shape[1:])}]"
