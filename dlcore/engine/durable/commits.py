"""Writes to a store in threads of their own: most of a commit is waiting for the disk, and devices need not."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from dlcore.engine.threads import DaemonThreads

THREADS = 2
MOST = 16  # writes that wait at a time; who has more waits for the disk


class Commits:
    """Writes handed to threads, in any order; `finish` waits for all of them."""

    def __init__(self) -> None:
        self._threads: DaemonThreads | None = None
        self._room = threading.Semaphore(MOST)
        self._pending: set[Future] = set()
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def submit(self, write: Callable[[], None]) -> Future:
        """Have something written; waits while many writes do.

        Returns:
          when it is written, and how that went.

        Raises:
          DlcoreError: an earlier write failed.
        """
        self._room.acquire()
        with self._lock:
            if self._error is not None:
                self._room.release()
                raise self._error
            self._threads = self._threads or DaemonThreads(THREADS)
            future = self._threads.submit(write)
            self._pending.add(future)
        future.add_done_callback(self._written)
        return future

    def _written(self, future: Future) -> None:
        with self._lock:
            self._pending.discard(future)
            self._error = self._error or future.exception()
        self._room.release()

    def finish(self) -> None:
        """Wait until all is written; raise the first error."""
        waited = [future.exception() for future in list(self._pending)]
        if self._threads is not None:
            self._threads.close()
            self._threads = None
        error = next((each for each in (self._error, *waited) if each is not None), None)
        self._error = None
        if error is not None:
            raise error
