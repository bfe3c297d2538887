"""Studies on Dask, on submitit and by several drivers at once, all of them real; and Ctrl-C in the middle."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import cloudpickle
import dask
import jax.numpy as jnp
import numpy as np
import pytest
import submitit
from dask.distributed import Client, LocalCluster
from processes import wait_until
from scripts import TESTS, script_of

import dlcore as dl
from dlcore.engine.distributed import executors
from dlcore.engine.durable import claims, ledger, parts, workplace
from dlcore.engine.preparation import Options

cloudpickle.register_pickle_by_value(sys.modules[__name__])
heavy = pytest.mark.heavy  # processes that import JAX, one after another
FIRST = np.arange(6)


class Rows:
    """Rows of a data set; reading some kills the process. once, always: which."""

    fingerprint = "ones"

    def __init__(self, folder, once=(), always=()):
        self.folder, self.once, self.always = str(folder), once, always

    def __len__(self):
        return 6

    def __getitem__(self, row):
        mark = os.path.join(self.folder, f"row-{row}")
        if row in self.always or (row in self.once and not os.path.exists(mark)):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full(2, row, np.float32)


def reading(first, source):
    """Runs that read one row."""
    rows = dl.data.Streamed(source)
    advance = lambda x: (x + 1, {"x": jnp.sum(rows.fetch(first[None]))})  # noqa: E731
    return dl.Training(lambda: jnp.zeros(()), advance, num_records=1)


def sweep(source, **options):
    """A study of six cells."""
    return dl.sweep(functools.partial(reading, source=source), first=FIRST, lane_width=1, **options)


def same(a, b):
    """Whether two results are one, to the bit."""
    return a.drop_attrs().identical(b.drop_attrs())


@pytest.fixture
def visible(monkeypatch):
    """Workers find the tests' modules."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@heavy
def test_dask_with_workers_that_are_killed(visible, tmp_path):
    """Catches a study that is lost with a worker of Dask, one that ends with a bad block, and a call that hangs."""
    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 3}),  # row 3 may share a worker with row 5
        LocalCluster(n_workers=2, **options) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor(pure=False, retries=2)
        bad = Rows(tmp_path, once=(3,), always=(5,))
        with pytest.raises(dl.FailedCellsError, match=r"1 of 6 cells failed:\n  first=5: WorkerDied"):
            sweep(bad, store=tmp_path / "s", executor=executor)
        assert (tmp_path / "row-3").exists()
        runs = sweep(Rows(tmp_path), store=tmp_path / "s", executor=executor)
    assert same(runs, sweep(Rows(tmp_path)))
    assert len(os.listdir(tmp_path / "s" / "parts")) == 6


@heavy
def test_jobs_of_submitit(visible, tmp_path, monkeypatch):
    """Catches a job that is lost, or that computes with other bits."""
    monkeypatch.setattr(executors, "SECONDS_FOR_RESULT", 1.0)
    jobs = dl.executors.submitit(submitit.LocalExecutor(tmp_path / "logs"), max_jobs=2, seconds=0.1)
    runs = dl.sweep(
        functools.partial(reading, source=Rows(tmp_path, once=(1,))),
        first=FIRST[:2],
        lane_width=1,
        store=tmp_path / "s",
        executor=jobs,
    )
    assert (tmp_path / "row-1").exists()
    assert same(runs, dl.sweep(functools.partial(reading, source=Rows(tmp_path)), first=FIRST[:2], lane_width=1))


