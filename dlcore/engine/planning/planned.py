"""`Plan`: what is known of a study before it is run, and how it prints."""

import dataclasses
import math
from typing import NamedTuple

from dlcore.core.description import Description

MOST_PROGRAMS_SHOWN = 8
UNKNOWN = "unknown"


class Memory(NamedTuple):
    """Bytes that a block takes on its device, by the compiler's account.

    constants: arrays that the program closes over, one copy for all blocks of a device. arguments: the values of the
    cells and the states. outputs: the records of one call, and states that cannot take the place of the old ones.
    temporaries: what comes and goes in between.
    """

    constants: int
    arguments: int
    outputs: int
    temporaries: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


class PlannedProgram(NamedTuple):
    """A program of a study.

    name: its static values in words. missing: cells that the store lacks, all of them without one. lanes: runs side by
    side. records: of a run, with the one at step 0. flops: operations of a run with its loops counted out, evaluation
    included; exact: False where some loop ends on a condition, so that there may be more. may_end: whether runs may end
    early, so that operations and seconds are upper bounds. compiling: seconds, of each of its functions; none where
    they were compiled before. block_seconds: of one block while all devices are busy; None if nothing was run.
    """

    name: str
    cells: int
    missing: int
    lanes: int
    blocks: int
    records: int
    flops: float
    exact: bool
    may_end: bool
    memory: Memory
    compiling: tuple[float, ...]
    block_seconds: float | None


@dataclasses.dataclass(frozen=True, repr=False)
class Plan:
    """What a study will take; printed it says so, in a notebook as a table.

    name: of the function. cells: runs. missing: those that the store lacks. programs: in order. devices: how many share
    the blocks; platform: what they are. flops: operations of all cells.
    device_memory: bytes on each device. host_memory: peak of this process; None where the system does not say.
    records, states: bytes of the results in memory: records, and parameters or states that are kept.
    records_on_disk, states_on_disk: bytes that a store of the study has: records, and the states to go on from.
    seconds, missing_seconds: of all cells, and of those that the store lacks, as in a new process; compiling_seconds:
    what tracing and compiling take of it. None if nothing was run.
    problems: what does not fit, each with what to do.
    """

    name: str
    programs: tuple[PlannedProgram, ...]
    devices: int
    platform: str
    device_memory: int
    host_memory: int | None
    records: int
    states: int
    records_on_disk: int
    states_on_disk: int
    compiling_seconds: float | None
    seconds: float | None
    missing_seconds: float | None
    problems: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """Number of runs."""
        return sum(program.cells for program in self.programs)

    @property
    def missing(self) -> int:
        """Number of runs that the store lacks; all of them without one."""
        return sum(program.missing for program in self.programs)

    @property
    def flops(self) -> float:
        """Operations of all runs."""
        return sum(program.cells * program.flops for program in self.programs)

    def __repr__(self) -> str:
        return self._described().text()

    def _repr_html_(self) -> str:
        return self._described().html()

    @property
    def head(self) -> str:
        """One line: what is run how long."""
        described = self._described()
        return f"{described.title}: {described.head}"

    def _described(self) -> Description:
        head = f"{count(self.cells, 'cell')}, {count(len(self.programs), 'program')}, {self._how_long()}"
        shown = self.programs[:MOST_PROGRAMS_SHOWN]
        rows = [(program.name, _of_program(program)) for program in shown]
        if len(self.programs) > len(shown):
            rows.append(("", f"and {len(self.programs) - len(shown)} programs more"))
        at_least = "" if all(program.exact for program in self.programs) else "at least "
        rows += [
            ("operations", f"{at_least}{scaled(self.flops, 'FLOP')}"),
            ("memory", self._memory()),
            ("results in memory", f"{scaled(self.records)} of records, {scaled(self.states)} of parameters and states"),
            ("in a store", f"{scaled(self.records_on_disk)} of records, {scaled(self.states_on_disk)} of states"),
        ]
        if self.missing < self.cells:
            rows.append(("missing from the store", f"{count(self.missing, 'cell')}, {duration(self.missing_seconds)}"))
        rows += [("", f"does not fit: {problem}") for problem in self.problems]
        return Description(f"Plan of {self.name}", head, rows)

    def _how_long(self) -> str:
        on = f"on {count(self.devices, f'{self.platform} device')}"
        if self.seconds is None:
            return f"{UNKNOWN} how long {on}"
        bound = "at most " if any(program.may_end for program in self.programs) else ""
        return f"{bound}{duration(self.seconds)} {on}, {duration(self.compiling_seconds)} of it to compile"

    def _memory(self) -> str:
        host = UNKNOWN if self.host_memory is None else scaled(self.host_memory)
        return f"{scaled(self.device_memory)} on each device; peak of this process {host}"


def _of_program(program: PlannedProgram) -> str:
    memory = program.memory
    parts = (
        f"{count(program.cells, 'cell')} in {count(program.blocks, 'block')} of {count(program.lanes, 'lane')}",
        count(program.records, "record"),
        f"{scaled(program.flops, 'FLOP')} a cell",
        f"{scaled(memory.total)} a block (constants {scaled(memory.constants)}, cells and states "
        f"{scaled(memory.arguments)}, outputs {scaled(memory.outputs)}, temporaries {scaled(memory.temporaries)})",
        f"{duration(program.block_seconds)} a block",
        f"{duration(sum(program.compiling))} to compile" if program.compiling else "compiled before",
    )
    return ", ".join(parts)


def count(number: int, noun: str) -> str:
    """`1 cell`, `12 cells`."""
    return f"{number:,} {noun}{'s' * (number != 1)}".replace(",", " ")


def scaled(number: float, unit: str = "B") -> str:
    """`1.23 MB`: three digits and a prefix, by powers of a thousand."""
    power = 0 if number < 1000 else min(6, int(math.log10(number) / 3))
    return f"{number / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}{unit}"


def duration(seconds: float | None) -> str:
    """`0.12 s`, `3 min 20 s`, `5 h 7 min`, `2 d 3 h`; or that nobody knows."""
    if seconds is None:
        return f"{UNKNOWN} how long"
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            whole = round(seconds / part)
            return f"{whole * part // size} {unit} {whole % (size // part)} {small}"
    return f"{seconds:.2g} s"
