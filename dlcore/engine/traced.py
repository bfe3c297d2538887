"""A training traced once: its functions without lanes, and what they take, give and close over."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from dlcore.core.arguments import Note, noting
from dlcore.core.errors import ArgumentError, described, shown
from dlcore.core.labeled import Field, flattened
from dlcore.core.training import Training
from dlcore.engine.checks import check_records, check_state, check_states
from dlcore.engine.devices import Constants
from dlcore.engine.equations import Equations, equations_of
from dlcore.engine.tracing import check_domains, python_called, tracer_errors_in_words

Cells = dict[str, Any]  # name of an axis to its values, [lanes] each


class Function(NamedTuple):
    """A traced function.

    call: `call(constants, *arguments)`. constants: the arrays it closed over. result: shapes and dtypes. python: the
    fingerprint of each function of Python that it calls, None for one that has none. equations: what it computes, see
    `equations_of`.
    """

    call: Callable[..., Any]
    constants: Sequence[Any]
    result: Any
    python: Sequence[str | None]
    equations: Equations | None


class Traced(NamedTuple):
    """A training traced once, for one cell and without lanes; `program.build` makes a program of it.

    training: its static parts; the functions in it belong to the trace. cell: shapes and dtypes of the traced values.
    start: `cell -> (state, record at step 0)`. advance: `(cell, state) -> (state, record)`. last: the same for the last
    record, or None. final: `(cell, state) -> (params, model state)`, or None. fields: dimensions of each record. check:
    of the values of cells, [n] each, whether functions that got them traced take them.
    """

    training: Training
    cell: Cells
    start: Function
    advance: Function
    last: Function | None
    final: Function | None
    fields: Mapping[str, Field]
    check: Callable[[Mapping[str, np.ndarray]], None]

    @property
    def python(self) -> list[str | None]:
        """Fingerprint of each function of Python that a run calls, None for one that has none."""
        functions = (self.start, self.advance, self.last)
        return [each for function in functions if function is not None for each in function.python]

    @property
    def state(self) -> Any:
        """Shapes and dtypes of a run's state."""
        return self.start.result[0]

    @property
    def first_record(self) -> Any:
        """Shapes and dtypes of the record at step 0; {} if there is none."""
        return self.start.result[1]

    @property
    def record(self) -> Any:
        """Shapes and dtypes of the records after it."""
        return self.advance.result[1]


def trace(
    make: Callable[[Cells], Training], cell: Cells, constants: Constants, *, final_params: bool = False
) -> Traced:
    """Trace `make(cell)`; nothing is compiled.

    Args:
      make: the training of one cell; pure, called under a trace.
      cell: name to the scalar's shape and dtype.
      constants: of the study, so that programs share the arrays they close over.
      final_params: trace what gives the parameters to be kept, too.

    Raises:
      ArgumentError: a hand-written training whose functions do not fit together.
    """
    functions = _Functions(make)
    with tracer_errors_in_words(cell):
        start = _function(functions.start, (cell,), constants)
        training, arguments = functions.training, (cell, start.result[0])

        def advancing(advance: Callable[[Training], Any]) -> Function:
            traced = _function(functions.advancing(advance), arguments, constants)
            check_states(start.result[0], traced.result[0])
            return traced

        advance = advancing(lambda training: training.advance)
        last = None if training.last is None else advancing(lambda training: training.last)
        check_records(advance.result[1], (last or advance).result[1])
        has_final = final_params and training.parameters is not None
        final = _function(functions.final, arguments, constants) if has_final else None
    check = functools.partial(check_domains, functions.start_unnoted, functions.notes, functions.given)
    return Traced(training, cell, start, advance, last, final, functions.fields, check)


class _Functions:
    """The functions of a training as they are traced, and what is found out about them.

    training: the first that was made. fields: dimensions of each record. given: the traced values of the cell. notes:
    of the arguments that are traced.
    """

    training: Training

    def __init__(self, make: Callable[[Cells], Training]):
        self._make = make
        self.fields: dict[str, Field] = {}
        self.notes: list[Note] = []
        self.given: dict[str, Any] = {}

    def start(self, cell: Cells) -> tuple[Any, dict[str, jax.Array]]:
        """State and record at step 0."""
        self.given.update(cell)
        with noting() as found:
            result = self.start_unnoted(cell)
        self.notes[:] = found
        return result

    def start_unnoted(self, cell: Cells) -> tuple[Any, dict[str, jax.Array]]:
        """The same, without a look at its arguments."""
        training = self._make(cell)
        if not hasattr(self, "training"):
            self.training = training
        state = check_state(training.init())
        return state, {} if training.measure is None else self._record("measure", training.measure(state))

    def advancing(self, function: Callable[[Training], Any]) -> Callable[[Cells, Any], tuple[Any, Any]]:
        """State and record after the steps of one of the training's functions."""

        def advance(cell, state):
            result = function(self._make(cell))(state)
            if not isinstance(result, tuple) or len(result) != 2:
                raise ArgumentError(f"advance gave {_given(result)}; expects the pair (state, record).")
            return result[0], self._record("advance", result[1])

        return advance

    def final(self, cell: Cells, state: Any) -> tuple[Any, Any]:
        """What is kept of a run: parameters and model state."""
        parameters = self._make(cell).parameters
        assert parameters is not None
        return parameters(state)

    def _record(self, who: str, record: Any) -> dict[str, jax.Array]:
        arrays, found = flattened(who, record)
        for name, field in found.items():
            known = self.fields.setdefault(name, field)
            if len(known.dims) == len(field.dims) and known != field:
                raise ArgumentError(
                    f"{who} records {name!r} along {field.dims}, before it was {known.dims}; expects the same "
                    "dimensions and labels. Let measure and advance record alike."
                )
        return arrays


def _given(result: Any) -> str:
    """What a function gave, in a message: its arrays if it has any."""
    arrays = described(result)
    return shown(result) if arrays == "nothing" else shown(arrays)[1:-1]


def _strongly_typed(tree: Any) -> Any:
    """Drop weak types, which come from Python scalars: a loop's carry must keep its type."""
    return jax.tree.map(lambda leaf: lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), tree)


def _function(function: Callable[..., Any], arguments: tuple, constants: Constants) -> Function:
    """Trace a function once; what it closes over becomes an argument, so that no data is baked into a program."""

    def strongly_typed(*arguments):
        return _strongly_typed(function(*arguments))

    closed, result = jax.make_jaxpr(strongly_typed, return_shape=True)(*arguments)
    jaxpr, structure = closed.jaxpr, jax.tree.structure(result)

    def call(values, *arguments):
        flat = jaxpr_as_fun(ClosedJaxpr(jaxpr, values))
        return jax.tree.unflatten(structure, flat(*jax.tree.leaves(arguments)))

    held = [constants.shared(value) for value in closed.consts]
    return Function(call, held, result, python_called(jaxpr), equations_of(jaxpr))
