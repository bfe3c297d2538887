"""The variables of a study: what its cells record, compared before anything is compiled, and where each cell's go."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.core.errors import ArgumentError
from dlcore.core.labeled import Field, by_path
from dlcore.engine.dtypes import as_numbers, on_host
from dlcore.engine.traced import Traced


class Variable(NamedTuple):
    """One array of results.

    shape: of one value. dtype: on the host. field: names and labels of its dimensions. whole: whether every cell has
    all of it, at every record.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    field: Field
    whole: bool = True

    @property
    def missing(self) -> np.dtype:
        """A dtype that can say that a value is missing."""
        return np.result_type(self.dtype, np.float16 if self.dtype.kind in "fc" else np.float64)


class Variables(NamedTuple):
    """The variables of a program. records: at each time. final: of what is kept at the end of a run."""

    records: Mapping[str, Variable]
    final: Mapping[str, Variable]


def recorded(traced: Traced) -> dict[str, Variable]:
    """The variables of a program's records; one that step 0 lacks is missing there."""
    first = traced.first_record
    variables = {}
    for name, leaf in traced.record.items():
        there = not first or name in first
        dtype = np.promote_types(on_host(leaf.dtype), on_host(first[name].dtype if name in first else leaf.dtype))
        variables[name] = Variable(leaf.shape, dtype, traced.fields[name], there)
        if name in first and first[name].shape != leaf.shape:
            raise ArgumentError(
                f"{name!r} has shape {first[name].shape} in the record at step 0, {leaf.shape} in those after it; "
                "expects one shape. Let measure and advance record the same."
            )
    alien = sorted(set(first) - set(variables))
    if alien:
        raise ArgumentError(
            f"the record at step 0 has {', '.join(alien)}, those after it have {', '.join(variables)}; expects no more "
            "at step 0 than later. Let advance return what measure does."
        )
    return variables


def final(tree: Any) -> dict[str, Variable]:
    """The variables of arrays that are kept at the end of a run, from their shapes and dtypes."""
    leaves = by_path(jax.eval_shape(lambda tree: jax.tree.map(as_numbers, tree), tree))
    return {
        name: Variable(leaf.shape, on_host(leaf.dtype), Field((None,) * len(leaf.shape), (None,) * len(leaf.shape)))
        for name, leaf in leaves.items()
    }


def common(parts: Sequence[Mapping[str, Variable]], names: Sequence[str]) -> dict[str, Variable]:
    """Variables that hold those of all programs: what one lacks is missing, as are the ends of shorter arrays.

    names: of the programs, in words.

    Raises:
      ArgumentError: arrays of one name with other dimensions.
    """
    found: dict[str, Variable] = {}
    first = {}
    for part, program in zip(parts, names, strict=True):
        for name, variable in part.items():
            if name not in found:
                found[name], first[name] = variable, program
                continue
            known = found[name]
            if (len(variable.shape), variable.field.dims) != (len(known.shape), known.field.dims):
                raise ArgumentError(
                    f"{program} has {name} {list(variable.shape)}, {first[name]} has {name} {list(known.shape)}; one "
                    "array holds all cells. Record as many dimensions everywhere, or sweep them apart."
                )
            found[name] = _both(known, variable)
    return {
        name: variable._replace(whole=variable.whole and all(_same(part.get(name), variable) for part in parts))
        for name, variable in found.items()
    }


def placed(values: np.ndarray, own: Variable, variable: Variable) -> np.ndarray:
    """Values [..., *own.shape] of a cell in the shape of the common variable; the rest is missing."""
    if _same(own, variable):
        return values
    lead = values.shape[: values.ndim - len(own.shape)]
    full = np.full((*lead, *variable.shape), np.nan, variable.missing)
    index = [
        np.arange(size) if known is None else np.asarray([known.index(label) for label in labels or ()])
        for size, labels, known in zip(own.shape, own.field.labels, variable.field.labels, strict=True)
    ]
    full[(..., *np.ix_(*index))] = values
    return full


def _both(a: Variable, b: Variable) -> Variable:
    """A variable that holds both: the larger sizes, all labels."""
    shape, labels = [], []
    for n, m, first, second in zip(a.shape, b.shape, a.field.labels, b.field.labels, strict=True):
        both = None if first is None or second is None else tuple(dict.fromkeys((*first, *second)))
        labels.append(both)
        shape.append(max(n, m) if both is None else len(both))
    dtype = np.promote_types(a.dtype, b.dtype)
    return Variable(tuple(shape), dtype, Field(a.field.dims, tuple(labels)), a.whole and b.whole)


def _same(own: Variable | None, variable: Variable) -> bool:
    return own is not None and own.shape == variable.shape and own.field == variable.field
