"""Trainings, their states and records as they enter a study: what does not fit is said before anything compiles."""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh

from dlcore.core.arguments import NONE, Constraint, RefusedError, integer
from dlcore.core.errors import ArgumentError, described, shown
from dlcore.core.training import Training

# Functions of a training, with how many arguments they take.
FUNCTIONS = {"init": 0, "advance": 1, "measure": 1, "last": 1, "parameters": 1, "continued": 1}


def _accept_mesh(value: Any) -> Mesh:
    if not isinstance(value, Mesh):
        raise RefusedError
    if any(kind != AxisType.Auto for kind in value.axis_types):
        raise RefusedError("Make one of its devices: jax.sharding.Mesh(mesh.devices, mesh.axis_names).")
    return value


MESH = Constraint("a jax.sharding.Mesh whose axes are all AxisType.Auto", _accept_mesh) | NONE


def check_training(training: Any, name: str) -> Training:
    """The argument, if it is a `Training` whose parts are what they should be."""
    if not isinstance(training, Training):
        raise ArgumentError(f"{name} gave a {type(training).__name__}; expects a Training, from dl.training(...).")
    integer(meaning="records").check(f"{name}: num_records", training.num_records)
    MESH.check(f"{name}: mesh", training.mesh)
    for part, count in FUNCTIONS.items():
        function = getattr(training, part)
        if function is None and part not in ("init", "advance"):
            continue
        taken = "no argument" if not count else "the state, its one argument"
        if not callable(function) or not _takes(function, count):
            raise ArgumentError(f"{name}: {part} is {shown(function)}; expects a function that takes {taken}.")
    for part, of in (("coordinates", "times to arrays"), ("attrs", "variables to texts")):
        value = getattr(training, part)
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ArgumentError(f"{name}: {part} is {shown(value)}; expects a dictionary from names of {of}.")
    for key, text in training.attrs.items():
        if not isinstance(text, str):
            raise ArgumentError(f"{name}: attrs[{key!r}] is {shown(text)}; expects a text.")
    for key, values in training.coordinates.items():
        _check_time(name, key, values, training.num_records)
    return training


def check_state(state: Any) -> Any:
    """What `init` gave, if it is a tree of arrays."""
    if state is None:
        raise ArgumentError("init gave None; expects a state, a tree of arrays. Does it lack a return?")
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        is_array = isinstance(leaf, jax.Array) or (
            isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "OSUMm"
        )
        if not is_array and not isinstance(leaf, int | float | complex):
            raise ArgumentError(
                f"init gave a state whose part state{jax.tree_util.keystr(path)} is {shown(leaf)}; expects arrays. "
                "Keep what does not change in the function's closure."
            )
    return state


def check_states(before: Any, after: Any) -> None:
    """A state keeps its structure, shapes and dtypes over a step."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise ArgumentError(
            f"advance gave a state of another structure: {jax.tree.structure(after)} for {jax.tree.structure(before)}; "
            "expects the same."
        )
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ArgumentError(
                f"advance turned state{jax.tree_util.keystr(path)} from {described(old)} into {described(new)}; a "
                "state keeps its shapes and dtypes. Start with that dtype, or convert it back."
            )


def check_records(record: Mapping[str, Any], last: Mapping[str, Any]) -> None:
    """The last record is like the others; what says whether a run is finite or has ended is one Boolean."""
    for name in {**record, **last}:
        if name not in record or name not in last or described(record[name]) != described(last[name]):
            raise ArgumentError(
                f"the last record holds {name!r} as {described(last.get(name))}, the others as "
                f"{described(record.get(name))}; expects one form. Let last and advance record alike."
            )
    for name in ("finite", "ended"):
        if name in record and described(record[name]) != "bool[]":
            raise ArgumentError(f"the record {name!r} is {described(record[name])}; expects one Boolean. Rename it.")


def _takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many arguments by position."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True  # a built-in does not say
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _check_time(name: str, key: str, values: Any, num_records: int) -> None:
    """The values of one coordinate, at step 0 and each record."""
    if isinstance(values, Tracer):
        raise ArgumentError(
            f"{name}: the coordinate {key!r} is traced; expects known numbers. Make it with NumPy, not with jax.numpy."
        )
    times = np.asarray(values)
    if times.shape != (num_records + 1,):
        raise ArgumentError(
            f"{name}: the coordinate {key!r} has shape {times.shape}, of {num_records} records; expects "
            f"({num_records + 1},), the value at step 0 first."
        )
    if times.dtype.kind not in "iuf" or not np.isfinite(times).all() or not (np.diff(times.astype(float)) > 0).all():
        raise ArgumentError(
            f"{name}: the coordinate {key!r} is {shown(times.tolist())}; expects finite numbers that grow."
        )
