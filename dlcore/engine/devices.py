"""Devices: programs are compiled once and loaded on each, and one copy of what they close over is placed there."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any
from weakref import WeakValueDictionary

import jax
import numpy as np

from dlcore.engine import executables
from dlcore.engine.threads import DaemonThreads

MAX_PROGRAMS_KEPT = 64

Options = dict[str, Any]  # of the compiler, by XLA's names

_kept: OrderedDict[Any, "Future[_Loadable]"] = OrderedDict()
_kept_lock = threading.Lock()


class Constants:
    """The arrays that programs close over: equal ones are one array, with one copy on each device."""

    def __init__(self) -> None:
        self._known: dict[Any, list[Any]] = {}
        self._placed: WeakValueDictionary[tuple[int, int], jax.Array] = WeakValueDictionary()
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

    def placed(self, value: Any, device: jax.Device) -> jax.Array:
        """`value`, which was `shared`, on the device; copied once as long as somebody holds the copy."""
        with self._lock:
            there = self._placed.get((id(value), device.id))
            if there is None:
                there = self._placed[id(value), device.id] = jax.device_put(value, device)
            return there


class Executable:
    """A function compiled once, in a thread, and loaded on each device that asks for it.

    Args:
      lower: `lower(device) -> Lowered`; called now for `device`, and for another one where the program cannot be loaded
        there: where it calls Python, or JAX does not let us.
      held: the constants, the function's first argument.
      options: of the compiler.
    """

    def __init__(
        self,
        lower: Callable[[jax.Device], jax.stages.Lowered],
        device: jax.Device,
        held: Sequence[Any],
        threads: DaemonThreads,
        constants: Constants,
        options: Options | None = None,
    ):
        self._held, self._constants, self._threads = held, constants, threads
        self._compile = functools.partial(_compiled, lower, device, threads, options)
        self._loadable = self._compile()
        self._bound: dict[int, Callable[..., Any]] = {}

    def on(self, device: jax.Device) -> Callable[..., Any]:
        """The function on a device, with its constants there; waits until it is compiled."""
        if device.id not in self._bound:  # each device has one thread, so nobody else sets this entry
            function = self._result().on(device)
            values = [self._constants.placed(value, device) for value in self._held]
            self._bound[device.id] = lambda *arguments: function(values, *arguments)
        return self._bound[device.id]

    def _result(self) -> "_Loadable":
        try:
            return self._loadable.result()
        except CancelledError:  # another study, which had the same program compiled, has ended before it was
            if self._threads.closed:
                raise
            self._loadable = self._compile()
            return self._loadable.result()


class _Loadable:
    """A compiled function that loads on other devices of its kind.

    Args:
      name: of the program, the same in every process; None for one that cannot be loaded elsewhere.
    """

    def __init__(
        self,
        lower: Callable[[jax.Device], jax.stages.Lowered],
        lowered: jax.stages.Lowered,
        device: jax.Device,
        options: Options | None,
        name: str | None,
    ):
        self._lower, self._options = lower, options
        self._first, from_cache = executables.compiled(lowered, options)
        self._on = {device.id: self._first}
        self._code = executables.code_of(self._first, name, from_cache) if name else None
        self._lock = threading.Lock()

    def on(self, device: jax.Device) -> jax.stages.Compiled:
        with self._lock:
            if device.id not in self._on:
                loaded = executables.loaded(self._first, self._code, device) if self._code else None
                self._on[device.id] = loaded or self._lower(device).compile(self._options)
            return self._on[device.id]


def _compiled(
    lower: Callable[[jax.Device], jax.stages.Lowered],
    device: jax.Device,
    threads: DaemonThreads,
    options: Options | None,
) -> "Future[_Loadable]":
    """Compile in a thread, or take the program compiled before whose text and types are the same.

    `lower` must hold no data: programs are kept for longer than the study.
    """
    lowered = lower(device)
    text = lowered.as_text()
    if "callback" in text:  # which Python function is called is not in the text
        return threads.submit(lambda: _Loadable(lower, lowered, device, options, None))
    # An argument that is not used leaves no trace in the text, its type is in the signature.
    described = (text, str(lowered.in_avals), str(lowered.in_tree), str(lowered.out_tree), str(options))
    name = executables.name_of(*described)
    with _kept_lock:
        future = _kept.get((name, device))
        if future is None or future.cancelled() or (future.done() and future.exception() is not None):
            future = _kept[name, device] = threads.submit(lambda: _Loadable(lower, lowered, device, options, name))
        _kept.move_to_end((name, device))
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
    return a.tobytes() == b.tobytes() if a.nbytes < 1 << 16 else np.array_equal(_bits(a), _bits(b))


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
