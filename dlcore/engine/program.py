"""Programs: how a training becomes a compiled program for one device, and how a block of runs goes through it.

A program executes `lane_width` runs side by side (lanes) on ONE device; that of a training with a mesh executes one run
on all of its devices. Its text does not depend on how many runs a study has, how long they are, or how many devices
there are, so neither do its bits: blocks are padded to whole lanes, and the number of records a call advances is an
argument. What a training closes over (data sets, mostly) is an argument as well. `devices` compiles a program, loads
it on each device, and keeps one copy there of what it needs.
"""

import functools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, Sharding

from dlcore.engine import executables
from dlcore.engine.devices import Constants, Executable, Options
from dlcore.engine.places import Place, agreed, platform_of, put, sharding_on
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.traced import Cells, Function, Traced

ENDED = "ended"  # the record that says that a run has ended
BEST = "best_step"  # the record of the step of the best record so far
MAX_RECORDS_PER_CALL = 64
MAX_BYTES_OF_RECORDS = 1 << 22  # of one block, per call
SECONDS_PER_CALL = 0.2  # aimed at: the host looks after progress and interrupts in between

# Bytes of state (parameters and what the optimizer keeps) that the lanes of a block share, and most lanes.
# Measured: see benchmarks/README.md, "Lane width" and "On an H200"; a guess for other accelerators.
LANE_BUDGET = {"cpu": (1 << 19, 8), "gpu": (1 << 28, 1024)}
LANE_BUDGET_ELSEWHERE = (1 << 26, 256)


# On a CPU. LLVM's third level unrolls loops: for the same bits, elementwise parts of small networks and of LSTMs take
# up to eight times as long, and compiling a third longer. Measured: see benchmarks/README.md, "Compiling".
LIGHT: Options = {"xla_backend_optimization_level": 1}

# XLA splits loops over as many threads as its pool has. Not split, a study takes less time, since all cores are busy
# with blocks already, and its bits depend on the pool in one way less.
UNSPLIT: Options = {"xla_disable_hlo_passes": "cpu-parallel-task-assigner"}

# Half of the time to compile a program went into its start: random numbers, and the evaluation that `advance` has too.
# These emitters take half the time to write down what is executed once in a run, and make it a tenth slower.
ONCE: Options = {"xla_cpu_use_fusion_emitters": False}
ONCE_A_RUN = ("start", "final")


class Block(NamedTuple):
    """The unit of work: as many cells as a program has lanes, run to their end on one device.

    position: of the program. rows: the cells, [n], n <= lanes. begin: the record after which they go on, or 0.
    """

    position: int
    rows: np.ndarray
    begin: int = 0


class Segment(NamedTuple):
    """What one call of a program yields.

    begin: number of its first record; that at step 0 has number 0. count: how many it has; none at step 0 where a
    training does not measure. records: [count, lanes, ...] each. states: of the runs after it, on the device; the next
    call consumes them. is_last: whether the block ends with it. final: what is kept of the runs, with the last one.
    """

    begin: int
    count: int
    records: Mapping[str, np.ndarray]
    states: Any
    is_last: bool = False
    final: Any = None


