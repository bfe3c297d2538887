"""Threads: those that compile, one a device that runs blocks, and how a process ends while XLA keeps one of them."""

import atexit
import contextlib
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import jax

from dlcore.core.errors import ArgumentError, DataError, DlcoreError
from dlcore.engine.places import Place

SECONDS_BETWEEN_LOOKS = 0.05  # of the main thread, the only one that sees Ctrl-C
SECONDS_TO_STOP = 1.0  # for blocks that run, after Ctrl-C

_END = object()  # the task after the last one
_busy: set[threading.Thread] = set()  # threads that XLA may keep for long


class DaemonThreads:
    """A few threads that take tasks in order, and that a process does not wait for when it ends.

    The threads of `concurrent.futures` would keep the process alive until XLA has compiled what nobody waits for.
    """

    def __init__(self, count: int):
        self._tasks: queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._count, self.closed = count, False
        for _ in range(count):
            threading.Thread(target=self._work, daemon=True, name="dlcore").start()

    def submit(self, task: Callable[[], Any]) -> Future:
        """The task's result, in time."""
        future: Future = Future()
        self._tasks.put((future, task))
        return future

    def close(self) -> None:
        """Cancel the tasks that nobody has begun, and let the threads end."""
        self.closed = True
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


class Workers:
    """One thread a place, each of which takes the next task when it is free.

    Args:
      run: `run(place, *task)`, an iterator; after each of its items a worker looks whether it has to stop.

    An error in a worker ends the others, and is raised where tasks are submitted or waited for.
    """

    def __init__(self, places: Sequence[Place], run: Callable[..., Iterator[Any]]):
        self._run = run
        self._x64 = bool(jax.config.read("jax_enable_x64"))  # `with jax.enable_x64()` holds for one thread only
        self._tasks: queue.Queue[Any] = queue.Queue(maxsize=2 * len(places))  # so few programs are built ahead
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(place,), daemon=True, name=f"dlcore {place}") for place in places
        ]

    def __enter__(self) -> "Workers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        until = time.monotonic() + SECONDS_TO_STOP
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def submit(self, *task: Any) -> None:
        """Queue a task; waits while enough are waiting."""
        self._put(task)

    def _put(self, item: Any) -> None:
        while True:
            self._raise_errors()
            with contextlib.suppress(queue.Full):
                return self._tasks.put(item, timeout=SECONDS_BETWEEN_LOOKS)

    def finish(self) -> None:
        """Wait until all tasks are done."""
        for _ in self._threads:
            self._put(_END)
        while any(thread.is_alive() for thread in self._threads):
            self._raise_errors()
            for thread in self._threads:
                thread.join(SECONDS_BETWEEN_LOOKS)
        self._raise_errors()

    def _raise_errors(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _work(self, place: Place) -> None:
        with jax.enable_x64(self._x64):
            self._work_until_stopped(place)

    def _work_until_stopped(self, place: Place) -> None:
        try:
            while not self._stopped.is_set():
                with contextlib.suppress(queue.Empty):
                    if (task := self._tasks.get(timeout=SECONDS_BETWEEN_LOOKS)) is _END:
                        return
                    with inside_xla():
                        for _ in self._run(place, *task):
                            if self._stopped.is_set():
                                return
                    del task  # an idle worker holds no program and no data
        except BaseException as error:  # raised again in the main thread
            self._errors.append(raised_in_callback(error) or error)
            self._stopped.set()


def raised_in_callback(error: BaseException) -> DlcoreError | None:
    """The error of ours that Python code called by a program raised (streamed rows); JAX tells it as text only."""
    if not isinstance(error, jax.errors.JaxRuntimeError):
        return None
    kinds = {kind.__name__: kind for kind in (ArgumentError, DataError)}
    pattern = rf"^(?:{DataError.__module__}\.)?({'|'.join(kinds)}): (.*)\Z"
    found = re.search(pattern, str(error), re.MULTILINE | re.DOTALL)
    return kinds[found[1]](found[2].strip()) if found is not None else None


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
    if _busy and issubclass(getattr(sys, "last_type", None) or Exception, KeyboardInterrupt):
        _flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    for thread in list(_busy):
        thread.join()


def end_if_busy(code: int) -> None:
    """End the process now with this exit code, if a thread of it is inside XLA: what it does, nobody waits for."""
    if _busy:
        _flush()
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
