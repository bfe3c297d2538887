"""Claims: who computes what, between processes that share a folder, maybe on a network disk. No clocks are compared.

A claim is a file that only one process can create. Its owner counts a beat up in it, through the descriptor it created
it with, so that a process which slept while its claim was taken over never writes into another's. Claims are advice:
where two processes hold one all the same (a network disk that answers late), both write the same part.
"""

import contextlib
import errno
import functools
import json
import os
import pathlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from dlcore.core.errors import ArgumentError, shown
from dlcore.engine.durable.parts import listing
from dlcore.engine.folders import unwritable
from dlcore.engine.leftovers import alive, beside, host, process_stat
from dlcore.engine.manifest import open_regular

BEAT = '{"beat": "'  # what every claim begins with; the digits that follow are counted up
DIGITS = 12
MOST_BYTES = 1 << 16  # that are read of a claim
NAMES = re.compile(r"\w[\w.=+-]*")


class _Mine(NamedTuple):
    """A claim of this process. handle: what its file was created with; its beats are written through it."""

    token: str
    handle: int


class _Seen(NamedTuple):
    """A claim of another process as it was last read, and since when it has looked so, on the clock of this process."""

    content: bytes
    since: float


class Claims:
    """The claims of one process on one store, with a heartbeat; leaving the context releases them.

    Example:
      with Claims(store / "claims") as claims:
          if claims.take("block-7", {"cells": 8}):
              ...  # compute, commit
              claims.release("block-7")
    """

    def __init__(self, folder: str | os.PathLike, *, stale_after: float = 30.0, beat: float = 5.0) -> None:
        """Nothing is written yet.

        Args:
          folder: where all processes of the store keep their claims; has to be there when one is taken.
          stale_after: seconds for which a claim has to be seen without a beat to be taken from its owner.
          beat: seconds between beats.

        Raises:
          ArgumentError: the seconds leave no room for a beat that comes late.
        """
        if not 0 < 2 * beat <= stale_after < threading.TIMEOUT_MAX:
            raise ArgumentError(f"beat={beat} and stale_after={stale_after}; expects 0 < 2 * beat <= stale_after.")
        self._folder, self._stale_after, self._beat = pathlib.Path(folder), stale_after, beat
        self._mine: dict[str, _Mine] = {}
        self._seen: dict[str, _Seen] = {}
        self._changed = threading.Condition(threading.RLock())
        self._beating: threading.Thread | None = None
        self._closed = False

    @property
    def seconds_to_die(self) -> float:
        """How long it takes to see that any owner of a claim is dead."""
        return self._stale_after + self._beat

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release all, and end the heartbeat."""
        with self._changed:
            for name in list(self._mine):
                self.release(name)
            self._closed = True
            self._changed.notify_all()
        if self._beating is not None:
            self._beating.join()

    def take(self, name: str, content: Mapping[str, Any]) -> bool:
        """Claim `name`, also from an owner who is dead; whether it is ours now. It stays ours where it already was.

        Args:
          name: letters, digits and `_.=+-`, the same for all processes.
          content: what others see of it, as JSON.

        Raises:
          ArgumentError: the name or the content is none of these, or the folder cannot be written to.
        """
        file = self._file(name)
        token = secrets.token_hex(16)
        text = _text(name, token, content)
        with self._changed:
            if self._closed:
                raise ArgumentError("these claims are closed; open others.")
            if name in self._mine and self.holds(name):
                return True
            try:
                handle = _create(file, text)
                if handle is None and self._is_stale(name) and _move_away(file, self._seen[name].content.__eq__):
                    handle = _create(file, text)
            except (OSError, ValueError) as error:
                raise unwritable(str(file), error) from error
            if handle is None:
                return False
            self._seen.pop(name, None)
            self._mine[name] = _Mine(token, handle)
            self._start()
            return True

    def holds(self, name: str) -> bool:
        """Whether a claim that was taken still is ours: whoever slept for long may have lost it."""
        with self._changed:
            if name in self._mine and _fields(_look(self._file(name))).get("token") != self._mine[name].token:
                os.close(self._mine.pop(name).handle)
            return name in self._mine

    def release(self, name: str) -> None:
        """Give a claim back. One that another process has taken over stays with it."""
        with self._changed:
            if self.holds(name):
                token, handle = self._mine.pop(name)
                os.close(handle)
                with contextlib.suppress(OSError):  # the folder is gone or read-only: it becomes stale
                    _move_away(self._file(name), lambda content: _fields(content).get("token") == token)

    def others(self) -> dict[str, dict[str, Any]]:
        """Claims of others that are alive: name to content, {} where it cannot be read."""
        with self._changed:
            ours = {name for name in list(self._mine) if self.holds(name)}
            there = {
                file.stem for file in listing(self._folder) if file.suffix == ".json" and NAMES.fullmatch(file.stem)
            }
            names = sorted(there - ours)
            self._seen = {name: seen for name, seen in self._seen.items() if name in names}
            alive_ones = [name for name in names if self._is_stale(name) is False]
            return {name: _fields(self._seen[name].content).get("content", {}) for name in alive_ones}

    def remove_dead(self) -> None:
        """Remove the claims of processes that are known to be dead: what they claimed may be there, so nobody asks."""
        with self._changed:
            for file in listing(self._folder):
                content = _look(file) if file.suffix == ".json" else None
                if content and _is_dead(_fields(content)):
                    with contextlib.suppress(OSError):  # the folder is read-only
                        _move_away(file, content.__eq__)

    def programs(self) -> set[str]:
        """Programs of which others are computing something."""
        return {str(content["program"]) for content in self.others().values() if "program" in content}

    def _file(self, name: str) -> pathlib.Path:
        if not isinstance(name, str) or not NAMES.fullmatch(name):
            raise ArgumentError(f"a claim is called {shown(name)}; expects letters, digits and _.=+- in its name.")
        return self._folder / f"{name}.json"

    def _is_stale(self, name: str) -> bool | None:
        """Whether the owner of a claim is dead or has not been seen alive for long; None if there is no claim."""
        content, now = _look(self._file(name)), time.monotonic()
        if content is None:
            return None
        if name not in self._seen or self._seen[name].content != content:
            self._seen[name] = _Seen(content, now)
        return now - self._seen[name].since >= self._stale_after or _is_dead(_fields(content))

    def _start(self) -> None:
        """See to it that the heart beats."""
        if self._beating is None:
            self._beating = threading.Thread(target=self._beat_on, name="dlcore-claims", daemon=True)
            self._beating.start()

    def _beat_on(self) -> None:
        count = 0
        with self._changed:
            while not self._closed:
                self._changed.wait(self._beat)
                count += 1
                for each in self._mine.values():
                    with contextlib.suppress(OSError):  # a disk that is away for a while; others see a beat missing
                        os.pwrite(each.handle, b"%0*d" % (DIGITS, count), len(BEAT))
                        os.fsync(each.handle)  # or a network disk keeps it to itself


def _text(name: str, token: str, content: Mapping[str, Any]) -> bytes:
    """What is in a claim."""
    process = os.getpid()
    who = {"host": host(), "machine": _machine(), "process": process, "started": _started(process)}
    try:
        text = json.dumps({"beat": "0" * DIGITS, "token": token, **who, "content": dict(content)})
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"claim {name!r} holds what JSON cannot: {error}. Pass numbers, text, lists.") from None
    if len(text) > MOST_BYTES:
        raise ArgumentError(f"claim {name!r} has {len(text)} bytes; expects at most {MOST_BYTES}. Put less into it.")
    return text.encode()


def _create(file: pathlib.Path, text: bytes) -> int | None:
    """Descriptor of a file that was not there before; None if it was."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    except FileExistsError:
        return None
    try:
        if os.write(handle, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    except BaseException:
        os.close(handle)
        with contextlib.suppress(OSError):
            os.unlink(file)
        raise
    return handle


def _move_away(file: pathlib.Path, is_it: Callable[[bytes], bool]) -> bool:
    """Remove a claim if it is the one that is meant; whether this process has done it, and no other.

    Between reading a claim and removing it there is time for another process to put its own there. So it is renamed
    first, which one process does, then read, and given its name back where it is another's.
    """
    moved = beside(file, "stale")
    try:
        os.rename(file, moved)
    except FileNotFoundError:
        return False
    meant = is_it(_look(moved) or b"")
    if not meant:
        try:
            os.link(moved, file)
        except FileExistsError:
            pass  # somebody has claimed it in this moment: both compute it, and write the same
        except OSError:  # no links on this disk
            os.rename(moved, file)
    with contextlib.suppress(OSError):  # a folder that somebody put there, or already renamed
        os.unlink(moved)
    return meant


def _look(file: pathlib.Path) -> bytes | None:
    """What is in a claim; b"" for what cannot be read, None if there is none."""
    try:
        with open_regular(file) as handle:
            return os.read(handle, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return b""


def _fields(content: bytes | None) -> dict[str, Any]:
    """What a claim says; {} if it is none of ours."""
    try:
        found = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    ours = isinstance(found, dict) and isinstance(found.get("content"), dict)
    return found if ours else {}


def _is_dead(fields: Mapping[str, Any]) -> bool:
    """Whether the owner ran on this machine, since its last boot, and does no more: as far as can be known at once."""
    process = fields.get("process")
    if fields.get("machine") != _machine() or not isinstance(process, int):
        return False
    return not alive(process) or _started(process) != fields.get("started")


def _started(process: int) -> str | None:
    found = process_stat(process)
    return found and found[1]


@functools.cache
def _machine() -> str:
    """Where a number of a process means the same process: a host, its boot, its space of process numbers."""
    boot, space = None, None
    with contextlib.suppress(OSError):
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    return f"{host()} {boot} {space}"
