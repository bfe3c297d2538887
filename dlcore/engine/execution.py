"""Blocks of cells on devices, and how far they are."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from dlcore.engine import later
from dlcore.engine.places import Place
from dlcore.engine.preparation import Prepared
from dlcore.engine.program import Block, Program
from dlcore.engine.progress import progress_bar
from dlcore.engine.results import Rows, rows_of
from dlcore.engine.threads import DaemonThreads, Workers


def run_blocks(prepared: Prepared, places: Sequence[Place], compilers: DaemonThreads) -> None:
    """Hand the blocks to the devices as they fall free; memory is bounded by one block a device."""
    study, table = prepared.study, prepared.table
    with progress_bar(study.num_cells, shown=prepared.options.shown_on(places[0])) as report:

        def run_block(place: Place, program: Program, block: Block) -> Iterator[None]:
            cells = cells_of(study.traced, block, program.num_lanes)
            segments = program.segments(place, cells, prepared.states)
            computed = (rows_of(block, segment, prepared.options.keeps) for segment in segments)
            for rows in reported(computed, program.num_records, report):
                table.put(rows)
                yield

        with Workers(places, run_block) as workers:
            for position, (_, rows) in enumerate(study.programs):
                program = prepared.program(position, places[0], compilers)
                program.begin()
                for begin in range(0, len(rows), program.num_lanes):
                    workers.submit(program, Block(position, rows[begin : begin + program.num_lanes]))
            later.load()
            workers.finish()


def cells_of(values: dict[str, np.ndarray], block: Block, num_lanes: int) -> dict[str, np.ndarray]:
    """The values of a block's lanes: name to [num_lanes]. The last cell fills the lanes that are left."""
    padded = np.pad(block.rows, (0, num_lanes - len(block.rows)), mode="edge")
    return {name: axis[padded] for name, axis in values.items()}


def reported(computed: Iterable[Rows], num_records: int, report: Callable[[float], None]) -> Iterator[Rows]:
    """Rows as they are computed, each told to `report` as the fraction of runs that it is, once its user is done."""
    before = None
    for rows in computed:
        yield rows
        before = max(rows.begin - 1, 0) / num_records if before is None else before
        done = 1.0 if rows.final is not None else max(rows.begin + rows.count - 1, 0) / num_records
        report(max(0.0, done - before) * len(rows.rows))
        before = max(done, before)
