"""Executors for what is none: submitit's jobs as futures, for a study on a SLURM cluster."""

import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from dlcore.core.arguments import Constraint, RefusedError, arguments, integer, number
from dlcore.core.errors import ArgumentError
from dlcore.engine.distributed.pools import JobDiedError

__all__ = ["submitit"]

SECONDS_FOR_RESULT = 15.0  # that a network disk may take to show the result of a job that has ended


def _accept(value: Any) -> Any:
    modules = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}
    if "submitit" not in modules or not hasattr(value, "update_parameters"):
        raise RefusedError
    if type(value).__name__ == "DebugExecutor" or getattr(value, "cluster", "") == "debug":
        raise RefusedError("This one runs jobs in this very process.")
    return value


SUBMITIT = Constraint("an executor of submitit, e.g. submitit.AutoExecutor(folder='logs')", _accept)


@arguments(executor=SUBMITIT, max_jobs=integer(meaning="jobs in the queue at a time"), seconds=number(0.01, 3600))
def submitit(executor: Any, *, max_jobs: int = 64, seconds: float = 1.0) -> "SubmititExecutor":
    """An executor of futures out of one of submitit: each call is a job of SLURM, or a process of this machine.

    A job that ends without an answer (killed, a node lost) is submitted once more; one that is preempted or out of
    time begins anew, as often as the executor of submitit lets it. Ctrl-C cancels jobs that wait and jobs that run.
    submitit comes with the extra `distributed`.

    Args:
      executor: of submitit, with its parameters set: time, memory, partition, one task per node.
      max_jobs: how many are in the queue at a time.
      seconds: between looks at the jobs; submitit itself asks SLURM less often.

    Raises:
      ArgumentError: none of submitit's, or one that runs jobs in this process.

    Example:
      >>> import submitit
      >>> dl.executors.submitit(submitit.LocalExecutor("logs"), max_jobs=4)
      SubmititExecutor(LocalExecutor, logs in ...logs, 4 jobs at a time)
    """
    return SubmititExecutor(executor, max_jobs, seconds)


class _Restartable:
    """A call that begins anew where SLURM has taken its job off the node, or its time is up."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """What submitit submits in its place."""
        return importlib.import_module("submitit.helpers").DelayedSubmission(self, *args, **kwargs)


class _JobFuture(Future):
    """A future whose cancellation cancels its job, also one that runs."""

    job: Any = None

    def cancel(self) -> bool:
        canceled = super().cancel()
        if canceled and self.job is not None:
            self.job.cancel(check=False)
        return canceled


class SubmititExecutor(Executor):
    """See `submitit`. One thread looks at all jobs; it ends with the last of them."""

    def __init__(self, executor: Any, max_jobs: int, seconds: float):
        self._executor, self._max_workers, self._seconds = executor, max_jobs - 1, seconds
        self._flying: dict[_JobFuture, float | None] = {}  # to when its job was first seen to have ended
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __repr__(self) -> str:
        kind, folder = type(self._executor).__name__, self._executor.folder
        return f"SubmititExecutor({kind}, logs in {folder}, {self._max_workers + 1} jobs at a time)"

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Submit a job; its future completes when it does, with `JobDiedError` if it ended without an answer."""
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = _JobFuture()
        future.job = job = self._executor.submit(_Restartable(fn), *args, **kwargs)
        if job.num_tasks != 1:
            job.cancel(check=False)
            raise ArgumentError(
                f"the executor of submitit runs {job.num_tasks} tasks a job; expects 1: "
                "executor.update_parameters(tasks_per_node=1, nodes=1)."
            )
        with self._lock:
            self._flying[future] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, daemon=True, name="dlcore-submitit")
                self._thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs; wait for those there are, or cancel them."""
        self._closed = True
        with self._lock:
            futures, thread = list(self._flying), self._thread
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait and thread is not None:
            thread.join()

    def _look(self) -> None:
        while True:
            with self._lock:
                futures = list(self._flying)
                if not futures:
                    self._thread = None
                    return
            landed = [future for future in futures if future.cancelled() or self._landed(future)]
            with self._lock:
                for future in landed:
                    del self._flying[future]
            if not landed:
                time.sleep(self._seconds)

    def _landed(self, future: _JobFuture) -> bool:
        """Whether the job has ended; its future then has what became of it."""
        try:
            return self._settled(future)
        except Exception as error:  # an answer that does not unpickle, a tool of SLURM that fails: the thread goes on
            _complete(future, None, error)
            return True

    def _settled(self, future: _JobFuture) -> bool:
        job = future.job
        if not job.done():
            return False
        if not job.paths.result_pickle.exists():
            now = time.monotonic()
            since = self._flying[future] = self._flying[future] or now
            if now - since < SECONDS_FOR_RESULT:
                return False
            died = f"the job {job.job_id} ended without an answer ({job.state})"
            _complete(future, None, JobDiedError(f"{died}; its logs are {job.paths.stdout} and {job.paths.stderr}"))
            return True
        error = job.exception()  # in submitit's words, which name the logs
        _complete(future, None if error else job.result(), error)
        return True


def _complete(future: Future, result: Any, error: BaseException | None) -> None:
    if not future.set_running_or_notify_cancel():
        return  # canceled in the meantime
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
