"""What can be said of a traced function: values outside their domain, and the line that needs a concrete value."""

import functools
import linecache
import pathlib
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params

from dlcore.core.arguments import Note, noting
from dlcore.core.errors import ArgumentError

CELLS_AT_ONCE = 16  # what a value is computed from may be large
PACKAGE = pathlib.Path(__file__).parents[1]
# What raises these needs a concrete value and got a traced one.
NEEDS_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


@contextmanager
def tracer_errors_in_words(cell: Mapping[str, Any]) -> Iterator[None]:
    """An error of JAX about a traced value becomes an `ArgumentError` with the user's line and the fix."""
    try:
        yield
    except NEEDS_CONCRETE as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = _users_line(frames)
        axes = f" (traced here: {', '.join(cell)})" if cell else ""
        as_list = "Give the axis as a list, which compiles once per value, or write" if cell else "Write"
        in_optax = any("optax" in pathlib.Path(frame.filename).parts for frame in frames)
        of_optax = (
            " Schedules that need a concrete rate can be put together: dl.optimizers.warm_up("
            "optax.cosine_decay_schedule(learning_rate, 100), num_steps=10); see docs/optimizers.md."
        )
        raise ArgumentError(
            f"{line} needs the value of a traced number{axes}, as a Python if, int(), float() or NumPy does; expects "
            f"operations of JAX, since models, metrics and observers are compiled too. {as_list} it with jnp.where, "
            f"lax.cond and the like.{of_optax * in_optax}"
        ) from error


def python_called(jaxpr: Any) -> list[str | None]:
    """The fingerprint of each Python function that a traced one calls for a value, None for one that has none.

    A fingerprint is an attribute of the object whose method is called, a text that changes with what it returns, as
    `dl.data.Streamed` has; `jax.debug.print` and the like give no value.
    """
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("pure_callback", "io_callback"):
            called = getattr(equation.params["callback"], "callback_func", None)
            found.append(getattr(getattr(called, "__self__", None), "fingerprint", None))
        for inner in jaxprs_in_params(equation.params):
            found += python_called(inner)
    return found


def check_domains(
    start: Callable[[Any], Any], notes: list[Note], given: Mapping[str, Any], cells: Mapping[str, Any]
) -> None:
    """Raise `ArgumentError` for values of axes that a function of ours, which got them traced, does not take.

    Args:
      start: the traced function, to be traced again for values that were computed from axes.
      notes: what was noted in it. given: the traced values it got, by parameter. cells: their values, [n] each.
    """
    computed = False
    for note in notes:
        parameter = next((name for name, value in given.items() if value is note.value), None)
        if parameter is None:
            computed = True
        else:
            _check(note, cells[parameter], cells)
    if computed and cells:
        again: list[Note] = []

        def values(cell):
            with noting() as found:
                start(cell)
            again[:] = [note for note in found if _of_this_trace(note, cell)]
            return [note.value for note in again]

        results = jax.jit(lambda cells: jax.lax.map(values, cells, batch_size=CELLS_AT_ONCE))(dict(cells))
        for note, found in zip(again, results, strict=True):
            _check(note, np.asarray(found), cells)


def _check(note: Note, values: np.ndarray, cells: Mapping[str, Any]) -> None:
    for position, value in enumerate(values):
        if note.constraint.refuses(value):
            where = ", ".join(f"{name}={axis[position]:.6g}" for name, axis in cells.items())
            note.constraint.check(f"at {where}, {note.name}", value.item())


def _of_this_trace(note: Note, cell: Mapping[str, Any]) -> bool:
    """Whether a value was computed in the trace of the cell itself, not inside a loop in it."""
    return any(getattr(note.value, "_trace", None) is getattr(value, "_trace", cell) for value in cell.values())


@functools.cache
def _libraries() -> tuple[pathlib.Path, ...]:
    paths = sysconfig.get_paths()
    return (PACKAGE, *(pathlib.Path(paths[name]) for name in ("purelib", "platlib", "stdlib", "platstdlib")))


def _users_line(frames: traceback.StackSummary) -> str:
    """The innermost line that is neither of a library nor of this package."""
    for frame in reversed(frames):
        if not any(pathlib.Path(frame.filename).is_relative_to(folder) for folder in _libraries()):
            code = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
            where = f"{frame.name}, line {frame.lineno} of {pathlib.Path(frame.filename).name}"
            return f"{where}: {shown_code(code)}" if code else where
    return "the function of the study"


def shown_code(code: str) -> str:
    """A line of code in a message."""
    return f"`{code}`" if len(code) <= 100 else f"`{code[:97]}...`"
