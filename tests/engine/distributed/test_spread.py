"""Tasks over executors: real processes that are killed, canceled, forked, unable to start; what is no executor."""

import contextlib
import multiprocessing
import os
import pathlib
import signal
import threading
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import worker_tasks

import dlcore as dl
from dlcore.engine.distributed.pools import JobDiedError, Pool, WorkerDiedError
from dlcore.engine.distributed.spread import spread

SPAWN = multiprocessing.get_context("spawn")
# What starts an interpreter anew takes 0.2 s; a process forked from one that runs nothing but this takes none.
QUICK = multiprocessing.get_context("forkserver")


def pool(workers: int = 2, context=QUICK, **options) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=context, **options)


class Recorded(Executor):
    """An executor whose futures a test completes by hand."""

    def __init__(self, workers=None):
        self.flying: list[tuple[Future, object]] = []
        self.most = 0
        if workers:
            self._max_workers = workers

    def submit(self, fn, /, *args, **kwargs):
        self.flying.append((Future(), args[0]))
        self.most = max(self.most, len(self.flying))
        return self.flying[-1][0]


@contextlib.contextmanager
def answering(executor: Recorded, answers):
    """Complete one future after another: answers(task) is a result, or an exception to set, or "cancel"."""
    over = threading.Event()

    def work():
        while not over.is_set():
            if not executor.flying:
                time.sleep(0.001)
                continue
            future, task = executor.flying.pop(0)
            answer = answers(task)
            if answer == "cancel":
                future.cancel()
                future.set_running_or_notify_cancel()
            elif isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_block_that_kills_its_worker_is_found_and_the_others_are_kept(tmp_path):
    """Catches a dead pool that ends the study, a retry that does not end, and a neighbor that is blamed."""
    with pool(context=SPAWN) as executor:
        found = dict(spread(executor, worker_tasks.twice_or_die, range(6)))
    error = found.pop(3)
    assert found == {task: 2 * task for task in (0, 1, 2, 4, 5)}
    assert isinstance(error, WorkerDiedError)
    assert "SIGKILL" in str(error)
    assert "memory" in str(error)


def test_a_worker_killed_once_costs_nothing_but_time(tmp_path):
    """Catches a block that is recorded as failed where somebody else killed its worker."""
    tasks = [(number, str(tmp_path)) for number in range(6)]
    made = []

    def factory():
        made.append(pool())
        return made[-1]

    assert dict(spread(factory, worker_tasks.twice_or_die, tasks)) == {task: 2 * task[0] for task in tasks}
    assert len(made) == 2
    with pytest.raises(RuntimeError, match="shutdown"):  # those that were made here are shut down
        made[-1].submit(worker_tasks.twice, 1)


def test_the_executor_of_the_user_stays_open():
    """Catches an executor that is shut down though it was not made here."""
    with pool(1) as executor:
        assert dict(spread(executor, worker_tasks.twice, range(3))) == {0: 0, 1: 2, 2: 4}
        assert executor.submit(worker_tasks.twice, 4).result() == 8


def test_an_error_of_its_own_belongs_to_its_task():
    """Catches a study that ends with the first cell that fails."""
    with pool(1) as executor:
        found = dict(spread(executor, worker_tasks.raise_error, ["a", "b"]))
    assert {task: str(error) for task, error in found.items()} == {"a": "no a", "b": "no b"}


def test_workers_that_cannot_start_are_no_fault_of_the_blocks():
    """Catches 10 000 blocks that are recorded as failed, one after another, since a script has no __main__ guard."""
    with (
        pool(1, initializer=worker_tasks.exit_at_start) as executor,
        pytest.raises(dl.ArgumentError, match=r"exit code \d+.*__name__ == '__main__'"),
    ):
        list(spread(executor, worker_tasks.twice, range(100)))


def test_blocks_that_all_kill_end_the_study():
    """Catches a pool that is made anew for each of thousands of blocks."""
    with (
        pool(1) as executor,
        pytest.raises(dl.ArgumentError, match="the first 3 blocks killed their workers, and none has finished"),
    ):
        list(spread(executor, worker_tasks.die, range(100)))


