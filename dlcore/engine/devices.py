"""Devices: programs are compiled once and loaded on each, and one copy of what they close over is placed there.

A mesh of devices is a place like one device: a program is compiled for it, and what it closes over is put on each.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any
from weakref import WeakValueDictionary

import jax
import numpy as np
from jax.sharding import Mesh

from dlcore.engine import executables
from dlcore.engine.dtypes import as_numbers, bits, digest
from dlcore.engine.places import Place, check_alike, put
from dlcore.engine.threads import DaemonThreads

MAX_PROGRAMS_KEPT = 64

Options = dict[str, Any]  # of the compiler, by XLA's names

_kept: OrderedDict[Any, "Future[_Loadable]"] = OrderedDict()
_kept_lock = threading.Lock()


class Constants:
    """The arrays that programs close over: equal ones are one array, with one copy on each device."""

    def __init__(self) -> None:
        self._known: dict[Any, list[Any]] = {}
        self._placed: WeakValueDictionary[tuple[int, Place], jax.Array] = WeakValueDictionary()
        self._digests: dict[int, str] = {}
        self._lock = threading.Lock()

    def shared(self, value: Any) -> Any:
        """The array itself, or an equal one known already; NumPy's without a copy."""
        if not isinstance(value, jax.Array):
            value = np.asarray(value)
        alike = self._known.setdefault((type(value), value.shape, value.dtype), [])
        for known in alike:
            if known is value or (isinstance(value, np.ndarray) and _same_bytes(known, value)):
                return known
        alike.append(value)
        return value

    def digest(self, value: Any) -> str:
        """`dtypes.digest` of `value`, which was `shared`; of keys, of their integers."""
        if id(value) not in self._digests:
            self._digests[id(value)] = digest(np.asarray(as_numbers(value)))
        return self._digests[id(value)]

    def placed(self, value: Any, place: Place) -> jax.Array:
        """`value`, which was `shared`, at the place; copied once as long as somebody holds the copy."""
        with self._lock:
            there = self._placed.get((id(value), place))
            if there is None:
                there = self._placed[id(value), place] = put(value, place)
            return there


class Executable:
    """A function lowered now, compiled once, in a thread, and loaded on each device that asks for it.

    Args:
      lower: `lower(place) -> Lowered`; called now for `place`, and for another one where the program cannot be loaded
        there: where it calls Python, is for a mesh, or JAX does not let us.
      held: the constants, the function's first argument.
      options: of the compiler.
    """

    def __init__(
        self,
        lower: Callable[[Place], jax.stages.Lowered],
        place: Place,
        held: Sequence[Any],
        threads: DaemonThreads,
        constants: Constants,
        options: Options | None = None,
    ):
        self.held, self.options, self._constants, self._threads = held, options, constants, threads
        self._compile = functools.partial(_compiled, lower, place, held, threads, options)
        self._lowered: jax.stages.Lowered | None = lower(place)
        self._loadable: Future[_Loadable] | None = None
        self._bound: dict[Place, Callable[..., Any]] = {}
        self.text = self._lowered.as_text()
        # An argument that is not used leaves no trace in the text, its type is in the signature.
        self.types = str(self._lowered.in_avals)

    @property
    def calls_python(self) -> bool:
        """Whether it calls functions of Python; which ones is not in the text."""
        return "callback" in self.text

    def begin(self) -> None:
        """Have it compiled, unless that was asked for before."""
        if self._loadable is None:
            self._loadable = self._compile(self._lowered, self)
            self._lowered = None

    def compiled(self, place: Place) -> jax.stages.Compiled:
        """The function at a place, of the constants and its own arguments; waits until it is compiled."""
        return self._result().on(place)

    def on(self, place: Place) -> Callable[..., Any]:
        """The function at a place, with its constants there; waits until it is compiled."""
        if place not in self._bound:  # each place has one thread, so nobody else sets this entry
            function = self.compiled(place)
            values = [self._constants.placed(value, place) for value in self.held]
            self._bound[place] = lambda *arguments: function(values, *arguments)
        return self._bound[place]

    def _result(self) -> "_Loadable":
        self.begin()
        assert self._loadable is not None
        try:
            return self._loadable.result()
        except CancelledError:  # another study, which had the same program compiled, has ended before it was
            if self._threads.closed:
                raise
            self._loadable = self._compile(None, self)
            return self._loadable.result()


class _Loadable:
    """A compiled function that loads on other devices of its kind.

    Args:
      name: of the program, the same in every process; None for one that cannot be loaded elsewhere.
    """

    def __init__(
        self,
        lower: Callable[[Place], jax.stages.Lowered],
        lowered: jax.stages.Lowered,
        place: Place,
        options: Options | None,
        name: str | None,
    ):
        self._lower, self._options = lower, options
        self._first, from_cache = executables.compiled(lowered, options)
        self._on = {place: self._first}
        self._code = executables.code_of(self._first, name, from_cache) if name else None
        self._lock = threading.Lock()

    def on(self, place: Place) -> jax.stages.Compiled:
        with self._lock:
            if place not in self._on:
                loaded = executables.loaded(self._first, self._code, place) if self._code else None
                self._on[place] = loaded or self._lower(place).compile(self._options)
            return self._on[place]


def _compiled(
    lower: Callable[[Place], jax.stages.Lowered],
    place: Place,
    held: Sequence[Any],
    threads: DaemonThreads,
    options: Options | None,
    lowered: jax.stages.Lowered | None,
    executable: Executable,
) -> "Future[_Loadable]":
    """Compile in a thread, or take the program compiled before whose text and types are the same.

    `lower` must hold no data: programs are kept for longer than the study.
    """
    ready = lowered or lower(place)
    check_alike(ready, held, place)
    if executable.calls_python:
        return threads.submit(lambda: _Loadable(lower, ready, place, options, None))
    described = (executable.text, executable.types, str(ready.in_tree), str(ready.out_tree), str(options))
    name = executables.name_of(*described)
    on_others = None if isinstance(place, Mesh) else name
    with _kept_lock:
        future = _kept.get((name, place))
        if future is None or future.cancelled() or (future.done() and future.exception() is not None):
            future = _kept[name, place] = threads.submit(lambda: _Loadable(lower, ready, place, options, on_others))
        _kept.move_to_end((name, place))
        while len(_kept) > MAX_PROGRAMS_KEPT:
            _kept.popitem(last=False)
    return future


def forget_programs() -> None:
    """Drop the compiled programs kept in memory."""
    with _kept_lock:
        _kept.clear()


def _same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape and dtype hold the same bits; at once for one and the same memory."""
    if a.ctypes.data == b.ctypes.data and a.strides == b.strides:
        return True
    return a.tobytes() == b.tobytes() if a.nbytes < 1 << 16 else np.array_equal(bits(a), bits(b))
