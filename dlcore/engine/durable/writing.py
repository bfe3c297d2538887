"""What a block of cells becomes in a store, and how its states come back."""

import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.core.labeled import by_path
from dlcore.engine.dtypes import as_numbers
from dlcore.engine.durable.cells import FAILED, Wanted
from dlcore.engine.durable.commits import Commits
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.identity import Identity
from dlcore.engine.durable.pieces import name_of_part
from dlcore.engine.places import Place, first_device
from dlcore.engine.program import ENDED, Block, Program
from dlcore.engine.results import Kept, Rows, parameters_of
from dlcore.engine.traced import Traced


class Stored(NamedTuple):
    """A program with its identity. final: hash of the function that gives what is kept at the end; "" for none."""

    traced: Traced
    program: Program
    identity: Identity
    final: str
    failed: bool = False

    @property
    def name(self) -> str:
        """Of the program."""
        return FAILED if self.failed else self.identity.name

    @property
    def wanted(self) -> Wanted:
        """What is wanted of its runs."""
        return Wanted(self.name, self.program.num_records, self.final, self.program.num_lanes)

    @property
    def texts(self) -> dict[str, str]:
        """Of its functions."""
        return {name: function.text for name, function in self.program.functions.items()}


class PartWriter:
    """Has the parts of a block written.

    Args:
      keys: of its cells. ended: which of them had ended where it begins, [n]. then: called when the last part is
        written.
    """

    def __init__(
        self,
        store: Store,
        commits: Commits,
        stored: Stored,
        block: Block,
        keys: Sequence[str],
        ended: np.ndarray,
        keeps: Kept,
        then: Callable[[], None],
    ):
        self._store, self._commits, self._stored, self._keys, self._keeps = store, commits, stored, keys, keeps
        self._then = then
        self._begin, self._rows = block.begin, list[Rows]()
        self._ended = ended
        self._last_state: str | None = None
        self._written: Future | None = None
        self.began = time.perf_counter()

    def take(self, rows: Rows, states: Any, place: Place) -> None:
        """Keep records until their part is written: at the end, or when there are states."""
        self._rows.append(rows)
        if ENDED in rows.records:
            self._ended = self._ended | rows.records[ENDED].any(axis=1)
        end = rows.begin + rows.count - 1
        if rows.final is None and (states is None or end <= self._begin):  # nothing yet but where it began
            return
        measured = any(part.begin == 0 and part.count for part in self._rows)
        final = {} if rows.final is None else {**self._keeps._asdict(), "function": self._stored.final}
        facts = {
            "program": self._stored.name,
            "cells": list(self._keys),
            "begin": self._begin,
            "end": end,
            "measured": measured,
            "ended": self._ended.tolist(),
            "final": final,
        }
        name = name_of_part(facts)
        at = None if states is None else by_path(jax.device_get(jax.tree.map(as_numbers, states)))
        arrays = {f"records/{key}": values for key, values in self._records().items()}
        arrays |= {f"final/{key}": values for key, values in (rows.final or {}).items()}
        written = {
            "seconds": time.perf_counter() - self.began,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "device": f"{first_device(place).platform}:{first_device(place).id}",
            "when": time.time(),
        }
        before, is_last, earlier = self._last_state, rows.final is not None, self._written

        def write() -> None:
            try:
                if earlier is not None:
                    earlier.result()  # the parts of a block appear in order, or a crash would leave a gap
                if at is not None:
                    self._store.add_state(name, {key: values[: len(self._keys)] for key, values in at.items()}, facts)
                self._store.add_part(name, arrays, {**facts, **written, "facts": list(facts)})
                if before is not None:
                    self._store.drop_state(before)  # this one goes on from there
            finally:
                if is_last:
                    self._then()

        self._written = self._commits.submit(write)
        self._last_state = name if states is not None else None
        self._begin, self._rows, self.began = end, [], time.perf_counter()

    def _records(self) -> dict[str, np.ndarray]:
        """Those kept, [n, count, ...] each; what step 0 lacks is one shorter."""
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for rows in self._rows:
            for name, values in rows.records.items():
                found[name].append(values)
        return {name: np.concatenate(values, axis=1) for name, values in found.items()}


def signature(stored: Stored) -> dict[str, Any]:
    """What the flat lists of arrays are that a program's functions take and give, as JSON.

    sources: name of what is kept at the end to the array of the state that it is, where no function gives it.
    """
    traced = stored.traced
    kept = {} if traced.final is None else dict(zip(("params", "state"), traced.final.result, strict=True))
    sources = {}
    if traced.final is None:
        names = list(by_path(traced.state))
        numbered = jax.tree.unflatten(jax.tree.structure(traced.state), names)
        sources = by_path(dict(zip(("params", "state"), parameters_of(numbered), strict=True)))
    return {
        "cells": [[name, str(leaf.dtype)] for name, leaf in sorted(traced.cell.items())],
        "state": list(by_path(traced.state)),
        "first": sorted(traced.first_record),
        "records": sorted(traced.record),
        "final": list(by_path(kept)),
        "sources": sources,
        "ends": stored.program.ends,
        "options": {name: function.options for name, function in stored.program.functions.items()},
    }
