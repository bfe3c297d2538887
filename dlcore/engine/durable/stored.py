"""A study whose cells are kept in a folder: opening it, and computing what is missing."""

import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from dlcore.core.errors import ArgumentError, FailedCellsError
from dlcore.engine.axes import Study
from dlcore.engine.devices import forget_programs
from dlcore.engine.durable.claims import Claims
from dlcore.engine.durable.folder import Store, is_store
from dlcore.engine.durable.identity import identity_of, text_hash
from dlcore.engine.durable.ledger import Ledger
from dlcore.engine.durable.matching import MismatchError, check, traced_again
from dlcore.engine.durable.outline import Outline, outline_of
from dlcore.engine.durable.session import CellFailure, Session, StatesLostError
from dlcore.engine.durable.writing import Stored
from dlcore.engine.execution import reported
from dlcore.engine.later import load
from dlcore.engine.places import Place, agreed, is_first_process, is_shared
from dlcore.engine.preparation import Prepared
from dlcore.engine.program import Block, Program
from dlcore.engine.progress import progress_bar
from dlcore.engine.provenance import provenance
from dlcore.engine.threads import DaemonThreads, Workers

SECONDS_BETWEEN_LOOKS = 0.2  # for what other processes compute


class Failure(NamedTuple):
    """A cell that failed, and how."""

    row: int
    error: str


def open_session(
    prepared: Prepared,
    path: str,
    places: Sequence[Place],
    compilers: DaemonThreads,
    *,
    states: bool,
    table: bool = True,
) -> Session:
    """Lower all programs and compare them with those that the store's results come from.

    Args:
      states: whether states are kept, to go on from. table: whether what is there goes into the study's table.

    Raises:
      MismatchError: it is another program, other data or another environment; nothing was written.
      ArgumentError: the folder cannot be used; a program whose identity cannot be known.
    """
    store = Store(path, create=True)
    programs = [prepared.program(position, places[0], compilers) for position in range(len(prepared.traced))]
    stored, asked = _stored(prepared, programs, places[0])
    store.refresh()
    witness = functools.partial(traced_again, prepared, places[0], compilers)
    check(store, asked, stored, Claims(store.path / "claims").programs(), witness)
    store.add_outline(asked)
    session = Session(
        store,
        prepared.study,
        stored,
        prepared.table if table else None,
        prepared.options.keeps,
        prepared.constants,
        states=states,
        check=functools.partial(check, store, asked, stored),
    )
    session.begin(places[0])
    return session


def missing_blocks(
    prepared: Prepared, programs: Sequence[Program], path: str, place: Place, compilers: DaemonThreads
) -> list[Block]:
    """What of a study a store lacks; all of it where there is no store yet. Nothing is written.

    Raises:
      MismatchError, ArgumentError: as in `open_session`.
    """
    if not is_store(pathlib.Path(path)):
        return [
            Block(position, rows[begin : begin + program.num_lanes])
            for position, (program, (_, rows)) in enumerate(zip(programs, prepared.study.programs, strict=True))
            for begin in range(0, len(rows), program.num_lanes)
        ]
    store = Store(path, create=False)
    stored, asked = _stored(prepared, programs, place)
    store.refresh(strict=True)
    check(store, asked, stored, traced=functools.partial(traced_again, prepared, place, compilers))
    wanted = [each.wanted for each in stored]
    return Ledger(store, prepared.study, wanted, None, prepared.options.keeps).missing()


def _stored(prepared: Prepared, programs: Sequence[Program], place: Place) -> tuple[list[Stored], Outline]:
    """The programs with their identities, and what is asked for."""
    stored = []
    for position, (program, traced) in enumerate(zip(programs, prepared.traced, strict=True)):
        width = prepared.widths[position]
        if None in traced.python:
            raise ArgumentError(
                "the program calls a function of Python that has no fingerprint, so that a store could mix results of "
                "different ones. Give the source of streamed rows an attribute `fingerprint`, a text that changes with "
                "what it holds; leave out store= for other functions of Python, or write them with jax.numpy."
            )
        identity = identity_of(program, traced, width, prepared.constants, place)
        final = program.final
        kept_by = "" if final is None else text_hash(final.text, final.types)
        stored.append(Stored(traced, program, identity, kept_by, position in prepared.failures))
    asked = outline_of(
        prepared.study,
        [each.name for each in stored],
        prepared.variables,
        prepared.clocks,
        along=prepared.options.along,
        attrs={**provenance(), **prepared.attrs},
        descriptions=prepared.traced[0].training.attrs,
    )
    return stored, asked


def open_matching(
    prepare: Callable[[], Prepared],
    path: str,
    places: Sequence[Place],
    compilers: DaemonThreads,
    states: bool,
    *,
    table: bool = True,
) -> tuple[Prepared, Session]:
    """`open_session` of what `prepare` gives; a program that does not match is traced once more without JAX's memory.

    What JAX remembers of earlier traces can change a program's text.
    """
    prepared = prepare()
    try:
        return prepared, open_session(prepared, path, places, compilers, states=states, table=table)
    except MismatchError:
        jax.clear_caches()
        forget_programs()
    prepared = prepare()
    return prepared, open_session(prepared, path, places, compilers, states=states, table=table)


