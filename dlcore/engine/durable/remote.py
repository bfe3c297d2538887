"""A study whose blocks are computed by the workers of an executor, each of which writes its parts into the store."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

from dlcore.engine.distributed.payload import forget_code
from dlcore.engine.distributed.pools import Pool
from dlcore.engine.distributed.spread import spread
from dlcore.engine.distributed.workers import Assignment, assign, work
from dlcore.engine.distributed.workers import Failure as WorkerFailure
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.ledger import Ledger
from dlcore.engine.durable.stored import SECONDS_BETWEEN_LOOKS, Failure, failed, raise_failures, untraced
from dlcore.engine.durable.tidying import tidy
from dlcore.engine.durable.workplace import Done, Remote, compute_there, open_there
from dlcore.engine.preparation import Prepared
from dlcore.engine.program import Block
from dlcore.engine.progress import progress_bar


def run_remote(
    prepared: Prepared, path: str, executor: Executor | Callable[[], Executor], remote: Remote
) -> dict[str, Any]:
    """Compute what is missing in a store on the workers of an executor.

    Returns:
      attributes of the results: where they were computed.

    Raises:
      FailedCellsError: some cells failed, or killed their workers; the others are there.
    """
    store = Store(path, create=True)
    pool = Pool(executor)
    assignment = assign(prepared.study, remote, store.path, compute_there)
    finished = False
    try:
        attrs = _run(prepared, store, pool, assignment)
        finished = True
    finally:
        pool.close(kill=not finished)
        forget_code(assignment.payload, store.path)
    return attrs


def _run(prepared: Prepared, store: Store, pool: Pool, assignment: Assignment) -> dict[str, Any]:
    study = prepared.study
    opening = functools.partial(work, assignment._replace(compute=open_there))
    with contextlib.closing(spread(pool, opening, [(str(store.path),)])) as outcomes:
        opened = _or_raise(next(outcomes)[1])
    ledger = Ledger(store, study, opened.wanted, prepared.table, prepared.options.keeps)
    tidy(store, ledger.claims)
    failures = untraced(ledger, prepared)
    with progress_bar(study.num_cells, shown=prepared.options.progress) as report:
        pending = ledger.missing()
        report(study.num_cells - _count(pending))
        while pending:
            before = _count(pending)
            pending = _round(ledger, pool, assignment, pending, failures, report)
            if _count(pending) == before:  # other processes compute them
                time.sleep(SECONDS_BETWEEN_LOOKS)
    raise_failures(study, failures, store.given)
    return opened.attrs


def _round(
    ledger: Ledger,
    pool: Pool,
    assignment: Assignment,
    blocks: list[Block],
    failures: list[Failure],
    report: Callable[[float], None],
) -> list[Block]:
    """Have each of the blocks computed that nobody else computes; those that are missing still."""
    claimed: list[Block] = []

    def tasks() -> Iterator[tuple[str, Block]]:
        for block in blocks:
            if ledger.is_claimed(block):
                claimed.append(block)
            else:
                yield str(ledger.store.path), block

    pending = []
    with contextlib.closing(spread(pool, functools.partial(work, assignment), tasks())) as outcomes:
        for (_, block), outcome in outcomes:
            pending += _left(ledger, block, _done(ledger, block, outcome), failures, report)
    for block in claimed:
        pending += _left(ledger, block, Done([], []), failures, report)
    return pending


def _done(ledger: Ledger, block: Block, outcome: Any) -> Done:
    """What a worker says; a block without an answer has killed its worker."""
    return Done([], failed(ledger, block, outcome)) if isinstance(outcome, Exception) else _or_raise(outcome)


def _left(
    ledger: Ledger, block: Block, done: Done, failures: list[Failure], report: Callable[[float], None]
) -> list[Block]:
    """What is missing of a block still, and has not failed."""
    failures += done.failures
    ledger.store.look_for(done.parts)
    gone = {failure.row for failure in failures}
    left = [
        each._replace(rows=each.rows[[row not in gone for row in each.rows.tolist()]])
        for each in ledger.still_missing(block)
    ]
    report(len(block.rows) - _count(left))
    return [each for each in left if len(each.rows)]


def _count(blocks: list[Block]) -> int:
    return sum(len(block.rows) for block in blocks)


def _or_raise(outcome: Any) -> Any:
    if isinstance(outcome, WorkerFailure):
        raise outcome.error()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
