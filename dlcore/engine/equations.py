"""Traced functions compared by their equations, so that what was lowered once is known again.

A user's function is traced in every call, since what it closes over may have changed. Lowering takes twice as long as
tracing, and gives the same program for the same equations.
"""

import enum
import threading
from collections.abc import Hashable, Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Primitive
from jax.sharding import Mesh

# Parameters that say how to differentiate a call, which nobody does any more.
OF_DERIVATIVES: Mapping[str, frozenset[str]] = {
    "custom_jvp_call": frozenset({"jvp_jaxpr_fun"}),
    "custom_vjp_call": frozenset({"fwd_jaxpr_thunk", "bwd", "out_trees"}),
}
MAX_BYTES = 1 << 16  # of an array inside of a program; it is kept for comparison
EXACT = (int, str, bytes, bool, type(None))  # types whose values are equal only if they are the same
LIBRARIES = ("jax", "jaxlib", "numpy", "ml_dtypes")


class Equations:
    """What a traced function computes; one object for all that compute the same. Holds no data of the user's."""

    __slots__ = ("__weakref__", "described")

    def __init__(self, described: Hashable):
        self.described = described


class _NotComparableError(Exception):
    """A parameter of an equation that may compare as equal and not be the same."""


_same: WeakValueDictionary[Hashable, Equations] = WeakValueDictionary()
_of: WeakKeyDictionary[Any, Equations] = WeakKeyDictionary()  # JAX gives the same object for what it traced before
_lock = threading.Lock()


def equations_of(jaxpr: Jaxpr) -> Equations | None:
    """The same object for functions of the same equations, types and constants, whatever their variables are called.

    None where that cannot be told: functions that call Python, or parameters of a kind that is not known.
    """
    try:
        with _lock:
            return _equations(jaxpr)
    except _NotComparableError:
        return None


def _equations(jaxpr: Any) -> Equations:
    found = _of.get(jaxpr)
    if found is None:
        described = _described(jaxpr)
        found = _same.get(described)
        if found is None:
            found = _same[described] = Equations(described)
        _of[jaxpr] = found
    return found


def _described(jaxpr: Any) -> Hashable:
    numbers: dict[Any, int] = {}

    def made(variables):
        first = len(numbers)
        numbers.update((variable, first + i) for i, variable in enumerate(variables))
        return tuple(variable.aval for variable in variables)

    def used(atoms):
        return tuple(_literal(atom) if isinstance(atom, Literal) else numbers[atom] for atom in atoms)

    taken = made((*jaxpr.constvars, *jaxpr.invars))
    equations = [
        (equation.primitive, used(equation.invars), _parameters(equation), equation.ctx, made(equation.outvars))
        for equation in jaxpr.eqns
    ]
    return len(jaxpr.constvars), taken, tuple(equations), used(jaxpr.outvars)


def _parameters(equation: Any) -> Hashable:
    name = equation.primitive.name
    if "callback" in name:  # which function of Python it calls is in no text
        raise _NotComparableError
    ignored = OF_DERIVATIVES.get(name, ())
    return tuple((key, _value(value)) for key, value in equation.params.items() if key not in ignored)


def _literal(literal: Any) -> Hashable:
    return literal.aval, _bytes(np.asarray(literal.val))


def _value(value: Any) -> Hashable:
    """A parameter of an equation, so that those that are equal are the same: 0.0 is not -0.0, 1 not True."""
    if type(value) in EXACT or isinstance(value, enum.Enum | np.dtype | Primitive):
        return type(value), value
    if isinstance(value, ClosedJaxpr):
        return _equations(value.jaxpr), tuple(_array(const) for const in value.consts)
    if isinstance(value, Jaxpr):
        return _equations(value)
    if isinstance(value, tuple | list):
        return type(value), tuple(_value(each) for each in value)
    if isinstance(value, Mapping):
        return tuple((_value(key), _value(each)) for key, each in value.items())
    if isinstance(value, float | complex) or (hasattr(value, "dtype") and not isinstance(value, type)):
        return type(value), _array(value)
    if not _is_of_library(value):
        raise _NotComparableError
    try:
        hash(value)
    except TypeError as error:
        raise _NotComparableError from error
    return type(value), value


def _is_of_library(value: Any) -> bool:
    """Whether it is a function, class or object of JAX or NumPy that holds on to nothing of the user's."""
    if callable(value) and not isinstance(value, type | Mesh) and getattr(value, "__closure__", value) is not None:
        return False
    module = value.__module__ if callable(value) else type(value).__module__
    return module.split(".")[0] in LIBRARIES


def _array(value: Any) -> Hashable:
    if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        return str(jax.random.key_impl(value)), _array(jax.random.key_data(value))
    if np.size(value) * np.dtype(getattr(value, "dtype", object)).itemsize > MAX_BYTES:
        raise _NotComparableError
    return _bytes(np.asarray(value))


def _bytes(values: np.ndarray) -> Hashable:
    if values.dtype.hasobject:
        raise _NotComparableError
    return str(values.dtype), values.shape, values.tobytes()