def run_missing(session: Session, prepared: Prepared, places: Sequence[Place]) -> None:
    """Compute what is missing in a store, together with other processes that do the same.

    Raises:
      FailedCellsError: some cells failed; the others are there.
    """
    if is_shared(places[0]):
        run_together(session, prepared, places[0])
        return
    failures, study = untraced(session, prepared), prepared.study
    with progress_bar(study.num_cells, shown=prepared.options.shown_on(places[0])) as report, session.claims:
        pending = session.missing()
        report(study.num_cells - _count(pending))
        try:
            while pending:
                pending, before = _round(session, places, pending, failures, report), pending
                if len(pending) == len(before):  # other processes compute them
                    time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            session.commits.finish()
    raise_failures(study, failures, session.store.given)


def run_together(session: Session, prepared: Prepared, place: Place) -> None:
    """Compute what is missing of one run on a mesh of several processes: the first of them claims it and writes.

    All of them call this, and see the store's folder.
    """
    whole = Block(0, np.zeros(1, int))
    with progress_bar(1, shown=prepared.options.shown_on(place)) as report, session.claims:
        missing, claim = session.missing(), None
        while is_first_process(place) and missing and (claim := session.claim(missing[0])) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)  # another job computes it
            missing = session.still_missing(whole)
        begin = agreed(missing[0].begin + 1 if missing else 0, place) - 1
        try:
            if begin < 0:
                while session.still_missing(whole):  # the disk shows it to the first process only, so far
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                return
            block = whole._replace(begin=begin)
            for _ in reported(session.work(place, block), session.num_records(block), report):
                pass
        except StatesLostError as lost:
            raise lost.error from None
        finally:
            session.commits.finish()
            if claim is not None:
                session.claims.release(claim)


def _round(
    session: Session,
    places: Sequence[Place],
    blocks: Sequence[Block],
    failures: list[Failure],
    report: Callable[[float], None],
) -> list[Block]:
    """Compute blocks on the devices; what has to be done later."""
    later: list[Block] = []
    with Workers(places, lambda place, block: run_block(session, place, block, later, failures, report)) as workers:
        for block in blocks:
            workers.submit(block)
        load()
        workers.finish()
    return later


def run_block(
    session: Session,
    place: Place,
    block: Block,
    later: list[Block],
    failures: list[Failure],
    report: Callable[[float], None],
) -> Iterator[None]:
    """Compute a block, unless somebody else does.

    Args:
      later: gets what has to be done later: the block itself if another process computes some of it.
      failures: gets what failed.
    """
    if (claim := session.claim(block)) is None:
        now = session.still_missing(block)
        report(_count([block]) - _count(now))
        later += [block] if _count(now) == len(block.rows) else now
        return
    release, written = functools.partial(session.claims.release, claim), False
    try:
        session.check_once()
        now = session.still_missing(block)
        report(_count([block]) - _count(now))
        later += now[1:]
        if now:
            block = now[0]
            for _ in reported(session.work(place, block, release), session.num_records(block), report):
                yield
            written = True  # or will be, and then the claim is released
    except StatesLostError as lost:  # from their start then
        session.store.set_aside(lost.error)
        later += session.still_missing(block)
    except CellFailure as failure:
        if len(block.rows) > 1:  # each by itself, to see which it is
            later += [block._replace(rows=np.asarray([row])) for row in block.rows]
        else:
            failures += failed(session, block, failure.error)
            report(1)
    finally:
        if not written:
            release()


def untraced(ledger: Ledger, prepared: Prepared) -> list[Failure]:
    """The cells for which the function raised when it was traced, noted as failed."""
    programs = prepared.study.programs
    return [
        failure
        for position, error in prepared.failures.items()
        for failure in failed(ledger, Block(position, programs[position][1]), error)
    ]


def failed(ledger: Ledger, block: Block, error: BaseException) -> list[Failure]:
    """Note that the cells of a block failed."""
    ledger.failed(block, error)
    return [Failure(int(row), f"{type(error).__name__}: {error}") for row in block.rows]


def raise_failures(study: Study, failures: Sequence[Failure], path: str) -> None:
    """Raise `FailedCellsError` if there are any."""
    if not failures:
        return
    words = study.cell_words(*(failure.row for failure in failures[:10]))
    listed = [f"  {cell}: {failure.error[:300]}" for cell, failure in zip(words, failures, strict=False)]
    if len(failures) > 10:
        listed.append(f"  and {len(failures) - 10} more; see {path}/failed")
    if len(failures) < study.num_cells:
        listed.append(f"The others are in {path!r}, and in the attribute `results` of this error.")
    text = "\n".join([f"{len(failures)} of {study.num_cells} cells failed:", *listed])
    raise FailedCellsError(f"{text} The same call tries the failed ones again.")


def _count(blocks: Sequence[Block]) -> int:
    return sum(len(block.rows) for block in blocks)
