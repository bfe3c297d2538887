"""`spread`: tasks over an executor, a few at a time; dead workers are replaced, and the task that kills is found."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from typing import Any

from dlcore.core.errors import ArgumentError
from dlcore.engine.distributed.pools import JobDiedError, Pool, WorkerDiedError

DEATHS = 2  # of the workers of one task, after which it has failed
CANCELLATIONS = 3  # of one task by its executor, after which it has failed
MOST_KILLERS = 3  # in a row, before any task has succeeded: then it is not the tasks' fault
SECONDS_TO_BREAK = 30.0  # that all futures of a dead executor get to say so


class _Trial:
    """A task, how often its worker died or its future was canceled, and whether it may have broken the executor."""

    def __init__(self, task: Any):
        self.task, self.deaths, self.cancellations, self.is_suspect = task, 0, 0, False


def spread(
    executor: Executor | Callable[[], Executor] | Pool, function: Callable[[Any], Any], tasks: Iterable[Any]
) -> Generator[tuple[Any, Any], None, None]:
    """Call `function(task)` in the executor for each task, of which as many are taken at a time as keep it busy.

    When an executor breaks, what was in flight is tried again on a new one, one task at a time: only so is it known
    which of them kills. A task has failed when it was alone and its worker died, for the second time.

    Yields:
      (task, result) as they finish; in place of the result the exception, `WorkerDiedError` for a task that kills.

    Raises:
      ArgumentError: an executor that is none, that cannot be made again, or whose workers die at their start.

    Closing the iterator, and Ctrl-C, cancel what has not begun; processes of an executor that was made here are killed.
    A `Pool` stays open, for more tasks, and is closed by whom it is of.
    """
    pool = executor if isinstance(executor, Pool) else Pool(executor)
    flights = _Flights(pool, function, iter(tasks))
    finished = False
    try:
        yield from flights.results()
        finished = True
    finally:
        flights.cancel()
        if pool is not executor:
            pool.close(kill=not finished)


class _Flights:
    """The tasks in flight, those to be tried again, and those still to come."""

    def __init__(self, pool: Pool, function: Callable[[Any], Any], tasks: Iterator[Any]):
        self._pool, self._function, self._tasks = pool, function, tasks
        self._flying: dict[Future, _Trial] = {}
        self._again: deque[_Trial] = deque()
        self._suspects: deque[_Trial] = deque()  # each flies alone
        self._succeeded = False
        self._killers = 0  # before any success

    def results(self) -> Iterator[tuple[Any, Any]]:
        """All tasks with what became of them."""
        while True:
            self._fill()
            if not self._flying:
                return
            done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
            if any(map(_broke, done)):
                yield from self._after_a_break()
            else:
                for future in done:
                    yield from self._landed(future)

    def cancel(self) -> None:
        """What has not begun."""
        for future in self._flying:
            future.cancel()

    def _fill(self) -> None:
        """Submit tasks while there is room."""
        while (trial := self._next()) is not None:
            try:
                self._flying[self._pool.submit(self._function, trial.task)] = trial
            except BrokenExecutor:
                (self._suspects if trial.is_suspect else self._again).appendleft(trial)
                if self._flying:  # which will say so too
                    return
                self._replace()
            except RuntimeError as error:
                raise ArgumentError(
                    f"the executor takes no more blocks: {error}. Call again with one that is not shut down."
                ) from error

    def _next(self) -> _Trial | None:
        """The task to submit now, if any."""
        has_suspect = self._suspects or any(trial.is_suspect for trial in self._flying.values())
        if len(self._flying) >= (1 if has_suspect else self._pool.room):
            return None
        if queue := self._suspects or self._again:
            return queue.popleft()
        return next(map(_Trial, self._tasks), None)

    def _landed(self, future: Future) -> Iterator[tuple[Any, Any]]:
        trial = self._flying.pop(future)
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._succeeded = True
            yield trial.task, future.result()
        elif isinstance(error, CancelledError):
            trial.cancellations += 1
            yield from self._retry(trial, trial.cancellations < CANCELLATIONS, "was canceled by the executor", error)
        elif isinstance(error, JobDiedError | KeyboardInterrupt | SystemExit):
            trial.deaths += 1
            yield from self._retry(trial, trial.deaths < DEATHS, "lost its worker", error)
        elif type(error).__name__ == "KilledWorker":  # Dask has tried it several times
            yield from self._retry(trial, False, "lost its worker", error)
        else:
            yield trial.task, error

    def _retry(self, trial: _Trial, again: bool, what: str, error: BaseException) -> Iterator[tuple[Any, Any]]:
        if again:
            self._again.append(trial)
            return
        failure = WorkerDiedError(f"the block {what}, again and again: {error or type(error).__name__}. {_CAUSES}")
        failure.__cause__ = error
        yield trial.task, failure

    def _after_a_break(self) -> Iterator[tuple[Any, Any]]:
        """Keep what had finished; the others are suspects, and one that was alone is guilty."""
        wait(self._flying, timeout=SECONDS_TO_BREAK)
        died = self._pool.how_it_died()
        lost = {future: trial for future, trial in self._flying.items() if not future.done() or _broke(future)}
        for future in [future for future in self._flying if future not in lost]:
            yield from self._landed(future)
        self._flying.clear()
        for future, trial in lost.items():
            future.cancel()
            trial.deaths, trial.is_suspect = trial.deaths + 1, True
            if len(lost) == 1 and trial.deaths >= DEATHS:
                self._killers += not self._succeeded
                how = f", by {died}" * bool(died)
                yield trial.task, WorkerDiedError(f"the block killed its worker {trial.deaths} times{how}. {_CAUSES}")
            else:
                self._suspects.append(trial)
        self._replace()

    def _replace(self) -> None:
        if self._killers >= MOST_KILLERS:
            raise ArgumentError(
                f"the first {self._killers} blocks killed their workers, and none has finished. {_CAUSES}"
            )
        self._pool.rebuild()
        if not self._succeeded:
            self._pool.check_alive()


def _broke(future: Future) -> bool:
    """Whether the executor is dead, and the future with it."""
    if not future.done() or future.cancelled():
        return False
    error = future.exception()
    return isinstance(error, BrokenExecutor) and not isinstance(error, JobDiedError)


_CAUSES = "Often memory has run out: give a worker more of it, have fewer of them, or take a smaller lane_width."
