"""The blocks of a study computed into its store."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from dlcore.core.labeled import by_path
from dlcore.engine.axes import Study
from dlcore.engine.devices import Constants
from dlcore.engine.dtypes import as_leaf, as_numbers
from dlcore.engine.durable.cells import FAILED
from dlcore.engine.durable.commits import Commits
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.ledger import Ledger
from dlcore.engine.durable.parts import DamagedError, MissingError
from dlcore.engine.durable.tidying import tidy
from dlcore.engine.durable.writing import PartWriter, Stored, signature
from dlcore.engine.execution import cells_of
from dlcore.engine.places import Place, is_first_process
from dlcore.engine.program import Block, Segment
from dlcore.engine.results import Kept, Rows, Table, rows_of
from dlcore.engine.threads import raised_in_callback

SECONDS_BETWEEN_PARTS = 60.0  # of blocks that take long: what a crash may cost


class CellFailure(Exception):  # noqa: N818
    """A program failed on a block; `error` says how."""

    def __init__(self, error: BaseException):
        super().__init__(str(error))
        self.error = error


class StatesLostError(Exception):
    """The states to go on from are gone or damaged; `error` says how."""

    def __init__(self, error: DamagedError | MissingError):
        super().__init__(str(error))
        self.error = error


class Session(Ledger):
    """A study and its store, in a process that computes.

    Args:
      stored: the programs of the study, in order.
      table: where what is there, and what is computed, goes; or None.
      keeps: of the ends of runs. states: keep the states too, to go on from.
      check: raises where the study does not belong to what programs of these names compute in the store.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        stored: Sequence[Stored],
        table: Table | None,
        keeps: Kept,
        constants: Constants,
        *,
        states: bool,
        check: Callable[[Collection[str]], None] = lambda programs: None,
    ):
        super().__init__(store, study, [each.wanted for each in stored], table, keeps)
        self._stored, self._constants, self._states = stored, constants, states
        self._check, self._checked = check, False
        self.commits = Commits()

    def work(self, place: Place, block: Block, then: Callable[[], None] = lambda: None) -> Iterator[Rows]:
        """Compute a block whose claim is ours; each part is written as soon as it is there.

        Args:
          then: called when the last part is written, if the iterator came to its end.

        Raises:
          CellFailure: the program failed.
          StatesLostError: nothing to go on from; nothing was computed.
        """
        stored = self._stored[block.position]
        padded = np.pad(block.rows, (0, stored.program.num_lanes - len(block.rows)), mode="edge")
        states, ended = self._states_at(block, padded) if block.begin else (None, np.zeros(len(padded), bool))
        n, keys = len(block.rows), [self._cells.keys[row] for row in block.rows]
        writer = PartWriter(self.store, self.commits, stored, block, keys, ended[:n], self._keeps, then)
        cells = cells_of(self.study.traced, block, stored.program.num_lanes)
        writes = is_first_process(place)  # all processes of a mesh compute the same
        for segment in _failing_as_cells(stored.program.segments(place, cells, states, block.begin)):
            rows = rows_of(block, segment, self._keeps)
            if self._table is not None:
                self._table.put(rows)
            due = time.perf_counter() - writer.began > SECONDS_BETWEEN_PARTS and self._states
            if writes:
                writer.take(rows, segment.states if self._states and (segment.is_last or due) else None, place)
            yield rows

    def check_once(self) -> None:
        """See, with a first claim of ours, that nobody has begun another study here since the store was opened."""
        with self._lock:
            if not self._checked:
                self._checked = True
                self._check(self.claims.programs())

    def begin(self, place: Place) -> None:
        """Keep the programs and the arrays they close over, before anything that they compute; tidy the store."""
        if not is_first_process(place):
            return
        tidy(self.store, self.claims)
        for stored in self._stored:
            if stored.name == FAILED:
                continue
            digests: dict[str, list[str]] = {}
            for name, function in stored.program.functions.items():
                digests[name] = [self._constants.digest(value) for value in function.held]
                for value in function.held:
                    self.store.add_constant(np.asarray(as_numbers(value)))
            self.store.add_program(stored.identity, stored.texts, {"constants": digests, **signature(stored)})

    def _states_at(self, block: Block, padded: np.ndarray) -> tuple[Any, np.ndarray]:
        """The states of a block's lanes at its beginning, as they were written, and whether the runs had ended."""
        stored = self._stored[block.position]
        lanes, ended = [], []
        for row in padded.tolist():
            at = [piece for piece in self._cells.pieces(block.position, row) if self._resumable(piece, block.begin)]
            best = max(at, key=lambda piece: piece.end, default=None)
            try:
                if best is None:
                    raise MissingError(self.store.path / "states")
                lanes.append(self.store.state_of(best))
                ended.append(best.ended)
            except (DamagedError, MissingError) as error:
                raise StatesLostError(error) from None
        stacked = {name: np.stack([lane[name] for lane in lanes]) for name in lanes[0]}
        shapes, structure = by_path(stored.traced.state), jax.tree.structure(stored.traced.state)
        states = jax.tree.unflatten(structure, [as_leaf(stacked[name], leaf) for name, leaf in shapes.items()])
        return states, np.asarray(ended)


def _failing_as_cells(segments: Iterator[Segment]) -> Iterator[Segment]:
    """The segments; what goes wrong in a program is a `CellFailure`."""
    while True:
        try:
            segment = next(segments)
        except StopIteration:
            return
        except Exception as error:
            raise CellFailure(raised_in_callback(error) or error) from error
        yield segment
