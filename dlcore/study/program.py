"""Programs: how trainings are compiled, and the loop over segments that runs them.

A program executes `width` runs side by side (lanes) on each device. Its shape never depends on how many runs a study
has or how long they are, so neither do its bits: studies are padded to whole lanes, and the number of records a call
advances is an argument. What a training closes over (data sets, mostly) becomes an argument as well.
"""

import functools
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from dlcore.core.training import Training

Cells = dict[str, Any]  # name of an axis to its values, [lanes] each
RUNS = PartitionSpec("runs")
RECORDS_OF_RUNS = PartitionSpec(None, "runs")
REPLICATED = PartitionSpec()

MAX_RECORDS_PER_CALL = 64
MAX_BYTES_OF_RECORDS = 1 << 22  # on one device, per call
SECONDS_PER_CALL = 0.2  # aimed at: the host looks after progress and interrupts in between
MAX_PROGRAMS_KEPT = 64

# Bytes of state (parameters and what the optimizer keeps) that the lanes of one device share, and most lanes.
# Measured: see benchmarks/README.md, "Lane width".
LANE_BUDGET = {"cpu": (1 << 20, 16)}
LANE_BUDGET_ELSEWHERE = (1 << 26, 256)

_compiled: OrderedDict[Any, jax.stages.Compiled] = OrderedDict()


class Traced(NamedTuple):
    """A training traced once, for one cell and without lanes; `build` makes programs of it.

    training: its static parts; the functions in it belong to the trace. state: shapes and dtypes.
    start: `cell -> (state, record)` at step 0. make: for `build`, which traces the rest.
    """

    training: Training
    cell: Cells
    state: Any
    start: "Function"
    make: Callable[[Cells], Training]


class Function(NamedTuple):
    """A traced function `call(constants, *arguments)`, the arrays it closed over, and its result's shapes."""

    call: Callable[..., Any]
    constants: list[Any]
    result: Any


class Program(NamedTuple):
    """The compiled program of one static cell.

    start: `start(cells) -> (states, record)` at step 0; [num_lanes, ...] each.
    advance: `advance(cells, states, n) -> (states, records)`; n records, [capacity, num_lanes, ...]; consumes states.
    place: puts cells on the devices.
    """

    start: Callable[..., Any]
    advance: Callable[..., Any]
    place: Callable[[Cells], Cells]
    capacity: int
    num_lanes: int
    num_records: int


def trace(make: Callable[[Cells], Training], cell: Cells) -> Traced:
    """Trace the start of `make(cell)`; nothing is compiled.

    Args:
      make: the training of one cell; pure, called under a trace.
      cell: name to the scalar's shape and dtype.
    """
    trainings = []

    def start(cell):
        training = make(cell)
        trainings.append(training)
        state = training.init()
        return state, {} if training.measure is None else training.measure(state)

    traced = _function(start, cell)
    return Traced(trainings[0], cell, traced.result[0], traced, make)


