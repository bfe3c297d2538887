"""`Dataset`: up to three splits of inputs and targets, checked, and where they came from."""

import dataclasses
import importlib
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core import description
from dlcore.core.arguments import NONE, Constraint, RefusedError, as_array, integer, sequence, text
from dlcore.core.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


ALIGNMENT = 64  # bytes
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
    "normalization": text,
    "image_shape": sequence(integer(), most=3, text="positive integers: (height, width) or (height, width, channels)"),
    "input_vocabulary": VOCABULARY,
    "target_vocabulary": VOCABULARY,
}


@runtime_checkable
class Fetched(Protocol):
    """Inputs that are not in memory: the rows of a batch are read inside the step. `dl.data.Streamed` is one."""

    def fetch(self, rows: jax.Array) -> jax.Array:
        """Rows [..., B] as an array [..., B, ...] on the device; may be traced."""
        ...


class Split(NamedTuple):
    """inputs [N, ...] and targets [N, ...], row by row."""

    inputs: Any
    targets: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Data of a task, as host arrays; checked when made, moved to the device by the program that uses it.

    Integers stay integers: `dl.data.prepared` casts them inside the step. Arrays traced by JAX (synthetic data made
    inside a compiled run) stay on the device, `Streamed` inputs in their files: of both, only shape and dtype are
    checked.

    Args:
      train: a `Split` or any pair (inputs [N, ...], targets [N, ...]); float64 becomes JAX's default float.
      validation, test: the same with other rows, or None.
      name, source: what it is called and where it came from.
      target_names: of classes or of target columns, in order.
      normalization: what was done to the values, in words.
      image_shape: (height, width) or (height, width, channels) of a row of inputs that are flattened images.
      input_vocabulary, target_vocabulary: a `dl.data.Vocabulary` of the token ids, or None.

    Raises:
      ArgumentError: a name that is no string, and the like.
      DataError: no rows, inputs and targets of different length, not numbers, NaN or inf, splits of different shape.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    name: str = "unnamed"
    source: str = "arrays given by the caller"
    target_names: tuple[str, ...] = ()
    normalization: str = "none"
    image_shape: tuple[int, ...] = ()
    input_vocabulary: Any = None
    target_vocabulary: Any = None

    def __post_init__(self):
        for field, constraint in FIELDS.items():
            object.__setattr__(self, field, constraint.check(f"Dataset: {field}", getattr(self, field)))
        for split in SPLITS:
            if (pair := getattr(self, split)) is not None:
                object.__setattr__(self, split, checked_split(pair, f"{self.name}.{split}"))
        if self.train is None:
            raise DataError(f"{self.name} has no train split; pass train=(inputs, targets).")
        for split in self.splits:
            for part, values, expected in zip(Split._fields, getattr(self, split), self.train, strict=True):
                if values.shape[1:] != expected.shape[1:] or values.dtype != expected.dtype:
                    raise DataError(
                        f"{self.name}.{split}: {part} are {description.array(values)}, those of train "
                        f"{description.array(expected)}; all splits need the same shape of a row and the same dtype."
                    )

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
    return values.fetch(rows) if isinstance(values, Fetched) else values.at[rows].get(mode="promise_in_bounds")


def in_memory(data: Any) -> tuple[str, ...]:
    """Names of the splits of a `Dataset` that are not streamed."""
    return tuple(split for split in data.splits if not isinstance(getattr(data, split).inputs, Fetched))


def checked_split(pair: Any, name: str) -> Split:
    """`pair` as a `Split` of arrays in the dtypes JAX computes with, or a `DataError`."""
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


def _checked_array(values: Any, name: str) -> Any:
    try:
        array: Any = values if isinstance(values, Tracer | Fetched) else as_array(values)
    except RefusedError as refusal:
        fix = " Pad the rows to one length." * ("inhomogeneous" in str(refusal))
        raise DataError(f"{name} are not a rectangular array of numbers. {refusal}{fix}") from None
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.extended):
        raise DataError(f"{name} are random keys; expects numbers.")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise DataError(
            f"{name} have dtype {array.dtype}; expects numbers. Encode strings and objects as integers first."
        )
    if array.ndim == 0 or array.shape[0] == 0:
        raise DataError(f"{name} have shape {array.shape}; expects at least one row along the first dimension.")
    return array if isinstance(array, Tracer | Fetched) else _canonical(np.asarray(array), name)


def _canonical(array: np.ndarray, name: str) -> np.ndarray:
    """In the dtype that JAX computes with, or an error where that would change a value beyond rounding."""
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow is reported below, with its row
        converted = _aligned_copy(array, dtype)
    if array.dtype.kind in "biu" and dtype == array.dtype:
        return converted  # nothing to check; images are large
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


def _aligned_copy(array: np.ndarray, dtype: Any) -> np.ndarray:
    """A copy that starts where XLA wants it: a CPU's devices then use it as it is. So nobody may write to it."""
    dtype = np.dtype(dtype)
    memory = np.empty(array.size * dtype.itemsize + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    copy = memory[begin : begin + array.size * dtype.itemsize].view(dtype).reshape(array.shape)
    copy[...] = array
    copy.flags.writeable = False
    return copy
