"""Studies' blocks on a Dask cluster of processes on this machine."""

import functools
import os
import sys

import cloudpickle
import dask
import jax.numpy as jnp
import numpy as np
import pytest
import worker_tasks
from dask.distributed import Client, LocalCluster

import dlcore as dl
from dlcore.engine.distributed.pools import WorkerDiedError
from dlcore.engine.distributed.spread import spread
from dlcore.engine.distributed.workers import assign, work
from dlcore.engine.preparation import Options

pytestmark = pytest.mark.heavy  # its processes take seconds to start
cloudpickle.register_pickle_by_value(sys.modules[__name__])

VALUES = np.arange(1000.0)
STUDY = dl.study(lambda seed: float(jnp.asarray(VALUES).sum()) + seed, seed=[0])


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(worker_tasks.__file__))
    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_worker_that_dies_in_mid_study(client, tmp_path):
    """Catches blocks that are lost with a worker, and a new worker that is not set up."""
    assignment = assign(STUDY, Options(), tmp_path / "store", worker_tasks.number_of)
    tasks = [(number, str(tmp_path)) for number in range(6)]
    executor = client.get_executor(pure=False, retries=2)
    found = dict(spread(executor, functools.partial(work, assignment), tasks))
    assert found == {task: VALUES.sum() + task[0] for task in tasks}


def test_a_block_that_kills_its_workers(client):
    """Catches a study that ends with one block, and one that is tried for ever; then a cluster that is gone."""
    executor = client.get_executor(pure=False, retries=2)
    found = dict(spread(executor, worker_tasks.twice_or_die, range(6)))
    error = found.pop(3)
    assert found == {task: 2 * task for task in (0, 1, 2, 4, 5)}
    assert isinstance(error, WorkerDiedError)
    assert "2 different workers" in str(error)
    client.close()
    with pytest.raises(dl.ArgumentError, match=r"Dask's scheduler is gone \(closed\); blocks are missing"):
        list(spread(executor, worker_tasks.twice, range(3)))
