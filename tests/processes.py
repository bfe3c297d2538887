"""Processes of a test: forked, so that they start in milliseconds, and dead at its end."""

import contextlib
import gc
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator

import pytest


@contextlib.contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """A process that does `work`, which may not touch JAX; its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of forks, since its threads are not in the child
        process = os.fork()
    if not process:
        gc.disable()  # or arrays of other tests would be freed by threads that are not here
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def ended(process: int) -> int:
    """Wait for a process; its exit code, minus the signal where one killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that other processes bring about."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("waited in vain")
        time.sleep(0.005)
