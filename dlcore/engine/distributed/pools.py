"""Executors as a study uses them: which are taken, how many blocks they hold, what to do when one is dead."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from dlcore.core.arguments import Constraint, RefusedError
from dlcore.core.errors import ArgumentError, DlcoreError, shown

UNKNOWN_WORKERS = 32  # how many an executor is taken to have that does not say
SECONDS_TO_EXIT = 1.0  # that the processes of a dead executor get

SPAWN = "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))"


class WorkerDiedError(DlcoreError, RuntimeError):
    """The process that computed a block ended without an answer, more than once."""


class JobDiedError(BrokenExecutor):
    """One job of an executor, which runs each in a process of its own, ended without an answer; the others go on."""


def _accept(value: Any) -> Any:
    if isinstance(value, ThreadPoolExecutor):
        raise RefusedError("Threads share one JAX; leave executor= out: a sweep uses all devices of its process.")
    if isinstance(value, ProcessPoolExecutor):
        if _start_method(value) == "fork":
            raise RefusedError(f"It forks, and a process forked after JAX has started hangs: {SPAWN}.")
        return value
    if isinstance(value, Executor):
        return value
    if hasattr(value, "get_executor"):
        raise RefusedError("Of a Dask client: client.get_executor(pure=False, retries=2).")
    if type(value).__module__.partition(".")[0] == "submitit":
        raise RefusedError("Its jobs are no futures: dl.executors.submitit(executor).")
    if not callable(value) or (isinstance(value, type) and not issubclass(value, Executor)):
        raise RefusedError
    return value


EXECUTOR = Constraint("an executor of concurrent.futures, or a function without arguments that makes one", _accept)


def _start_method(executor: ProcessPoolExecutor) -> str:
    context = getattr(executor, "_mp_context", None)
    return context.get_start_method() if context else ""


def _dask_workers(client: Any) -> int:
    """How many there are now: clusters grow and shrink."""
    reason = client.status
    if reason not in ("closing", "closed"):
        try:
            return len(client.ncores())
        except OSError as error:  # it has tried to connect again, for 30 s by default
            reason = error
    raise ArgumentError(f"Dask's scheduler is gone ({reason}); blocks are missing. Call again with a new client.")


class Pool:
    """An executor, and another one like it when it is dead.

    Args:
      given: an executor, which stays the user's: it is not shut down; or a function that makes one, called again after
        a death. Of a dead `ProcessPoolExecutor` that was given, a new one takes the place, with its settings.
    """

    def __init__(self, given: Executor | Callable[[], Executor]):
        given = EXECUTOR.check("executor", given)
        self._make = None if isinstance(given, Executor) else given
        self._given = given if isinstance(given, Executor) else None
        self._now: Executor = self._given or self._made()
        self._processes: dict[int, Any] = {}

    @property
    def room(self) -> int:
        """How many blocks are handed out at a time: no worker waits, and most of the others can be canceled."""
        client = getattr(self._now, "_client", None)
        if hasattr(client, "ncores"):
            return 2 * max(1, _dask_workers(client))
        workers = getattr(self._now, "_max_workers", None)
        return 1 + (workers if isinstance(workers, int) else UNKNOWN_WORKERS)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """As the executor does; Dask takes no two calls for the same."""
        options = {"pure": False} if hasattr(self._now, "_client") else {}
        future = self._now.submit(function, *arguments, **options)
        self._processes = getattr(self._now, "_processes", None) or self._processes
        return future

    def how_it_died(self) -> str:
        """Signals or exit codes of the processes that ended first, where the executor tells."""
        processes = list(self._processes.values())
        deadline = time.monotonic() + SECONDS_TO_EXIT
        while time.monotonic() < deadline and any(process.exitcode is None for process in processes):
            time.sleep(0.01)  # the executor waits for them too, in a thread
        expected = (None, 0, -signal.SIGTERM)  # the executor ends the others by SIGTERM
        codes = {process.exitcode for process in processes if process.exitcode not in expected}
        with contextlib.suppress(ValueError):  # a signal that has no name
            return ", ".join(f"signal {-c} ({signal.Signals(-c).name})" if c < 0 else f"exit code {c}" for c in codes)
        return ""

    def rebuild(self) -> None:
        """Put a new executor in the place of a dead one.

        Raises:
          ArgumentError: it is not known how it was made.
        """
        old = self._now
        if self._make is not None:
            old.shutdown(wait=False)
            self._now = self._made()
        elif type(old) is ProcessPoolExecutor:
            names = ("max_workers", "mp_context", "initializer", "initargs")
            settings = {name: getattr(old, f"_{name}") for name in names}
            self._now = ProcessPoolExecutor(**settings, max_tasks_per_child=getattr(old, "_max_tasks_per_child", None))
        else:
            raise ArgumentError(
                f"executor is {shown(old)}, and is dead; blocks are missing. Call again with a new one, or pass a "
                "function that makes one, so that it can be made again: executor=lambda: ..."
            )

    def check_alive(self) -> None:
        """Raise `ArgumentError` if even a call that does nothing kills the workers."""
        try:
            self._now.submit(os.getpid).result()
        except BrokenExecutor as error:
            died = self.how_it_died()
            raise ArgumentError(
                f"the executor's workers die before they begin a block{f', by {died}' * bool(died)}: {error} A script "
                "must be a file, with all but definitions below if __name__ == '__main__':, since workers import it."
            ) from error

    def close(self, kill: bool) -> None:
        """Shut down an executor that is not the user's. kill: end its processes in mid-block."""
        if self._now is self._given:
            return
        processes = dict(getattr(self._now, "_processes", None) or {})
        self._now.shutdown(wait=not kill, cancel_futures=True)
        if kill:
            for process in processes.values():
                process.kill()

    def _made(self) -> Executor:
        assert self._make is not None
        made = self._make()
        if not isinstance(made, Executor):
            raise ArgumentError(f"executor: the function returned {shown(made)}; expects an executor, e.g. {SPAWN}.")
        return EXECUTOR.check("executor: what the function returned", made)
