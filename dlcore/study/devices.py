"""Devices: programs and constants are put on each one once, and blocks are handed to whichever is free."""

import atexit
import contextlib
import io
import os
import queue
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import jax
import numpy as np
from jax._src import compiler
from jax.experimental import serialize_executable

MAX_PROGRAMS_KEPT = 64

Options = dict[str, Any]  # of the compiler, by XLA's names

_kept: OrderedDict[Any, "Future[_Loadable]"] = OrderedDict()
_kept_lock = threading.Lock()
_busy: set[threading.Thread] = set()  # threads that XLA may keep for long


class DaemonThreads:
    """A few threads that take tasks in order, and that a process does not wait for when it ends.

    The threads of `concurrent.futures` would keep the process alive until XLA has compiled what nobody waits for.
    """

    def __init__(self, count: int):
        self._tasks: queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._count = count
        for _ in range(count):
            threading.Thread(target=self._work, daemon=True, name="dlcore").start()

    def submit(self, task: Callable[[], Any]) -> Future:
        """The task's result, in time."""
        future: Future = Future()
        self._tasks.put((future, task))
        return future

    def close(self) -> None:
        """Cancel the tasks that nobody has begun, and let the threads end."""
        with contextlib.suppress(queue.Empty):  # the threads take tasks meanwhile
            while True:
                if (item := self._tasks.get_nowait()) is not None:
                    item[0].cancel()
        for _ in range(self._count):
            self._tasks.put(None)

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            future, task = item
            try:
                with inside_xla():
                    future.set_result(task())
            except BaseException as error:  # whoever asks for the result gets it
                future.set_exception(error)
            del future, task, item


@contextlib.contextmanager
def inside_xla() -> Iterator[None]:
    """Mark this thread as one that XLA may keep for long, for `_leave`."""
    thread = threading.current_thread()
    _busy.add(thread)
    try:
        yield
    finally:
        _busy.discard(thread)


@atexit.register
def _leave() -> None:
    """Let the process end well while a thread compiles or computes what nobody waits for.

    XLA cannot be interrupted, and a thread that comes back from it into an interpreter that is ending aborts the
    process. After Ctrl-C it is ended as Python itself does, by the signal; else it waits for the thread.
    """
    interrupted = issubclass(getattr(sys, "last_type", None) or Exception, KeyboardInterrupt)
    if interrupted and _busy:
        end_now()
    for thread in list(_busy):
        thread.join()


def end_now() -> NoReturn:
    """End the process as one that was interrupted, whatever its threads do; what was written is flushed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    os._exit(130)


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
        """`value` on the device; copied once as long as somebody holds the copy."""
        with self._lock:
            there = self._placed.get((id(value), device.id))
            if there is None:
                there = self._placed[id(value), device.id] = jax.device_put(value, device)
            return there


class Executable:
    """A function compiled once, in a thread, and loaded on each device that asks for it.

    Args:
      lower: `lower(device) -> Lowered`; called now for `device`, and for others only where loading fails.
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
        self._held, self._constants = held, constants
        self._loadable = _compiled(lower, device, threads, options)
        self._bound: dict[int, Callable[..., Any]] = {}

    def on(self, device: jax.Device) -> Callable[..., Any]:
        """The function on a device, with its constants there; waits until it is compiled."""
        if device.id not in self._bound:  # each device has one thread, so nobody else sets this entry
            function = self._loadable.result().on(device)
            values = [self._constants.placed(value, device) for value in self._held]
            self._bound[device.id] = lambda *arguments: function(values, *arguments)
        return self._bound[device.id]


class _Loadable:
    """A compiled function that loads on other devices of its kind."""

    def __init__(
        self,
        lower: Callable[[jax.Device], jax.stages.Lowered],
        device: jax.Device,
        options: Options | None,
        portable: bool,
    ):
        self._lower, self._options = lower, options
        self._on = {device.id: lower(device).compile(options)}
        self._first, self._portable = self._on[device.id], portable
        self._serialized: Any = None
        self._lock = threading.Lock()

    def on(self, device: jax.Device) -> jax.stages.Compiled:
        with self._lock:
            if device.id not in self._on:
                self._on[device.id] = (
                    self._loaded(device) if self._portable else self._lower(device).compile(self._options)
                )
            return self._on[device.id]

    def _loaded(self, device: jax.Device) -> jax.stages.Compiled:
        try:
            self._serialized = self._serialized or serialize_executable.serialize(self._first)
            return _load(self._serialized, device)
        # Not every platform can, and what `_load` builds on is not public: then compiling again gives the same program.
        except (AttributeError, ImportError, NotImplementedError, RuntimeError, TypeError, ValueError):
            self._portable = False
            return self._lower(device).compile(self._options)


def _compiled(
    lower: Callable[[jax.Device], jax.stages.Lowered],
    device: jax.Device,
    threads: DaemonThreads,
    options: Options | None,
) -> "Future[_Loadable]":
    """Compile in a thread, or take the program compiled before whose text and types are the same."""
    lowered = lower(device)
    text = lowered.as_text()
    first_then_anew = _first(lowered, lower)
    if "callback" in text:  # which Python function is called is not in the text
        return threads.submit(lambda: _Loadable(first_then_anew, device, options, portable=False))
    # An argument that is not used leaves no trace in the text, its type is in the signature.
    key = (text, str(lowered.in_avals), str(lowered.in_tree), str(lowered.out_tree), str(options), device)
    with _kept_lock:
        future = _kept.get(key)
        if future is None or future.cancelled() or (future.done() and future.exception() is not None):
            future = _kept[key] = threads.submit(lambda: _Loadable(first_then_anew, device, options, portable=True))
        _kept.move_to_end(key)
        while len(_kept) > MAX_PROGRAMS_KEPT:
            _kept.popitem(last=False)
    return future


def _first(lowered: jax.stages.Lowered, lower: Callable[[jax.Device], jax.stages.Lowered]):
    """`lower`, without doing again what has just been done."""
    ready = [lowered]
    return lambda device: ready.pop() if ready else lower(device)


def forget_programs() -> None:
    """Drop the compiled programs kept in memory."""
    with _kept_lock:
        _kept.clear()


class _OnDevice(serialize_executable._JaxPjrtUnpickler):  # pyright: ignore[reportPrivateUsage]
    """Reads what `serialize` wrote for one device as a program for another one.

    The public `deserialize_and_load` keeps the number of the first device in the compile options.
    """

    def __init__(self, file: io.BytesIO, device: jax.Device):
        super().__init__(file, device.client, (device,))
        self.device = device

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "device":
            return self.device
        if pid[0] != "exec":
            return super().persistent_load(pid)
        options = compiler.get_compile_options(
            num_replicas=1, num_partitions=1, device_assignment=np.array([[self.device.id]])
        )
        return self.backend.deserialize_executable(
            pid[1], executable_devices=self.execution_devices, compile_options=options
        )


def _load(serialized: tuple[bytes, Any, Any], device: jax.Device) -> jax.stages.Compiled:
    data, in_tree, out_tree = serialized
    unloaded, arguments, no_kwargs = _OnDevice(io.BytesIO(data), device).load()
    return jax.stages.Compiled(unloaded.load(), [], in_tree.unflatten(arguments), out_tree, no_kwargs=no_kwargs)


def _same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape and dtype hold the same bits; at once for one and the same memory."""
    if a.ctypes.data == b.ctypes.data and a.strides == b.strides:
        return True
    return a.tobytes() == b.tobytes() if a.nbytes < 1 << 16 else np.array_equal(_bits(a), _bits(b))


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