SLOW = """
    import multiprocessing, sys, time, numpy as np, jax.numpy as jnp, dlcore as dl
    from concurrent.futures import ProcessPoolExecutor
    class Slow:
        fingerprint = "slow"
        def __len__(self):
            return 12
        def __getitem__(self, row):
            time.sleep(0.3)
            return np.full(2, row, np.float32)
    def reading(first):
        rows = dl.data.Streamed(Slow())
        advance = lambda x: (x + 1, {"x": jnp.sum(rows.fetch(first[None]))})
        return dl.Training(lambda: jnp.zeros(()), advance, num_records=1)
    def pool():
        return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    dl.setup(num_devices=1, cache=False)
    axes = {"first": np.arange(12), "lane_width": 1, "store": sys.argv[1]}
    executor = pool if sys.argv[2] == "made" else pool() if sys.argv[2] == "given" else None
    try:
        runs = dl.sweep(reading, **axes, executor=executor)
    except KeyboardInterrupt as error:
        print("finished", int(error.results.finished.sum()))
        raise
    print(runs.x.sel(step=1).values.tolist())
"""
EXPECTED = f"{[2.0 * row for row in range(12)]}\n"


@heavy
def test_two_drivers_share_a_store(tmp_path):
    """Catches a block that both have computed, one that neither has, and workers that wait for one another."""
    commands = [script_of(SLOW, str(tmp_path / "s"), how) for how in ("given", "made")]
    drivers = [subprocess.Popen(**command, stdout=subprocess.PIPE, text=True) for command in commands]
    assert [driver.communicate(timeout=240)[0] for driver in drivers] == [EXPECTED, EXPECTED]
    headers = [parts.read(file).header for file in parts.listing(tmp_path / "s" / "parts")]
    assert len(headers) == 12
    assert not os.listdir(tmp_path / "s" / "claims")


@heavy
@pytest.mark.parametrize("how", ["given", "made"])
def test_ctrl_c(how, tmp_path):
    """Catches parts that are lost, claims and processes that stay, and a second call that waits for the first."""
    store = tmp_path / "s"
    command = script_of(SLOW, str(store), how)
    driver = subprocess.Popen(
        **command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    wait_until(lambda: len(parts.listing(store / "parts")) > 2, 120)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
    printed = driver.communicate(timeout=60)[0]
    assert driver.returncode != 0
    assert 2 <= int(printed.removeprefix("finished ")) < 12
    there = {file.name: file.stat().st_mtime_ns for file in parts.listing(store / "parts")}
    assert 2 < len(there) < 12
    assert not os.listdir(store / "code")
    wait_until(lambda: not _alive(driver.pid))
    began = time.monotonic()
    done = subprocess.run(**script_of(SLOW, str(store), "alone"), capture_output=True, text=True, check=True)
    assert done.stdout == EXPECTED
    assert time.monotonic() - began < 25 + claims.Claims(store).seconds_to_die / 2  # claims of the dead do not last
    assert all((store / "parts" / name).stat().st_mtime_ns == when for name, when in there.items())
    assert len(parts.listing(store / "parts")) == 12


def _alive(group):
    """Whether a process of a group is alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_claim_of_a_worker_that_died_elsewhere(tmp_path, monkeypatch):
    """Catches a block that is said to be done since its claim looks alive: it would kill its workers for ever."""
    quick = functools.partial(claims.Claims, stale_after=0.5, beat=0.1)
    monkeypatch.setattr(ledger, "Claims", quick)
    study = dl.study(lambda start: dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x}), 2), start=FIRST)
    remote = workplace.Remote(Options(), 6, False)
    store = tmp_path / "s"
    dl.sweep(study, lane_width=6, store=store)
    (part,) = parts.listing(store / "parts")
    part.unlink()
    workplace.open_there(study, remote, str(store))
    session = next(reversed(workplace._open.values())).session
    (block,) = session.missing()
    name = session.claim(block)
    assert name is not None
    file = store / "claims" / f"{name}.json"
    content = json.loads(file.read_text())
    session.claims.release(name)
    file.write_text(json.dumps({**content, "token": "another", "machine": "another"}))  # which beats no more
    done = workplace.compute_there(study, remote, str(store), block)
    assert done.parts == [part.stem]
    assert parts.listing(store / "parts") == [part]
