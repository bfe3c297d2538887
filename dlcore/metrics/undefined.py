"""Metrics that have no value: of outputs that are NaN, of labels that are of no class."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from dlcore.core.errors import DataError
from dlcore.metrics.numbers import namespace


def nan_where_nan(outputs: Any, value: Any, where: Any = True, defined: Any = True) -> Any:
    """`value`, but NaN in all its arrays if the outputs hold NaN.

    A metric that compares or orders would make a number of them: the largest of logits that are NaN is that of class 0.

    Args:
      outputs: a tree of arrays. where: Booleans that broadcast to them; what is elsewhere does not count.
      value: a tree of floats.
      defined: Booleans; where one is False, all is NaN. Of labels that are known, `checks` refuses the others.
    """
    xp = namespace(*jax.tree.leaves((outputs, value, where, defined)))
    is_nan = xp.asarray([xp.any(xp.isnan(leaf) & where) for leaf in jax.tree.leaves(outputs)]).any()
    undefined = is_nan | ~xp.all(xp.asarray(defined))
    return jax.tree.map(lambda leaf: xp.where(undefined, xp.nan, leaf)[()], value)


def are_flags(flags: Any) -> Any:
    """Whether flags are 0 or 1."""
    return (flags == 0) | (flags == 1)


def refuse_known(name: str, what: str, values: Any, wrong: Any, fix: str) -> None:
    """Raise `DataError` where values that are known, not traced, are wrong; of the first of them, with its place.

    Args:
      name: of the metric. what: "targets hold". wrong: a function of the values, as NumPy has them, to Booleans.
    """
    if isinstance(values, Tracer):
        return
    known = np.asarray(values)
    places = np.argwhere(wrong(known))
    if len(places):
        raise DataError(f"{name}: {what} {known[tuple(places[0])]} at {places[0].tolist()}; expects {fix}")


def refuse_infinite(name: str, what: str, values: Any) -> None:
    """Raise `DataError` where known values are infinite: a difference of two of them has no value."""
    refuse_known(name, what, values, np.isinf, "finite numbers. Drop such examples, or clip their values.")