def default_lane_width(state: Any, platform: str) -> int:
    """Runs side by side on one device, a power of two: as many as their states fit in fast memory together.

    Args:
      state: shapes and dtypes of one run's state.
    """
    budget, most = LANE_BUDGET.get(platform, LANE_BUDGET_ELSEWHERE)
    return min(most, 1 << max(0, (budget // max(_size(state), 1)).bit_length() - 1))


def build(
    traced: Traced, *, lane_width: int | None, devices: Sequence[jax.Device], pool: Executor
) -> Callable[[], Program]:
    """Lower a training's program now, compile it in the pool; the result waits for that.

    Args:
      lane_width: runs side by side on a device; None for one run by itself, not vectorized.
    """
    lanes = _alone if lane_width is None else functools.partial(jax.vmap, axis_size=lane_width)
    width = lane_width or 1
    advance_one = _function(lambda cell, state: traced.make(cell).advance(state), traced.cell, traced.state)
    record = advance_one.result[1]
    capacity = max(1, min(MAX_RECORDS_PER_CALL, MAX_BYTES_OF_RECORDS // max(width * _size(record), 1)))

    def start(constants, cells):
        return lanes(functools.partial(traced.start.call, constants))(cells)

    def advance(constants, cells, states, n):
        def record_next(i, carry):
            states, records = carry
            states, record = lanes(functools.partial(advance_one.call, constants))(cells, states)
            return states, jax.tree.map(lambda kept, new: kept.at[i].set(new), records, record)

        empty = jax.tree.map(lambda leaf: jnp.zeros((capacity, width, *leaf.shape), leaf.dtype), record)
        return lax.fori_loop(0, n, record_next, (states, empty))

    mesh = Mesh(np.asarray(devices), ("runs",), axis_types=(AxisType.Auto,))
    on_lanes = functools.partial(jax.tree.map, lambda leaf: _lanes_of(leaf, width * mesh.size, mesh))
    cells, states = on_lanes(traced.cell), on_lanes(traced.state)
    counter = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(mesh, REPLICATED))
    placed: dict[int, Any] = {}
    parts = [
        _lower(start, traced.start.constants, (cells,), mesh, (RUNS,), RUNS, placed),
        _lower(
            advance,
            advance_one.constants,
            (cells, states, counter),
            mesh,
            (RUNS, RUNS, REPLICATED),
            (RUNS, RECORDS_OF_RUNS),
            placed,
        ),
    ]
    functions = [pool.submit(_compile, *part) for part in parts]

    def program() -> Program:
        return Program(
            *(function.result() for function in functions),
            place=lambda cells: jax.device_put(cells, NamedSharding(mesh, RUNS)),
            capacity=capacity,
            num_lanes=width * len(devices),
            num_records=traced.training.num_records,
        )

    return program


def execute(
    program: Program, cells: Cells, on_records: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Any]:
    """Run one chunk of lanes to the end.

    Args:
      cells: name to values, [num_lanes].
      on_records: called after each segment with its number of records.

    Returns:
      (record at step 0 [num_lanes, ...], those after it [num_records, num_lanes, ...], final states on the devices).
    """
    cells = program.place(cells)
    states, first = program.start(cells)
    segments, done, n = [], 0, 1
    while done < program.num_records:
        n = min(n, program.capacity, program.num_records - done)
        began = time.perf_counter()
        states, records = program.advance(cells, states, np.int32(n))
        segments.append({name: values[:n] for name, values in jax.device_get(records).items()})
        done += n
        on_records(n)
        n = max(1, min(8 * n, int(n * SECONDS_PER_CALL / (time.perf_counter() - began))))
    joined = {name: np.concatenate([segment[name] for segment in segments]) for name in segments[0]}
    return jax.device_get(first), joined, states


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like `vmap` over one lane, but without vectorizing: the program of a single run."""

    def mapped(*arguments):
        results = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], results)

    return mapped


def _size(tree: Any) -> int:
    """Bytes of the arrays of a tree."""
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def _strongly_typed(tree: Any) -> Any:
    """Drop weak types, which come from Python scalars: a loop's carry must keep its type."""
    return jax.tree.map(lambda leaf: lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), tree)


def _function(function: Callable[..., Any], *arguments: Any) -> Function:
    """Trace a function once; what it closes over becomes an argument, so that no data is baked into a program."""

    def strongly_typed(*arguments):
        return _strongly_typed(function(*arguments))

    closed, result = jax.make_jaxpr(strongly_typed, return_shape=True)(*arguments)
    structure = jax.tree.structure(result)

    def call(constants, *arguments):
        flat = jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, constants))
        return jax.tree.unflatten(structure, flat(*jax.tree.leaves(arguments)))

    return Function(call, closed.consts, result)


def _lanes_of(leaf: jax.ShapeDtypeStruct, num_lanes: int, mesh: Mesh) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((num_lanes, *leaf.shape), leaf.dtype, sharding=NamedSharding(mesh, RUNS))


def _lower(function, constants, arguments, mesh: Mesh, in_specs, out_specs, placed: dict[int, Any]):
    """Lower `function(constants, *arguments)` over the mesh, with the constants on all its devices.

    Args:
      placed: arrays already copied to the devices, by identity; shared by the functions of one program.

    Returns:
      (lowered, the constants on the devices)
    """
    for value in constants:
        if id(value) not in placed:
            placed[id(value)] = jax.device_put(value, NamedSharding(mesh, REPLICATED))
    everywhere = [placed[id(value)] for value in constants]
    sharded = jax.shard_map(function, mesh=mesh, in_specs=(REPLICATED, *in_specs), out_specs=out_specs, check_vma=False)
    donated = (2,) if len(arguments) > 1 else ()  # the states: the call returns new ones
    return jax.jit(sharded, donate_argnums=donated).lower(everywhere, *arguments), everywhere


def forget_programs() -> None:
    """Drop the compiled programs kept in memory."""
    _compiled.clear()


def _compile(lowered: jax.stages.Lowered, constants: list[Any]) -> Callable[..., Any]:
    """Compile, or take the program compiled before whose text and structure are the same."""
    text = lowered.as_text()
    if "callback" in text:  # which Python function is called is not in the text
        return functools.partial(lowered.compile(), constants)
    key = (text, str(lowered.in_tree), str(lowered.out_tree))
    if key not in _compiled:
        _compiled[key] = lowered.compile()
        while len(_compiled) > MAX_PROGRAMS_KEPT:
            _compiled.popitem(last=False)
    return functools.partial(_compiled[key], constants)