class Program(NamedTuple):
    """The program of one static cell: compiled once, loaded on each device that asks for it.

    start: `start(cells) -> (states, record)` at step 0; [lanes, ...] each.
    advance: `advance(cells, states, n) -> (states, records)`; n records, [capacity, lanes, ...]; consumes the states.
    last: in place of `advance` for the last record, or None. final: `final(cells, states)`, what is kept, or None.
    measured: whether there is a record at step 0. ends: whether runs may end early; states then come with which have.
    """

    start: Executable
    advance: Executable
    last: Executable | None
    final: Executable | None
    capacity: int
    num_lanes: int
    num_records: int
    measured: bool
    ends: bool

    @property
    def functions(self) -> dict[str, Executable]:
        """Those there are, by name."""
        named = {"start": self.start, "advance": self.advance, "last": self.last, "final": self.final}
        return {name: executable for name, executable in named.items() if executable is not None}

    def begin(self) -> None:
        """Have all of it compiled, in threads."""
        for executable in self.functions.values():
            executable.begin()

    def segments(self, place: Place, cells: Cells, states: Any = None, begin: int = 0) -> Iterator[Segment]:
        """Run one block of lanes to its end at a place, a call at a time; it ends early when all its runs have.

        Args:
          cells: name to values, [num_lanes].
          states: to go on from, in place of the start and its record. begin: the record whose states they are.
        """
        self._settle(place)
        on = functools.cache(lambda executable: executable.on(place))  # compiled when it is needed, not before
        cells = put(cells, place)
        if states is None:
            states, first = on(self.start)(cells)
            first = {name: values[None] for name, values in jax.device_get(first).items()}
            yield Segment(0, int(self.measured), first, states[0] if self.ends else states)
        else:
            states = put((states, jnp.zeros(self.num_lanes, bool)) if self.ends else states, place)
        done, n, ended = begin, 1, False
        if done == self.num_records:
            final = None if self.final is None else on(self.final)(cells, states)
            yield Segment(done + 1, 0, {}, states[0] if self.ends else states, True, final)
        while done < self.num_records and not ended:
            at_last = self.last is not None and done == self.num_records - 1
            n = min(n, self.capacity, max(1, self.num_records - done - (self.last is not None)))
            advance = on(self.last if self.last is not None and at_last else self.advance)
            began = time.perf_counter()
            states, records = advance(cells, states, np.int32(n))
            records = {name: values[:n] for name, values in jax.device_get(records).items()}
            ended = bool(np.all(records[ENDED].any(axis=0))) if ENDED in records else False
            is_last = ended or done + n == self.num_records
            final = on(self.final)(cells, states) if self.final is not None and is_last else None
            yield Segment(done + 1, n, records, states[0] if self.ends else states, is_last, final)
            done += n
            n = agreed(max(1, min(8 * n, int(n * SECONDS_PER_CALL / (time.perf_counter() - began)))), place)

    def _settle(self, place: Place) -> None:
        """Have there what all of it closes over, and nothing of another program."""
        held = {id(value): value for executable in self.functions.values() for value in executable.held}
        self.start.constants.keep(list(held.values()), place)


def default_lane_width(traced: Traced, platform: str) -> int:
    """Runs side by side in a block, a power of two: as many as keep states and records in fast memory together."""
    budget, most = LANE_BUDGET.get(platform, LANE_BUDGET_ELSEWHERE)
    by_state = budget // max(_size(traced.state), 1)
    by_record = MAX_BYTES_OF_RECORDS // max(_size(traced.record), 1)
    return min(most, 1 << max(0, min(by_state, by_record).bit_length() - 1))


