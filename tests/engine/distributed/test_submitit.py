"""Jobs of submitit as futures: real ones on this machine, killed, canceled, failing; the manners of SLURM faked."""

import os
import pathlib
import signal
import threading
import time
from concurrent.futures import CancelledError, wait

import pytest
import submitit
import worker_tasks
from processes import wait_until

import dlcore as dl
from dlcore.engine.distributed import executors
from dlcore.engine.distributed.pools import JobDiedError
from dlcore.engine.distributed.spread import spread


def local(folder, **options):
    return dl.executors.submitit(submitit.LocalExecutor(folder), seconds=0.05, **options)


@pytest.mark.heavy  # two processes a job, and submitit polls
def test_jobs_of_this_machine(tmp_path, monkeypatch):
    """Catches results that do not come, errors without their traceback, and a job that is lost with its process."""
    monkeypatch.setattr(executors, "SECONDS_FOR_RESULT", 1.0)
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(worker_tasks.__file__))
    executor = local(tmp_path / "logs", max_jobs=3)
    tasks = [(number, str(tmp_path)) for number in (1, 3)]
    assert dict(spread(executor, worker_tasks.twice_or_die, tasks)) == {task: 2 * task[0] for task in tasks}
    ((_, error),) = spread(executor, worker_tasks.raise_error, ["a"])
    assert "ValueError: no a" in str(error)
    assert str(tmp_path / "logs") in str(error)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(worker_tasks.twice, 1)


@pytest.mark.heavy
def test_a_canceled_future_cancels_its_job(tmp_path, monkeypatch):
    """Catches jobs that go on after Ctrl-C."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(worker_tasks.__file__))
    executor = local(tmp_path / "logs")
    future = executor.submit(worker_tasks.wait_for, ("one", str(tmp_path)))
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun-one").exists() or not (tmp_path / "begun-one").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    future.job._process.wait(30)  # submitit never does
    process = int((tmp_path / "begun-one").read_text())
    while pathlib.Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.heavy
def test_a_job_that_is_out_of_time_begins_anew(tmp_path, monkeypatch):
    """Catches a block that is lost when SLURM takes a node back, or its time is up: both send this signal."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(worker_tasks.__file__))
    executor = local(tmp_path / "logs")
    future = executor.submit(worker_tasks.sleep_at_first, str(tmp_path))
    begun = tmp_path / "begun"
    wait_until(lambda: begun.exists() and begun.read_text().endswith("\n"), 60)
    os.kill(int(begun.read_text()), signal.SIGUSR2)
    assert future.result(60) == 2
    first, second = begun.read_text().split()
    assert first != second
    log = next((tmp_path / "logs").glob("*.out")).read_text()
    assert "this job is timed-out" in log


class Job:
    """Of a cluster that a test moves on: state is "PENDING", "RUNNING", "DONE" or "KILLED"."""

    num_tasks = 1

    def __init__(self, folder, number):
        self.job_id, self.state, self.canceled, self.looks = str(number), "PENDING", False, []
        self.paths = submitit.core.utils.JobPaths(folder, self.job_id)

    def done(self):
        self.looks.append(threading.current_thread().name)
        return self.state in ("DONE", "KILLED")

    def exception(self):
        return None

    def result(self):
        if self.job_id == "1":
            raise ModuleNotFoundError("No module named 'own'")
        return f"result {self.job_id}"

    def cancel(self, check):
        self.canceled = True


class Cluster(submitit.Executor):
    """A cluster without processes."""

    def __init__(self, folder):
        super().__init__(folder)
        self.jobs = []

    def submit(self, fn, *args, **kwargs):
        self.jobs.append(Job(self.folder, len(self.jobs)))
        self.jobs[-1].function = fn
        return self.jobs[-1]

    def _internal_process_submissions(self, delayed_submissions):
        raise NotImplementedError

    def end(self, number, state):
        job = self.jobs[number]
        if state == "DONE":
            job.paths.folder.mkdir(exist_ok=True, parents=True)
            job.paths.result_pickle.touch()
        job.state = state


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "SECONDS_FOR_RESULT", 0.05)
    return Cluster(tmp_path)


def test_one_thread_looks_at_all_jobs(cluster):
    """Catches a thread a job, one that does not end, one that dies of an answer which does not unpickle."""
    executor = dl.executors.submitit(cluster, seconds=0.01)
    futures = [executor.submit(worker_tasks.twice, number) for number in range(5)]
    cluster.end(1, "DONE")
    cluster.end(2, "KILLED")
    wait(futures[1:3], timeout=10)
    assert isinstance(futures[1].exception(), ModuleNotFoundError)
    died = futures[2].exception()
    assert isinstance(died, JobDiedError)
    assert "the job 2 ended without an answer (KILLED); its logs are" in str(died)
    assert str(cluster.jobs[2].paths.stderr) in str(died)
    assert not futures[0].done()
    assert futures[3].cancel()
    assert cluster.jobs[3].canceled
    assert not cluster.jobs[0].canceled
    cluster.end(0, "DONE")
    cluster.end(4, "DONE")
    assert futures[4].result(10) == "result 4"
    executor.shutdown(wait=True)
    assert futures[0].result() == "result 0"
    assert {name for job in cluster.jobs for name in job.looks} == {"dlcore-submitit"}
    assert "dlcore-submitit" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(worker_tasks.twice, 1)


def test_ctrl_c_cancels_the_jobs(cluster):
    """Catches a queue full of jobs that nobody waits for."""
    results = spread(dl.executors.submitit(cluster, max_jobs=3, seconds=0.01), worker_tasks.twice, range(100))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert [job.canceled for job in cluster.jobs] == [True, True, True]


def test_the_answer_may_come_late(cluster, monkeypatch):
    """Catches a result on a network disk that is taken for a dead job."""
    monkeypatch.setattr(executors, "SECONDS_FOR_RESULT", 30.0)
    future = dl.executors.submitit(cluster, seconds=0.01).submit(worker_tasks.twice, 1)
    cluster.jobs[0].state = "DONE"
    time.sleep(0.1)
    assert not future.done()
    cluster.end(0, "DONE")
    assert future.result(10) == "result 0"


def test_a_job_that_is_preempted_begins_anew(cluster):
    """Catches a block that is recorded as failed since SLURM wanted its node: submitit asks for `checkpoint`."""
    dl.executors.submitit(cluster).submit(worker_tasks.twice, 4).cancel()
    again = cluster.jobs[0].function.checkpoint(4)
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.result() == 8
    assert again.function.checkpoint(5).result() == 10  # and once more


def test_jobs_of_several_tasks_are_refused(cluster, monkeypatch):
    monkeypatch.setattr(Job, "num_tasks", 4)
    with pytest.raises(dl.ArgumentError, match=r"runs 4 tasks a job; expects 1: .*tasks_per_node=1"):
        dl.executors.submitit(cluster).submit(worker_tasks.twice, 1)
    assert cluster.jobs[0].canceled


def test_what_is_no_executor_of_submitit(tmp_path):
    with pytest.raises(dl.ArgumentError, match="in this very process"):
        dl.executors.submitit(submitit.AutoExecutor(tmp_path, cluster="debug"))
    with pytest.raises(dl.ArgumentError, match="in this very process"):
        dl.executors.submitit(submitit.DebugExecutor(tmp_path))
    with pytest.raises(dl.ArgumentError, match=r"dl.executors.submitit\(executor\)"):
        list(spread(submitit.LocalExecutor(tmp_path), worker_tasks.twice, [1]))
