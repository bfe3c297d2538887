"""Blocks in worker processes: set up as the process that sent them, failures as text, never in the sending process."""

import functools
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import jax
import numpy as np
import pytest
import worker_tasks

import dlcore as dl
from dlcore.engine.distributed import workers
from dlcore.engine.distributed.spread import spread
from dlcore.engine.distributed.workers import Failure, WorkerError, assign, settings, work
from dlcore.engine.preparation import Options
from dlcore.engine.setup import flags_with_ours

cloudpickle.register_pickle_by_value(sys.modules[__name__])
OPTIONS = Options()
VALUES = np.arange(1000.0)


def fit(seed):
    """Stands for a function of trainings."""
    return VALUES.sum() + seed


STUDY = dl.study(fit, seed=[0])


@pytest.fixture(scope="module")
def worker():
    """One process for the tests of this file: it imports JAX."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_a_worker_is_set_up_as_the_process_that_sends(worker, tmp_path):
    """Catches other flags, threads, precision or x64, so other bits; and a worker that takes all cores."""
    with jax.default_matmul_precision("highest"), jax.enable_x64():
        assignment = assign(STUDY, OPTIONS, tmp_path, worker_tasks.surroundings)
    found = worker.submit(work, assignment, ("block",)).result()
    assert found.pop("pid") != os.getpid()
    assert found == {
        "name": "block",
        "study": True,
        "options": tuple(OPTIONS),
        "value": VALUES.sum(),
        "devices": 1,
        "gpus": "0",
        "flags": os.environ["XLA_FLAGS"],
        "threads": "8",
        "x64": True,
        "precision": "highest",
        "promotion": "raise",
        "cache": None,
    }
    again = assign(STUDY, OPTIONS, tmp_path, worker_tasks.surroundings)  # JAX has started there
    found = worker.submit(work, again, ("next",)).result()
    assert (found["x64"], found["precision"]) == (False, None)


def test_errors_come_back_as_text(worker, tmp_path):
    """Catches an exception whose class does not unpickle, which breaks the pool; and a traceback that is lost."""
    ours = worker.submit(work, assign(STUDY, OPTIONS, tmp_path, worker_tasks.fail), ("ours",)).result()
    assert isinstance(ours, Failure)
    assert type(ours.error()) is dl.DataError
    assert str(ours.error()) == "the rows are bad"
    theirs = worker.submit(work, assign(STUDY, OPTIONS, tmp_path, worker_tasks.fail), ("theirs",)).result()
    assert (theirs.kind, theirs.message, theirs.pid != os.getpid()) == ("LocalError", "this and that", True)
    error = theirs.error()
    assert isinstance(error, WorkerError)
    assert "worker_tasks.py" in str(error)
    assert f"process {theirs.pid} on {theirs.host}" in str(error)


def test_other_flags_than_those_jax_has_started_with(worker, tmp_path, monkeypatch):
    """Catches bits that differ without a word, in a Dask worker that another study has set up."""
    starts = assign(STUDY, OPTIONS, tmp_path, worker_tasks.surroundings)
    assert not isinstance(worker.submit(work, starts, ("first",)).result(), Failure)
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"] + " --xla_cpu_enable_fast_math=true")
    found = worker.submit(work, assign(STUDY, OPTIONS, tmp_path, worker_tasks.pid), ()).result()
    assert isinstance(found, Failure)
    assert "JAX has started in the worker with XLA_FLAGS=" in found.message
    assert "--xla_cpu_enable_fast_math=true" in found.message


def test_blocks_do_not_run_in_the_process_that_sends(tmp_path):
    """Catches two blocks at a time on one device, under an executor of threads that is not known as one."""
    found = work(assign(STUDY, OPTIONS, tmp_path, worker_tasks.pid), ())
    assert "in this very process" in found.message
    assert "Leave executor= out" in found.message


def test_a_forked_process_is_refused_before_it_hangs(tmp_path):
    """Catches a Dask or other executor that forks: JAX would wait for threads that are not there."""
    forked = assign(STUDY, OPTIONS, tmp_path, worker_tasks.pid)
    forked = forked._replace(settings=forked.settings._replace(pid=os.getppid()))
    assert "was forked" in work(forked, ()).message


def test_modules_beside_the_script_are_found(tmp_path, monkeypatch):
    """Catches a worker with another PYTHONPATH; what is not there is left out, what is there is not moved."""
    monkeypatch.setattr(sys, "path", ["/first", *sys.path])
    (tmp_path / "beside").mkdir()
    wanted = settings()._replace(process="another", path=("/nowhere", str(tmp_path / "beside"), *settings().path))
    workers.prepare(wanted)
    assert sys.path[0] == "/first"
    assert sys.path[-1] == str(tmp_path / "beside")
    assert "/nowhere" not in sys.path


def test_the_cache_folder_is_that_of_the_worker(tmp_path):
    """Catches compiled programs of one processor in the cache of another."""
    assert settings().cache is False
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / workers.machine()))
    try:
        assert settings().cache == str(tmp_path)
    finally:
        jax.config.update("jax_compilation_cache_dir", None)


def test_flags_are_those_of_setup():
    """Catches a process that has not called `dl.setup`, whose workers compute with other flags than its next study."""
    ours = flags_with_ours("")
    assert "small_while_loop" in ours
    assert flags_with_ours(ours) == ours
    assert flags_with_ours("--xla_foo") == f"--xla_foo {ours}"


@pytest.mark.heavy  # three processes import JAX
def test_a_worker_that_dies_in_mid_study(tmp_path):
    """Catches pieces that do not fit together: a new worker has to be set up, and to unpack, once more."""
    assignment = assign(STUDY, OPTIONS, tmp_path / "store", worker_tasks.number_of)
    tasks = [(number, str(tmp_path)) for number in range(4)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = dict(spread(executor, functools.partial(work, assignment), tasks))
    assert found == {task: VALUES.sum() + task[0] for task in tasks}