def build(
    traced: Traced, *, lane_width: int | None, place: Place, threads: DaemonThreads, constants: Constants
) -> Program:
    """Lower a training's program, for one place; it is compiled in threads from its `begin` on.

    Args:
      lane_width: runs side by side; None for one run by itself, not vectorized.
      place: to compile for; a program for one device then loads on others of its kind.
    """
    lanes = _alone if lane_width is None else functools.partial(jax.vmap, axis_size=lane_width)
    width = lane_width or 1
    capacity = max(1, min(MAX_RECORDS_PER_CALL, MAX_BYTES_OF_RECORDS // max(width * _size(traced.record), 1)))
    ends = ENDED in traced.record
    starting, frozen, keeping = (_starting, _frozen, _keeping) if ends else 3 * (lambda one: one,)
    # What is lowered may be kept for longer than the study, so it must not hold the data: not `traced` itself.
    advancing = functools.partial(_advancing, lanes, (capacity, width), traced.record)

    def of_all(one):
        return lambda values, *arguments: lanes(functools.partial(one, values))(*arguments)

    def executable(role, function, made, arguments, donated=()):
        held = made.constants
        types = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in held]
        known = _known(made, role, lane_width, capacity, ends, jax.tree.structure((arguments, made.result)))

        def lower(place):
            sharding = sharding_on(place)
            placed = jax.tree.map(functools.partial(_placed_on, sharding), (types, *arguments))
            jit = functools.partial(jax.jit, function, donate_argnums=donated, keep_unused=True)
            jitted = jit(out_shardings=sharding) if isinstance(place, Mesh) else jit()
            return jitted.lower(*placed)

        return Executable(lower, place, held, threads, constants, _options(role, place, lane_width), known)

    of_lanes = functools.partial(jax.tree.map, lambda leaf: jax.ShapeDtypeStruct((width, *leaf.shape), leaf.dtype))
    one_state = (traced.state, jax.ShapeDtypeStruct((), bool)) if ends else traced.state
    cells, states = of_lanes(traced.cell), of_lanes(one_state)
    counter = jax.ShapeDtypeStruct((), jnp.int32)

    def recording(made):
        # The states are donated.
        return executable("advance", advancing(frozen(made.call)), made, (cells, states, counter), (2,))

    return Program(
        executable("start", of_all(starting(traced.start.call)), traced.start, (cells,)),
        recording(traced.advance),
        traced.last and recording(traced.last),
        traced.final and executable("final", of_all(keeping(traced.final.call)), traced.final, (cells, states)),
        capacity,
        width,
        traced.training.num_records,
        traced.training.measure is not None,
        ends,
    )


def _known(made: Function, *how: Hashable) -> Hashable | None:
    """The same for functions that become the same program; None if that cannot be told."""
    try:
        hash(how)
    except TypeError:  # of a container of the user's that holds something that may change
        return None
    return made.equations and (made.equations, *how)


def _options(role: str, place: Place, lane_width: int | None) -> Options | None:
    """Of the compiler, for one of a program's functions."""
    if platform_of(place) != "cpu":
        return None
    # A device's lanes are run by one thread: the others have devices of their own.
    unsplit = UNSPLIT if lane_width is not None else {}
    return executables.accepted({**LIGHT, **unsplit, **(ONCE if role in ONCE_A_RUN else {})})


def _advancing(lanes: Callable[..., Any], shape: tuple[int, int], one_record: Any, one: Callable[..., Any]) -> Any:
    """`advance(values, cells, states, n) -> (states, records)` of so many lanes; n records, [*shape, ...]."""

    def advance(values, cells, states, n):
        def record_next(i, carry):
            states, records = carry
            states, record = lanes(functools.partial(one, values))(cells, states)
            return states, jax.tree.map(lambda kept, new: kept.at[i].set(new), records, record)

        empty = jax.tree.map(lambda leaf: jnp.zeros((*shape, *leaf.shape), leaf.dtype), one_record)
        return lax.fori_loop(0, n, record_next, (states, empty))

    return advance


def _starting(one: Callable[..., Any]) -> Callable[..., Any]:
    """The start of a run that may end early: its state comes with whether it has."""

    def start(values, cell):
        state, record = one(values, cell)
        return (state, record.get(ENDED, jnp.zeros((), bool))), record

    return start


def _frozen(one: Callable[..., Any]) -> Callable[..., Any]:
    """The advance of such a run: once it has ended it stays as it is, whatever its neighbors do."""

    def advance(values, cell, state_and_ended):
        state, ended = state_and_ended
        new, record = one(values, cell, state)
        new = jax.tree.map(lambda old, new: jnp.where(ended, old, new), state, new)
        return (new, ended | record[ENDED]), record

    return advance


def _keeping(one: Callable[..., Any]) -> Callable[..., Any]:
    """What is kept of such a run."""
    return lambda values, cell, state_and_ended: one(values, cell, state_and_ended[0])


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like `vmap` over one lane, but without vectorizing: the program of a single run."""

    def mapped(*arguments):
        results = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], results)

    return mapped


def _size(tree: Any) -> int:
    """Bytes of the arrays of a tree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _placed_on(sharding: Sharding, leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
