"""What is missing of a study in a store, and who computes it."""

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from dlcore.engine.axes import Study
from dlcore.engine.durable.cells import FAILED, Cell, Cells, Wanted
from dlcore.engine.durable.claims import Claims
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.identity import sha256
from dlcore.engine.durable.parts import DamagedError, MissingError
from dlcore.engine.durable.pieces import Piece, name_of_part
from dlcore.engine.program import Block
from dlcore.engine.results import Kept, Table


class Ledger:
    """What is missing of a study in a store.

    Args:
      wanted: of the programs, in order.
      table: where what is there goes, or None.
      keeps: of the ends of runs.
    """

    def __init__(self, store: Store, study: Study, wanted: Sequence[Wanted], table: Table | None, keeps: Kept):
        self.store, self.study, self.wanted, self._table, self._keeps = store, study, wanted, table, keeps
        self._cells = Cells(store, study, wanted, keeps)
        self._lock = threading.Lock()
        self.claims = Claims(store.path / "claims")
        self._alone = True  # as long as no other process had a claim

    def num_records(self, block: Block) -> int:
        """Records of the runs of a block, after step 0."""
        return self.wanted[block.position].num_records

    def missing(self) -> list[Block]:
        """The blocks that have to be computed; what is there is put into the table."""
        wanted = [number for number, each in enumerate(self.wanted) if each.name != FAILED]
        blocks = [Block(position, self.study.programs[position][1]) for position in wanted]
        return [missing for block in blocks for missing in self.still_missing(block)]

    def still_missing(self, block: Block) -> list[Block]:
        """The blocks of these cells that have to be computed now; what is there is put into the table."""
        with self._lock:
            self.store.refresh(seldom=self._alone)
            while True:
                found = [self._look(block.position, row) for row in block.rows.tolist()]
                if self._table is None:
                    break
                try:
                    known = list(self._cells.read(block.position, [cell for cell, _ in found]))
                except (DamagedError, MissingError) as error:
                    self.store.set_aside(error)
                    continue
                for rows in known:
                    self._table.put(rows)
                break
        lanes = self.wanted[block.position].num_lanes
        groups: dict[int, list[int]] = defaultdict(list)
        for cell, begin in found:
            if begin is not None:
                groups[begin].append(cell.row)
        return [
            Block(block.position, np.asarray(rows[i : i + lanes]), begin)
            for begin, rows in sorted(groups.items(), reverse=True)
            for i in range(0, len(rows), lanes)
        ]

    def _look(self, position: int, row: int) -> tuple[Cell, int | None]:
        """What there is of a cell, and the record to go on from; None where nothing is missing."""
        cell = self._cells.look(position, row)
        if self._cells.is_finished(cell):
            return cell, None
        resumable = [piece for piece in self._cells.pieces(position, row) if self._resumable(piece, cell.reached)]
        last = max(resumable, key=lambda piece: piece.end, default=None)
        if last is None:
            return cell.until(0), 0
        if cell.over and (last.ended or last.end == cell.reached):  # only what is kept of its end is missing
            return cell.until(cell.reached), self.wanted[position].num_records
        return cell.until(last.end), last.end

    def _resumable(self, piece: Piece, reached: int) -> bool:
        return 0 < piece.end <= reached and self.store.has_state(piece.name)

    def is_claimed(self, block: Block) -> bool:
        """Whether another process computes some of a block's cells."""
        keys, program = set(self._claimed_keys(block)), self.wanted[block.position].name
        others = self.claims.others().values()
        self._alone &= not others
        return any(each.get("program") == program and not keys.isdisjoint(each.get("cells", ())) for each in others)

    def claim(self, block: Block) -> str | None:
        """The claim on a block, to be released; None where another process computes some of its cells."""
        if self.is_claimed(block):
            return None
        keys, program = self._claimed_keys(block), self.wanted[block.position].name
        name = f"{program[:16]}-{sha256(repr((keys, block.begin)).encode())[:24]}"
        return name if self.claims.take(name, {"program": program, "cells": keys}) else None

    def _claimed_keys(self, block: Block) -> list[str]:
        return [sha256(self._cells.keys[row].encode())[:20] for row in block.rows]

    def parts_of(self, block: Block) -> list[str]:
        """Names of the parts with something of a block's cells, as of the last look."""
        with self._lock:
            return sorted({piece.name for row in block.rows for piece in self._cells.pieces(block.position, row)})

    def failed(self, block: Block, error: BaseException) -> None:
        """Note that the cells of a block failed."""
        for row, words in zip(block.rows, self.study.cell_words(*block.rows), strict=True):
            facts = {"program": self.wanted[block.position].name, "cell": self._cells.keys[row]}
            where = {"labels": words, "host": socket.gethostname(), "when": time.time()}
            text = f"{type(error).__name__}: {error}"
            self.store.add_failure(name_of_part(facts), {**facts, **where, "error": text})
