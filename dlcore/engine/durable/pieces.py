"""Pieces: what parts hold of a cell, and how they make up a run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dlcore.engine.durable.identity import sha256
from dlcore.engine.durable.parts import DamagedError, Part

FACTS = ("program", "cells", "begin", "end", "measured", "ended", "final")  # in a part's header; its name follows


class Piece(NamedTuple):
    """What a part holds of one cell.

    name: of the part. index: of the cell in it. begin, end: the records after `begin` up to `end`; with `begin` 0 that
    at step 0 too, if `measured`. ended: whether the run ended early, at `end`. final: what is kept of its end, or {}.
    """

    name: str
    index: int
    begin: int
    end: int
    measured: bool
    ended: bool
    final: Mapping[str, Any]

    @property
    def first(self) -> int:
        """Number of its first record; that at step 0 has number 0."""
        return 0 if self.begin == 0 and self.measured else self.begin + 1


class Written(NamedTuple):
    """When a part was written, where, and how long its cells took to compute."""

    when: float
    host: str
    device: str
    seconds: float


def name_of_part(facts: Mapping[str, Any]) -> str:
    """A part's name: the same facts, the same name, whoever computes it."""
    return f"{facts['program'][:16]}-{sha256(json.dumps(facts, sort_keys=True).encode())[:24]}"


def check_name(part: Part) -> None:
    """Raise `DamagedError` if a part's header is not the one it was written with: its name would be another."""
    if name_of_part({fact: part.header.get(fact) for fact in FACTS}) != part.file.stem:
        raise DamagedError(part.file, "its name is not that of the cells in it, so it was renamed or changed")


def chain(pieces: Sequence[Piece], num_records: int) -> tuple[list[tuple[Piece, int, int]], int, bool]:
    """Which records to take from which pieces: (piece, first, last); the last record there is; whether the run is over.

    Args:
      num_records: after step 0, that are asked for.
    """
    taken: list[tuple[Piece, int, int]] = []
    reached, over = 0, False
    while not over:
        useful = [piece for piece in pieces if piece.begin <= reached and (piece.end > reached or not taken)]
        useful = [piece for piece in useful if piece.end >= piece.first]
        if not useful:
            break
        best = max(useful, key=lambda piece: (min(piece.end, num_records), piece.ended, -piece.begin, piece.name))
        last = min(best.end, num_records)
        taken.append((best, max(best.first, reached + bool(taken)), last))
        over = last == num_records or (best.ended and best.end <= num_records)
        reached = last
    return taken, reached, over
