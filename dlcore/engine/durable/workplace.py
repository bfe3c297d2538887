"""In a worker process: a study opened in its store, and blocks of it computed there."""

import functools
import os
import pathlib
import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import jax

from dlcore.engine.axes import Study
from dlcore.engine.distributed.workers import CONFIG
from dlcore.engine.durable.cells import Wanted
from dlcore.engine.durable.folder import MARK
from dlcore.engine.durable.identity import environment
from dlcore.engine.durable.session import Session
from dlcore.engine.durable.stored import SECONDS_BETWEEN_LOOKS, Failure, open_matching, run_block
from dlcore.engine.preparation import Options, prepare
from dlcore.engine.program import Block, default_lane_width
from dlcore.engine.provenance import provenance
from dlcore.engine.setup import available_cores
from dlcore.engine.threads import DaemonThreads
from dlcore.engine.traced import Traced

KEPT = 4  # studies that a process keeps open
MOST_COMPILERS = 4  # threads of a worker, which shares its machine with others


class Remote(NamedTuple):
    """How workers execute a study. lane_width: None for the default of their devices. states: whether they are kept."""

    options: Options
    lane_width: int | None
    states: bool


class Opened(NamedTuple):
    """What workers make of a study. wanted: its programs there. attrs: of results that they compute."""

    wanted: tuple[Wanted, ...]
    attrs: dict[str, Any]


class Done(NamedTuple):
    """What became of a block. parts: names of those with something of its cells. failures: cells of it that failed."""

    parts: list[str]
    failures: list[Failure]


class _Open(NamedTuple):
    session: Session
    attrs: dict[str, Any]
    compilers: DaemonThreads

    def close(self) -> None:
        self.session.claims.close()
        self.compilers.close()


_open: OrderedDict[tuple[Any, ...], _Open] = OrderedDict()
_lock = threading.Lock()


def open_there(study: Study, remote: Remote, path: str) -> Opened:
    """What the study's programs are here; raises if they are not those of the store."""
    there = _opened(study, remote, path)
    return Opened(tuple(there.session.wanted), there.attrs)


def compute_there(study: Study, remote: Remote, path: str, block: Block) -> Done:
    """Compute a block, unless another process does.

    One that another process has claimed is waited for as long as it takes to see that its owner is dead: the block may
    be here since it has killed its worker on another machine.
    """
    session = _opened(study, remote, path).session
    failures: list[Failure] = []
    blocks, until = [block], time.monotonic() + session.claims.seconds_to_die
    try:
        while blocks:
            now = blocks.pop()
            if session.is_claimed(now) and session.still_missing(now):
                if time.monotonic() < until:
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                    blocks.append(now)
                continue
            for _ in run_block(session, jax.devices()[0], now, blocks, failures, lambda _: None):
                pass
    finally:
        session.commits.finish()
    return Done(session.parts_of(block), failures)


def _opened(study: Study, remote: Remote, path: str) -> _Open:
    """The study in its store, as it was opened before: unless the store is another one, or JAX is set otherwise."""
    mark = os.stat(pathlib.Path(path, MARK))
    config = tuple(getattr(jax.config, name) for name in CONFIG)
    surroundings = tuple(environment(jax.devices()[0]).items())
    key = (study, remote, path, mark.st_ino, mark.st_mtime_ns, config, surroundings)
    with _lock:
        if key not in _open:
            _open[key] = _opened_anew(study, remote, path)
        _open.move_to_end(key)
        while len(_open) > KEPT:
            _open.popitem(last=False)[1].close()
        return _open[key]


def _opened_anew(study: Study, remote: Remote, path: str) -> _Open:
    devices = jax.devices()[:1]
    compilers = DaemonThreads(min(MOST_COMPILERS, available_cores()))

    def width(traced: Traced) -> int:
        return remote.lane_width or default_lane_width(traced, devices[0].platform)

    traced = functools.partial(prepare, study, remote.options, width, tolerant=True)
    prepared, session = open_matching(traced, path, devices, compilers, remote.states, table=False)
    return _Open(session, {**provenance(), **prepared.attrs}, compilers)
