"""A study as jobs of SLURM: `python docs/examples/on_slurm.py runs/rates`; with `local` at the end, on this machine."""

import sys

import jax
import numpy as np
import optax
import submitit

import dlcore as dl

task = dl.tasks.classification(dl.models.mlp([64, 16, 10]), dl.data.digits())


def fit(seed, learning_rate):
    """How well digits are told apart, by learning rate."""
    return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size=64, num_epochs=2)


def main(store, cluster="slurm"):
    dl.setup()
    study = dl.study(fit, learning_rate=np.array([0.001, 0.01, 0.1]), seed=np.arange(4))
    jobs = submitit.AutoExecutor(f"{store}-logs", cluster=cluster)
    jobs.update_parameters(timeout_min=60, mem_gb=8, cpus_per_task=2, tasks_per_node=1)  # gpus_per_node=1
    runs = dl.sweep(study, lane_width=4, store=store, executor=dl.executors.submitit(jobs, max_jobs=8))
    print(dl.last_record(runs).test_accuracy.mean("seed").to_series())


if __name__ == "__main__":
    main(*sys.argv[1:])
