"""Workers as seen by the process that measures: started, asked for turns one at a time, ended."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.peers.work import CannotError
from dlcore.core.errors import DlcoreError

ENVIRONMENT = dict(os.environ)  # before this process calls `dl.setup`, which is not for workers of other libraries
MOST_SHOWN = 2000  # characters of what a worker that failed has written


class PeerError(DlcoreError, RuntimeError):
    """A worker died, answered what is no answer, or computed something else than the others."""


class Turn(NamedTuple):
    """A worker's answer: see `work.Finished`; seconds[""] is the whole turn, seconds["cpu"] of all its threads."""

    accuracies: list[tuple[float, float]]
    num_steps: int
    seconds: dict[str, float]


class Worker:
    """A process that does the work in a folder, a turn at a time.

    Args:
      name: for messages.
      command: what is started.
      environment: variables on top of this process' own.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors, "text": True}
        self._process = subprocess.Popen(command, env={**ENVIRONMENT, **(environment or {})}, **pipes)

    def wait_until_ready(self) -> None:
        """Until it has imported, compiled and warmed up.

        Raises:
          CannotError: the library cannot do this work.
          PeerError: it failed.
        """
        answer = self._answer()
        if "cannot" in answer:
            raise CannotError(answer["cannot"])

    def turn(self) -> Turn:
        """Do the work once."""
        assert self._process.stdin
        try:
            self._process.stdin.write("again\n")
            self._process.stdin.flush()
        except OSError:
            raise self._failed("ended before its turn") from None
        return self.result()

    def result(self) -> Turn:
        """The turn that was asked for, or the only one of a worker that works once."""
        answer = self._answer()
        try:
            return Turn(**answer)
        except TypeError:
            raise self._failed(f"answered {json.dumps(answer)[:200]}, which is no result") from None

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):  # a line that it never read
                stream.close()  # pyright: ignore[reportOptionalMemberAccess]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise self._failed(f"ended with exit code {self._process.wait()} before it answered")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failed(f"answered {line[:200]!r}, which is no line of JSON")
        return answer

    def _failed(self, what: str) -> PeerError:
        self._errors.seek(0)
        written = self._errors.read().decode(errors="replace").strip()[-MOST_SHOWN:]
        return PeerError(f"{self.name}: the worker {what}. It wrote: {written or 'nothing'}")


def command(library: str, side: str, folder: pathlib.Path, *options: str) -> list[str]:
    """That starts a worker."""
    return [sys.executable, "-m", "benchmarks.peers.worker", library, side, str(folder), *options]


@contextlib.contextmanager
def closing(workers: dict[str, Worker]) -> Iterator[dict[str, Worker]]:
    """End all of them, also those that are added, at the end."""
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def seconds_to_result(
    name: str, library: str, side: str, folder: pathlib.Path, environment: Mapping[str, str]
) -> tuple[float, Turn]:
    """Seconds from the start of a fresh process to its result, and the result."""
    began = time.perf_counter()
    worker = Worker(name, command(library, side, folder, "--once"), environment)
    try:
        turn = worker.result()
        return time.perf_counter() - began, turn
    finally:
        worker.close()
