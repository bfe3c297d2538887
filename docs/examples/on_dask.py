"""A study on a Dask cluster: `python docs/examples/on_dask.py runs/rates`."""

import sys

import jax
import numpy as np
import optax
from dask.distributed import Client, LocalCluster

import dlcore as dl

task = dl.tasks.classification(dl.models.mlp([64, 16, 10]), dl.data.digits())


def fit(seed, learning_rate):
    """How well digits are told apart, by learning rate."""
    return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size=64, num_epochs=2)


def main(store):
    dl.setup()
    study = dl.study(fit, learning_rate=np.array([0.001, 0.01, 0.1]), seed=np.arange(4))
    # One GPU a worker: `from dask_cuda import LocalCUDACluster`, and `LocalCUDACluster()` in the next line.
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1") as cluster, Client(cluster) as client:
        runs = dl.sweep(study, lane_width=4, store=store, executor=client.get_executor(pure=False, retries=2))
    print(dl.last_record(runs).test_accuracy.mean("seed").to_series())


if __name__ == "__main__":
    main(sys.argv[1])
