"""What a store has of each cell of a study."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dlcore.engine.axes import Study
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.outline import cell_keys
from dlcore.engine.durable.pieces import Piece, chain
from dlcore.engine.results import Kept, Rows

FAILED = "failed"  # in place of the name of a program that could not be traced


class Wanted(NamedTuple):
    """What is wanted of a program's runs.

    name: of the program. num_records: after step 0. final: hash of the function that gives what is kept at the end, ""
    if there is none; None if any will do. num_lanes: that are computed side by side.
    """

    name: str
    num_records: int
    final: str | None
    num_lanes: int = 1


class Cell(NamedTuple):
    """What there is of a cell.

    taken: pieces, with the first and the last record of each. reached: the last record there is. over: whether that is
    the run's last. final: the piece that has what is kept of its end, or None.
    """

    row: int
    taken: Sequence[tuple[Piece, int, int]]
    reached: int
    over: bool
    final: Piece | None

    def until(self, record: int) -> "Cell":
        """The same up to a record."""
        taken = [(piece, first, min(last, record)) for piece, first, last in self.taken if first <= record]
        return Cell(self.row, taken if record else [], record, False, None)


class Cells:
    """What a store has of the cells of a study.

    Args:
      wanted: of each program, in order. keeps: of the ends of runs.
    """

    def __init__(self, store: Store, study: Study, wanted: Sequence[Wanted], keeps: Kept):
        self._store, self._wanted, self._keeps = store, wanted, keeps
        self.keys = cell_keys(study)

    def look(self, position: int, row: int) -> Cell:
        """What there is of a cell, as of the last `refresh` of the store."""
        wanted, pieces = self._wanted[position], self.pieces(position, row)
        taken, reached, over = chain(pieces, wanted.num_records)
        return Cell(row, taken, reached, over, self._end(pieces, reached, wanted) if over else None)

    def pieces(self, position: int, row: int) -> list[Piece]:
        """All pieces of a cell."""
        return self._store.pieces(self._wanted[position].name, self.keys[row])

    def is_finished(self, cell: Cell) -> bool:
        """Whether all that is wanted of it is there."""
        return cell.over and (cell.final is not None or not any(self._keeps))

    def _end(self, pieces: Sequence[Piece], end: int, wanted: Wanted) -> Piece | None:
        """The piece that has what is kept of a run that ended there."""
        for piece in pieces:
            kept = piece.final
            enough = kept and kept["params"] >= self._keeps.params and kept["state"] >= self._keeps.state
            # Of a run that has ended early the end may have been taken later, from a state that stays as it is.
            taken_later = end < wanted.num_records and piece.begin == piece.end > end
            if (piece.end == end or taken_later) and enough and wanted.final in (None, kept["function"]):
                return piece
        return None

    def read(self, position: int, cells: Sequence[Cell]) -> Iterator[Rows]:
        """Their records and ends, from the disk."""
        wanted: dict[tuple[int, int, str], list[tuple[int, int]]] = defaultdict(list)
        ends: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for cell in cells:
            for piece, first, last in cell.taken:
                wanted[first, last, piece.name].append((cell.row, piece.index))
            if cell.final is not None:
                ends[cell.final.name].append((cell.row, cell.final.index))
        for (first, last, name), pairs in sorted(wanted.items()):
            yield from self._store.records(name, position, pairs, first, last)
        for rows, final in self._store.ends(ends, self._keeps):
            yield Rows(position, rows, 0, 0, {}, final)
        if over := [cell.row for cell in cells if cell.over]:
            yield Rows(position, np.asarray(over), 0, 0, {}, {})
