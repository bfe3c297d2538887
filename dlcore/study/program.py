"""Programs: how a training becomes a compiled program for one device, and how a block of runs goes through it.

A program executes `lane_width` runs side by side (lanes) on ONE device. Its text does not depend on how many runs a
study has, how long they are, or how many devices there are, so neither do its bits: blocks are padded to whole lanes,
and the number of records a call advances is an argument. What a training closes over (data sets, mostly) is an argument
as well. `devices` compiles a program, loads it on each device, and keeps one copy there of what it needs.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.sharding import SingleDeviceSharding

from dlcore.core.errors import ArgumentError, described, shown
from dlcore.core.training import Training
from dlcore.study.devices import Constants, Executable, Options
from dlcore.study.threads import DaemonThreads

Cells = dict[str, Any]  # name of an axis to its values, [lanes] each

MAX_RECORDS_PER_CALL = 64
MAX_BYTES_OF_RECORDS = 1 << 22  # of one block, per call
SECONDS_PER_CALL = 0.2  # aimed at: the host looks after progress and interrupts in between

# Bytes of state (parameters and what the optimizer keeps) that the lanes of a block share, and most lanes.
# Measured: see benchmarks/README.md, "Lane width".
LANE_BUDGET = {"cpu": (1 << 19, 8)}
LANE_BUDGET_ELSEWHERE = (1 << 26, 256)


# XLA splits loops over as many threads as its pool has. Not split, a study takes less time, since all cores are busy
# with blocks already, and its bits depend on the pool in one way less.
UNSPLIT: Options = {"xla_disable_hlo_passes": "cpu-parallel-task-assigner"}


class Function(NamedTuple):
    """A traced function.

    call: `call(constants, *arguments)`. constants: the arrays it closed over. result: shapes and dtypes.
    """

    call: Callable[..., Any]
    constants: Sequence[Any]
    result: Any


class Traced(NamedTuple):
    """A training traced once, for one cell and without lanes; `build` makes a program of it.

    training: its static parts; the functions in it belong to the trace. cell: shapes and dtypes of the traced values.
    start: `cell -> (state, record at step 0)`. advance: `(cell, state) -> (state, record)`.
    """

    training: Training
    cell: Cells
    start: Function
    advance: Function

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


class Block(NamedTuple):
    """The unit of work: as many cells as a program has lanes, run to their end on one device.

    position: of the static cell. rows: of its traced cells, [n], n <= lanes.
    """

    position: int
    rows: np.ndarray


class Segment(NamedTuple):
    """What one call of a program yields.

    begin: number of its first record; that at step 0 has number 0. count: how many it has; none at step 0 where a
    training does not measure. records: [count, lanes, ...] each. states: of the runs after it, on the device; the next
    call consumes them.
    """

    begin: int
    count: int
    records: Mapping[str, np.ndarray]
    states: Any


class Program(NamedTuple):
    """The program of one static cell: compiled once, loaded on each device that asks for it.

    start: `start(cells) -> (states, record)` at step 0; [lanes, ...] each.
    advance: `advance(cells, states, n) -> (states, records)`; n records, [capacity, lanes, ...]; consumes the states.
    measured: whether there is a record at step 0.
    """

    start: Executable
    advance: Executable
    capacity: int
    num_lanes: int
    num_records: int
    measured: bool

    def segments(self, device: jax.Device, cells: Cells) -> Iterator[Segment]:
        """Run one block of lanes to its end on a device, a call at a time.

        Args:
          cells: name to values, [num_lanes].
        """
        cells = jax.device_put(cells, device)
        states, first = self.start.on(device)(cells)
        first = {name: values[None] for name, values in jax.device_get(first).items()}
        yield Segment(0, int(self.measured), first, states)
        advance, done, n = self.advance.on(device), 0, 1
        while done < self.num_records:
            n = min(n, self.capacity, self.num_records - done)
            began = time.perf_counter()
            states, records = advance(cells, states, np.int32(n))
            records = {name: values[:n] for name, values in jax.device_get(records).items()}
            yield Segment(done + 1, n, records, states)
            done += n
            n = max(1, min(8 * n, int(n * SECONDS_PER_CALL / (time.perf_counter() - began))))


def trace(make: Callable[[Cells], Training], cell: Cells, constants: Constants) -> Traced:
    """Trace `make(cell)`; nothing is compiled.

    Args:
      make: the training of one cell; pure, called under a trace.
      cell: name to the scalar's shape and dtype.
      constants: of the study, so that programs share the arrays they close over.

    Raises:
      ArgumentError: a hand-written training whose functions do not fit together.
    """
    trainings = []

    def start(cell):
        training = make(cell)
        trainings.append(training)
        state = training.init()
        return state, {} if training.measure is None else _checked_record("measure", training.measure(state))

    def advance(cell, state):
        result = make(cell).advance(state)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ArgumentError(f"advance gave {shown(result)}; expects the pair (state, record).")
        return result[0], _checked_record("advance", result[1])

    start_one = _function(start, (cell,), constants)
    advance_one = _function(advance, (cell, start_one.result[0]), constants)
    _check_states(start_one.result[0], advance_one.result[0])
    return Traced(trainings[0], cell, start_one, advance_one)


def default_lane_width(traced: Traced, platform: str) -> int:
    """Runs side by side in a block, a power of two: as many as keep states and records in fast memory together."""
    budget, most = LANE_BUDGET.get(platform, LANE_BUDGET_ELSEWHERE)
    by_state = budget // max(_size(traced.state), 1)
    by_record = MAX_BYTES_OF_RECORDS // max(_size(traced.record), 1)
    return min(most, 1 << max(0, min(by_state, by_record).bit_length() - 1))


def build(
    traced: Traced, *, lane_width: int | None, device: jax.Device, threads: DaemonThreads, constants: Constants
) -> Program:
    """Lower a training's program now, for one device, and have it compiled in a thread; who uses it waits for that.

    Args:
      lane_width: runs side by side; None for one run by itself, not vectorized.
      device: to compile for; the program then loads on others of its kind.
    """
    lanes = _alone if lane_width is None else functools.partial(jax.vmap, axis_size=lane_width)
    width = lane_width or 1
    capacity = max(1, min(MAX_RECORDS_PER_CALL, MAX_BYTES_OF_RECORDS // max(width * _size(traced.record), 1)))
    # On a CPU a device's lanes are run by one thread: the others have devices of their own.
    options: Options | None = UNSPLIT if lane_width is not None and device.platform == "cpu" else None
    # What is lowered may be kept for longer than the study, so it must not hold the data: not `traced` itself.
    start_one, advance_one, one_record = traced.start.call, traced.advance.call, traced.record

    def start(values, cells):
        return lanes(functools.partial(start_one, values))(cells)

    def advance(values, cells, states, n):
        def record_next(i, carry):
            states, records = carry
            states, record = lanes(functools.partial(advance_one, values))(cells, states)
            return states, jax.tree.map(lambda kept, new: kept.at[i].set(new), records, record)

        empty = jax.tree.map(lambda leaf: jnp.zeros((capacity, width, *leaf.shape), leaf.dtype), one_record)
        return lax.fori_loop(0, n, record_next, (states, empty))

    def executable(function, held, arguments, donated):
        types = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in held]

        def lower(device):
            placed = jax.tree.map(functools.partial(_placed_on, device), (types, *arguments))
            return jax.jit(function, donate_argnums=donated, keep_unused=True).lower(*placed)

        return Executable(lower, device, held, threads, constants, options)

    of_lanes = functools.partial(jax.tree.map, lambda leaf: jax.ShapeDtypeStruct((width, *leaf.shape), leaf.dtype))
    cells, states = of_lanes(traced.cell), of_lanes(traced.state)
    counter = jax.ShapeDtypeStruct((), jnp.int32)
    return Program(
        executable(start, traced.start.constants, (cells,), ()),
        executable(advance, traced.advance.constants, (cells, states, counter), (2,)),  # the states are donated
        capacity,
        width,
        traced.training.num_records,
        traced.training.measure is not None,
    )


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like `vmap` over one lane, but without vectorizing: the program of a single run."""

    def mapped(*arguments):
        results = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], results)

    return mapped


