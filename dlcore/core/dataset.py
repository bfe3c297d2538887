"""`Dataset`: up to three splits of inputs, targets and weights, checked, and where they came from."""

import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core import description
from dlcore.core.arguments import NONE, Constraint, RefusedError, integer, sequence, text
from dlcore.core.errors import DataError
from dlcore.core.values import Fetched, canonical, checked_array, checked_arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SPLITS = ("train", "validation", "test")


def _accept_vocabulary(value: Any) -> Any:
    if not (hasattr(value, "tokens") and hasattr(value, "decode")):
        raise RefusedError
    return value


VOCABULARY = Constraint("a Vocabulary, e.g. dl.data.characters(text)", _accept_vocabulary) | NONE
NAMES = sequence(text, text="strings")
FIELDS = {  # of a `Dataset`, besides its splits
    "name": text,
    "source": text,
    "target_names": NAMES,
    "input_names": NAMES,
    "normalization": text,
    "image_shape": sequence(integer(), most=3, text="positive integers: (height, width) or (height, width, channels)"),
    "input_vocabulary": VOCABULARY,
    "target_vocabulary": VOCABULARY,
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Examples, or a batch of them, row by row; `inputs, targets = split`, with weights `inputs, targets, weights`.

    inputs: an array [N, ...], or several of one length in a dictionary or tuple. targets: the same, or None.
    weights: [N], what each example counts in the loss; None where all count the same.

    Example:
      >>> train = dl.data.iris().train
      >>> inputs, targets = train
      >>> inputs.shape, train.num_rows, train.select(slice(2)).inputs.shape
      ((120, 4), 120, (2, 4))
    """

    inputs: Any
    targets: Any
    weights: Any = None

    @property
    def columns(self) -> dict[str, Any]:
        """Inputs, targets and, if there are any, weights, by name."""
        columns = {"inputs": self.inputs, "targets": self.targets}
        return columns if self.weights is None else columns | {"weights": self.weights}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.columns.values())

    def __getitem__(self, column: int | slice) -> Any:
        return tuple(self)[column]

    @property
    def num_rows(self) -> int:
        """Number of examples."""
        return jax.tree.leaves(self.inputs)[0].shape[0]

    def select(self, rows: Any) -> "Split":
        """The rows, by slice or by number, of every array; of streamed inputs they are read into memory."""
        return jax.tree.map(lambda values: values[rows], self)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Data of a task, as host arrays; checked when made, moved to the device by the program that uses it.

    Integers stay integers: `dl.data.prepared` casts them inside the step. Arrays traced by JAX (synthetic data made
    inside a compiled run) stay on the device, `Streamed` inputs in their files: of both, only shape and dtype are
    checked.

    Args:
      train: a `Split` or any pair (inputs [N, ...], targets [N, ...]); float64 becomes JAX's default float. Inputs and
        targets may be dictionaries or tuples of arrays with N rows each; targets may be None. A third column holds
        the weights [N] of the examples, 0 or more.
      validation, test: the same with other rows, or None.
      name, source: what it is called and where it came from.
      target_names: of classes, of integers [N] then a name for each, or of target columns, in order.
      input_names: of the columns of inputs [N, columns] or [N, ..., columns], in order.
      normalization: what was done to the values, in words.
      image_shape: (height, width) or (height, width, channels) of a row of inputs that are flattened images.
      input_vocabulary, target_vocabulary: a `dl.data.Vocabulary` of the token ids, or None.

    Raises:
      ArgumentError: a name that is no string, and the like.
      DataError: no rows, columns of different length, not numbers, masked values, NaN or inf, different numbers that
        float32 makes one, names that do not fit the columns or the labels, weights below 0 or all 0, splits of
        different shape.

    Example:
      >>> data = dl.data.Dataset((np.eye(3), np.arange(3)), name="corners", target_names=("x", "y", "z"))
      >>> data.splits, data.train.num_rows, data.train.targets.tolist()
      (('train',), 3, [0, 1, 2])
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    name: str = "unnamed"
    source: str = "arrays given by the caller"
    target_names: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    normalization: str = "none"
    image_shape: tuple[int, ...] = ()
    input_vocabulary: Any = None
    target_vocabulary: Any = None

    def __post_init__(self):
        for field, constraint in FIELDS.items():
            object.__setattr__(self, field, constraint.check(f"Dataset: {field}", getattr(self, field)))
        for split in SPLITS:
            if (pair := getattr(self, split)) is not None:
                beside = None if split == "train" else self.train
                object.__setattr__(self, split, checked_split(pair, f"{self.name}.{split}", self.input_names, beside))
        if self.train is None:
            raise DataError(f"{self.name} has no train split; pass train=(inputs, targets).")
        for split in self.splits:
            _check_alike(getattr(self, split), self.train, f"{self.name}.{split}")
            _check_target_names(self.target_names, getattr(self, split).targets, f"{self.name}.{split}")
        _check_input_names(self.input_names, self.train.inputs, self.name)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits there are, of "train", "validation", "test"."""
        return tuple(split for split in SPLITS if getattr(self, split) is not None)

    def __repr__(self) -> str:
        return description.dataset(self).text()

    def _repr_html_(self) -> str:
        return description.dataset(self).html()

    def plot(self, split: str = "train", *, num_rows: int = 12, kind: str | None = None) -> "Figure":
        """Draw rows spread evenly over a split, each with its target.

        Args:
          kind: "image", "text", "points" (1 or 2 features), "strokes" [N, points, 2], "series" [N, time, channels] or
            "table"; by default what the arrays look like.

        Raises:
          ArgumentError: a split there is not, a kind that does not fit the arrays.
        """
        # Loaded by name: drawing stands above the core, and matplotlib takes 0.5 s to import.
        return importlib.import_module("dlcore.plots.samples").samples(self, split, num_rows, kind)


def on_device(split: Any) -> Any:
    """The arrays of a split as JAX arrays, streamed inputs as they are; under a trace nothing is copied."""
    return jax.tree.map(lambda values: values if isinstance(values, Fetched) else jnp.asarray(values), split)


def take(values: Any, rows: jax.Array) -> jax.Array:
    """Rows (indices must be in range) of an array on the device or of streamed inputs."""
    if isinstance(values, Fetched):
        return values.fetch(rows)
    return values.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def in_memory(data: Any) -> tuple[str, ...]:
    """Names of the splits of a `Dataset` that are not streamed."""

    def streamed(split):
        return any(isinstance(values, Fetched) for values in jax.tree.leaves(getattr(data, split)))

    return tuple(split for split in data.splits if not streamed(split))


def one_array(data: Any, part: str, who: str) -> Any:
    """The inputs or targets of the train split, or a `DataError` where they are several arrays, or none.

    Args:
      part: "inputs" or "targets". who: what needs them, for the message.
    """
    values = getattr(data.train, part)
    if values is None:
        raise DataError(f"{who}: {data.name} has no {part}; expects one array [N, ...]. Pass (inputs, targets).")
    if isinstance(values, dict | tuple):
        raise DataError(
            f"{who}: the {part} of {data.name} are {description.arrays(values)}; expects one array [N, ...]. Use one "
            "of them, or put them side by side with np.concatenate."
        )
    return values


def refuse_weights(data: Any, who: str) -> None:
    """Raise `DataError` where examples have weights that would not be used."""
    for split in data.splits:
        if getattr(data, split).weights is not None:
            raise DataError(
                f"{who}: {data.name}.{split} has weights, which are not used here; expects none. Leave them out: "
                "dl.data.Split(split.inputs, split.targets)."
            )


def checked_split(given: Any, name: str, names: Sequence[str] = (), beside: Any = None, *, copy: bool = True) -> Split:
    """`given` as a `Split` of arrays in the dtypes JAX computes with, or a `DataError`, which names input columns.

    Of a small split float32 has to tell apart only what it would of these rows and those of the `Split` beside it.
    copy: False for arrays as they were given, of which `taken` copies rows.
    """
    columns = tuple(given) if isinstance(given, tuple | list | Split) else ()
    if len(columns) not in (2, 3):
        raise DataError(
            f"{name} is a {type(given).__name__}; expects a pair (inputs, targets), or (inputs, targets, weights)."
        )
    inputs, targets, weights = (*columns, None)[:3]
    inputs = checked_arrays(inputs, f"{name}: inputs", names, beside and beside.inputs, copy=copy)
    if targets is not None:
        targets = checked_arrays(targets, f"{name}: targets", (), beside and beside.targets, copy=copy)
    if weights is not None:
        weights = _checked_weights(weights, f"{name}: weights")
    split = Split(inputs, targets, weights)
    for part, values in split.columns.items():
        count = next((len(leaf) for leaf in jax.tree.leaves(values) if len(leaf) != split.num_rows), split.num_rows)
        if count != split.num_rows:
            one = "arrays of one length" if part == "inputs" else f"one {part[:-1]} for each input"
            several = " A tuple of arrays is several inputs: np.stack makes one array." * isinstance(inputs, tuple)
            others = f"{count} of another" if part == "inputs" else f"{count} {part}"
            raise DataError(f"{name} has {split.num_rows} inputs and {others}; expects {one}.{several}")
    return split


def _check_input_names(names: Sequence[str], inputs: Any, name: str) -> None:
    """Raise `DataError` unless each column of one array of inputs has one name, if there are names."""
    if not names:
        return
    if isinstance(inputs, dict | tuple) or inputs.ndim < 2 or inputs.shape[-1] != len(names):
        raise DataError(
            f"{name} has {len(names)} input_names and inputs {description.arrays(inputs)}; expects a "
            "name for each column of one array [N, columns], or no names: input_names=()."
        )
    if len(set(names)) < len(names):
        twice = next(each for each in names if list(names).count(each) > 1)
        raise DataError(f"{name}: input_names hold {twice!r} twice; expects a name of its own for each column.")


def _check_target_names(names: Sequence[str], targets: Any, name: str) -> None:
    """Raise `DataError` where a class, an integer of [N], has no name, if there are names; -1 marks no class."""
    if not names or not isinstance(targets, np.ndarray) or targets.ndim != 1 or targets.dtype.kind not in "iu":
        return
    if (highest := int(targets.max())) >= len(names):
        raise DataError(
            f"{name} holds label {highest}; expects labels below {len(names)}, the number of target_names. Name all "
            "classes, or none: target_names=(); make floats of integers that are amounts: targets.astype(float)."
        )


def _check_alike(split: Split, train: Split, name: str) -> None:
    """Raise `DataError` unless the rows of both have the same structure, shape and dtype; either may have weights."""
    for part in ("inputs", "targets"):
        values, expected = getattr(split, part), getattr(train, part)
        if description.arrays(values) != description.arrays(expected):
            raise DataError(
                f"{name}: {part} are {description.arrays(values)}, those of train {description.arrays(expected)}; all "
                "splits need the same shape of a row and the same dtype."
            )


def _checked_weights(weights: Any, name: str) -> Any:
    values = checked_array(weights, name, told_apart=False)
    if isinstance(values, Fetched) or values.ndim != 1:
        raise DataError(f"{name} are {description.array(values)}; expects one array [N] in memory.")
    if isinstance(values, Tracer):
        return values.astype(float)
    values = canonical(np.asarray(values, np.float64), name)
    if (values < 0).any():
        row = int(np.argmax(values < 0))
        raise DataError(f"{name} hold {values[row]} at row {row}; expects 0 or more. Leave out what must not count.")
    limits, total = np.finfo(values.dtype), values.sum(dtype=np.float64)
    if values.max() < limits.tiny or total > limits.max:
        raise DataError(
            f"{name} sum to {total:g}, the largest is {values.max()}; expects at least one above 0 and a sum that fits "
            f"{values.dtype}. Rescale them, only their ratios count."
        )
    return values