def test_closing_cancels_what_has_not_begun_and_kills_what_was_made_here(tmp_path):
    """Catches blocks that go on, and processes that stay, after Ctrl-C."""
    made = []

    def factory():
        made.append(pool(1))
        return made[-1]

    def wait_until_begun():
        deadline = time.monotonic() + 20
        while not (tmp_path / "begun-first").exists() or not (tmp_path / "begun-first").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    names = [(name, str(tmp_path)) for name in ("first", *map(str, range(50)))]
    interrupter = threading.Thread(target=wait_until_begun)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        list(spread(factory, worker_tasks.wait_for, names))
    interrupter.join()
    assert [path.name for path in tmp_path.iterdir()] == ["begun-first"]
    process = int((tmp_path / "begun-first").read_text())
    deadline = time.monotonic() + 5
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(process, 0)
            if pathlib.Path(f"/proc/{process}/stat").read_text().split()[2] == "Z":  # nobody has asked for it yet
                break
            time.sleep(0.01)
        assert time.monotonic() < deadline


def test_few_blocks_are_in_flight():
    """Catches 10 000 blocks that are queued at once, and tasks that are made before they are needed."""
    made = []

    def tasks():
        for number in range(200):
            made.append(number)
            yield number

    executor = Recorded(workers=4)
    with answering(executor, lambda task: task):
        results = spread(executor, worker_tasks.twice, tasks())
        first, _ = next(results)
        assert len(made) <= 5
        assert sorted([first, *(task for task, _ in results)]) == list(range(200))
    assert executor.most <= 5


def test_what_the_executor_cancels_is_tried_again():
    """Catches a block that is lost with a Dask worker, and one that is tried for ever."""
    count = dict.fromkeys("abc", 0)

    def answers(task):
        count[task] += 1
        return "cancel" if task == "b" or (task == "a" and count[task] == 1) else task.upper()

    executor = Recorded()
    with answering(executor, answers):
        found = dict(spread(executor, worker_tasks.twice, "abc"))
    assert (found["a"], found["c"]) == ("A", "C")
    assert isinstance(found["b"], WorkerDiedError)
    assert isinstance(found["b"].__cause__, CancelledError)
    assert count == {"a": 2, "b": 3, "c": 1}


def test_a_job_that_died_is_submitted_once_more():
    """Catches a job of SLURM that is given up when its node is lost, or submitted for ever."""
    count = dict.fromkeys("abc", 0)

    def answers(task):
        count[task] += 1
        return JobDiedError("node lost") if task == "b" or (task == "a" and count[task] == 1) else task.upper()

    executor = Recorded()
    with answering(executor, answers):
        found = dict(spread(executor, worker_tasks.twice, "abc"))
    assert (found["a"], found["c"]) == ("A", "C")
    assert "node lost" in str(found["b"])
    assert count == {"a": 2, "b": 2, "c": 1}


class Broken(ProcessPoolExecutor):
    """A pool of a kind of its own: how it was made is not known."""


def test_a_dead_executor_of_unknown_making_asks_for_a_function():
    with (
        Broken(1, mp_context=QUICK) as executor,
        pytest.raises(dl.ArgumentError, match=r"is dead; blocks are missing.*executor=lambda"),
    ):
        list(spread(executor, worker_tasks.die, range(2)))


def test_an_executor_that_is_shut_down():
    executor = pool(1)
    executor.shutdown()
    with pytest.raises(dl.ArgumentError, match="takes no more blocks: cannot schedule new futures after shutdown"):
        list(spread(executor, worker_tasks.twice, range(2)))


class Client:
    """Looks like Dask's."""

    def get_executor(self):
        """An executor."""


@pytest.mark.parametrize(
    ("executor", "words"),
    [
        (lambda: ThreadPoolExecutor(1), "Threads share one JAX; leave executor= out"),
        (lambda: ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")), "It forks"),
        (Client, r"client.get_executor\(pure=False, retries=2\)"),
        (lambda: 4, "executor is 4; expects an executor of concurrent.futures"),
        (lambda: Future, "expects an executor of concurrent.futures"),
    ],
)
def test_what_is_no_executor_is_refused(executor, words):
    """Catches a hang in a forked process, and `AttributeError: submit`."""
    with pytest.raises(dl.ArgumentError, match=words):
        Pool(executor())


def test_a_function_that_makes_no_executor():
    with pytest.raises(dl.ArgumentError, match="the function returned 4; expects an executor"):
        Pool(lambda: 4)
    with pytest.raises(dl.ArgumentError, match="It forks"):
        Pool(lambda: ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")))
