"""Records of more than a number: trees of arrays, and dimensions with names and labels."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import Constraint, RefusedError, arguments, sequence, when
from dlcore.core.errors import ArgumentError, DataError, described, shown


@functools.partial(jax.tree_util.register_dataclass, data_fields=("values",), meta_fields=("dims", "labels"))
@dataclasses.dataclass(frozen=True)
class Labeled:
    """Arrays along dimensions that have names; see `labeled`."""

    values: Any
    dims: tuple[str, ...]
    labels: tuple[tuple[Any, ...] | None, ...]


class Field(NamedTuple):
    """Names of a record's own dimensions, None for one without, and the labels along each, or None."""

    dims: tuple[str | None, ...]
    labels: tuple[tuple[Any, ...] | None, ...]


def _accept_values(value: Any) -> Any:
    if not jax.tree.leaves(value) or (described(value) == "nothing" and not np.isscalar(jax.tree.leaves(value)[0])):
        raise RefusedError
    return value


def _accept_dimension(value: Any) -> tuple[str, tuple[Any, ...] | None]:
    if isinstance(value, str):
        return value, None
    pair = when(lambda v: isinstance(v, tuple) and len(v) == 2 and isinstance(v[0], str))(value)
    return pair[0], sequence(LABEL).accept(pair[1])


LABEL = Constraint("a label", when(lambda label: not isinstance(label, Tracer)))
VALUES = Constraint("an array, or a tree of arrays of one shape", _accept_values, error=DataError)
DIMENSIONS = sequence(
    Constraint("a name or (name, labels)", _accept_dimension),
    text="an argument for each dimension: a name, or (name, labels) with labels known before the run",
)


@arguments(values=VALUES, dims=DIMENSIONS)
def labeled(values: Any, *dims: Any) -> Labeled:
    """Give a record's dimensions names, and labels; what observers and hand-written trainings may record.

    Args:
      values: an array, one name for each of its dimensions; or a tree of arrays of one shape, e.g. {"first": x, "last":
        y}, whose paths become the labels of the first name.
      dims: names, or pairs (name, labels); labels are a list, tuple or NumPy array of different numbers or texts.

    Raises:
      DataError: another number of names than dimensions, or of labels than values.

    Example:
      >>> record = dl.labeled({"hidden": jnp.float32(1.5), "output": jnp.float32(0.5)}, "layer")
      >>> record.dims, record.labels, record.values.shape
      (('layer',), (('hidden', 'output'),), (2,))
    """
    names, labels = [name for name, _ in dims], [each for _, each in dims]
    if not jax.tree_util.all_leaves([values]):
        by_name = by_path(values)
        if len({np.shape(leaf) for leaf in by_name.values()}) > 1:
            raise DataError(f"labeled: values are {shown(described(values))}; expects arrays of one shape.")
        labels[0] = tuple(by_name)
        values = jnp.stack([jnp.asarray(leaf) for leaf in by_name.values()])
    shape = np.shape(values)
    sizes = [n if each is None else len(each) for each, n in zip(labels, shape, strict=False)]
    fits = len(shape) == len(names) and sizes == list(shape)
    twice = [each for each in labels if each is not None and len(set(map(str, each))) < len(each)]
    if twice:
        raise DataError(f"labeled: the labels {shown(twice[0])} are not all different; expects one for each value.")
    if not fits or len(set(names)) < len(names):
        raise DataError(
            f"labeled: values have shape {shape}, the dimensions are {', '.join(names)}, with "
            f"{', '.join(str(None if each is None else len(each)) for each in labels)} labels; expects a name for each "
            "dimension, each once, and as many labels as values."
        )
    return Labeled(values, tuple(names), tuple(labels))


def by_path(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by their path: {"layers.0.kernel": leaf, ...}; a `Labeled` is a leaf."""
    leaves = jax.tree.leaves_with_path(tree, is_leaf=_is_labeled)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise ArgumentError(
            f"two of the arrays {', '.join(named)} have the same path; expects keys without dots. Rename one."
        )
    return named


def flattened(who: str, record: Any) -> tuple[dict[str, jax.Array], dict[str, Field]]:
    """Arrays of a record by name, and their dimensions.

    A tree of numbers becomes one array, with its paths as labels; of a tree of arrays each gets a name of its own.

    Raises:
      ArgumentError: what is no dictionary from names to numbers, arrays and trees of them.
    """
    if not isinstance(record, Mapping) or not all(isinstance(key, str) for key in record):
        raise ArgumentError(f"{who} gave the record {shown(record)}; expects a dictionary from names to arrays.")
    arrays, fields = {}, {}
    for name, value in record.items():
        for full, each in _parts(who, name, value):
            if full in arrays:
                raise ArgumentError(f"{who} records {full!r} twice; expects one name for each. Rename one.")
            arrays[full] = each.values
            fields[full] = Field(each.dims, each.labels)
    return arrays, fields


def _parts(who: str, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of one entry of a record, with their names."""
    if isinstance(value, Labeled):
        yield name, value
    elif jax.tree_util.all_leaves([value]):
        yield name, _plain(who, name, value)
    else:
        leaves = by_path(value)
        if not leaves:
            raise ArgumentError(
                f"{who} records {name!r}, which is {shown(value)}; expects an array, or a tree of them."
            )
        plain = {path: _plain(who, f"{name}.{path}", leaf) for path, leaf in leaves.items()}
        if all(each.values.ndim == 0 for each in plain.values()):
            numbers = {path: each.values for path, each in plain.items()}
            yield name, Labeled(jnp.stack(list(numbers.values())), (f"{name}_0",), (tuple(numbers),))
        else:
            yield from ((f"{name}.{path}", each) for path, each in plain.items())


def _plain(who: str, name: str, value: Any) -> Any:
    """An array without names of dimensions; keys as numbers."""
    if isinstance(value, Labeled):
        return value
    if not hasattr(value, "dtype") and not isinstance(value, int | float | complex | bool):
        raise ArgumentError(
            f"{who} records {name!r}, which is {shown(value)}; expects an array, a number, or a tree of them."
        )
    is_key = jax.dtypes.issubdtype(getattr(value, "dtype", np.float32), jax.dtypes.prng_key)
    if not is_key and np.dtype(getattr(value, "dtype", np.float32)).kind in "OSUMm":
        raise ArgumentError(f"{who} records {name!r}, which is {shown(value)}; expects numbers.")
    array = jax.random.key_data(value) if is_key else _number(who, name, value)
    return Labeled(array, (None,) * array.ndim, (None,) * array.ndim)  # pyright: ignore[reportArgumentType]


def _number(who: str, name: str, value: Any) -> jax.Array:
    """In the dtype that JAX computes with, unless that changes a known number."""
    if not isinstance(value, int | float | np.number):
        return jnp.asarray(value)
    array = np.asarray(value)
    with np.errstate(over="ignore"):
        converted = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
    if np.isfinite(array) and (not np.isfinite(converted) or (array.dtype.kind in "iu" and converted != array)):
        raise ArgumentError(
            f"{who} records {name!r}, which is {shown(value)}; expects a number that fits {converted.dtype}."
        )
    return jnp.asarray(converted)


def _is_labeled(value: Any) -> bool:
    return isinstance(value, Labeled)
