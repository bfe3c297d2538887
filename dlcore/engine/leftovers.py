"""Names of what is written beside its place: they tell which process writes it, and so whether that is dead."""

import itertools
import os
import pathlib
import re
import socket
import time
from typing import NamedTuple

DAY = 86_400  # seconds after which what a process on another machine left behind is stale
_count = itertools.count()


class Origin(NamedTuple):
    """What a name made by `beside` says. name: of the place; began: ns since 1970."""

    name: str
    kind: str
    host: str
    process: int
    began: int
    number: int


def host() -> str:
    """Name of this machine, in letters and digits."""
    return re.sub(r"\W", "", socket.gethostname())


def beside(path: pathlib.Path, kind: str) -> pathlib.Path:
    """A hidden name in the folder of `path` that no other process, thread or moment makes. kind: in letters."""
    return path.with_name(f".{path.name}.{kind}-{host()}-{os.getpid()}-{time.time_ns()}-{next(_count)}")


def origin(path: pathlib.Path) -> Origin | None:
    """Where a name that `beside` made comes from; None for other names."""
    match = re.fullmatch(r"\.(.+)\.([a-z]+)-(\w*)-(\d+)-(\d+)-(\d+)", path.name, re.DOTALL)
    return Origin(match[1], match[2], match[3], *map(int, match.groups()[3:])) if match else None


def stale(found: Origin) -> bool:
    """Whether the process that wrote it is dead, or, on another machine, probably is."""
    if found.host == host():
        return not alive(found.process)
    return time.time_ns() - found.began > DAY * 10**9


def alive(process: int) -> bool:
    """Whether a process of this machine runs; a zombie, which is dead and whose parent has not asked, does not."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    state = process_stat(process)
    return state is None or state[0] not in "ZX"


def process_stat(process: int) -> tuple[str, str] | None:
    """State and start time, in ticks since the boot, of a process; None where the system does not tell."""
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name of the program, before, may hold anything
    return fields[0], fields[19]