def _size(tree: Any) -> int:
    """Bytes of the arrays of a tree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _placed_on(device: jax.Device, leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=SingleDeviceSharding(device))


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

    return Function(call, [constants.shared(value) for value in closed.consts], result)


def _checked_record(name: str, record: Any) -> dict[str, Any]:
    """The record with keys as numbers; `ArgumentError` unless it maps names to arrays."""
    if not isinstance(record, Mapping) or not all(isinstance(key, str) for key in record):
        raise ArgumentError(f"{name} gave the record {shown(record)}; expects a dictionary from names to arrays.")
    nested = [key for key, value in record.items() if not jax.tree_util.all_leaves([value])]
    if nested:
        raise ArgumentError(
            f"{name} records {nested[0]!r}, which holds {described(record[nested[0]])}; expects one array a name. "
            f"Record its arrays by names of their own, e.g. {nested[0] + '.kernel'!r}; of a list make an array."
        )
    for key, value in record.items():
        if not hasattr(value, "dtype") and not isinstance(value, int | float | complex):
            raise ArgumentError(f"{name} records {key!r}, which is {shown(value)}; expects an array or a number.")
    return {key: _as_numbers(value) for key, value in record.items()}


def _as_numbers(value: Any) -> Any:
    is_key = jax.dtypes.issubdtype(getattr(value, "dtype", np.float32), jax.dtypes.prng_key)
    return jax.random.key_data(value) if is_key else jnp.asarray(value)


def _check_states(before: Any, after: Any) -> None:
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
