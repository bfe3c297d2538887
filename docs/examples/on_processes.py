"""A study on processes of this machine: `python docs/examples/on_processes.py runs/rates`."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import jax
import numpy as np
import optax

import dlcore as dl

task = dl.tasks.classification(dl.models.mlp([64, 16, 10]), dl.data.digits())


def fit(seed, learning_rate):
    """How well digits are told apart, by learning rate."""
    return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size=64, num_epochs=2)


def main(store):
    dl.setup()
    study = dl.study(fit, learning_rate=np.array([0.001, 0.01, 0.1]), seed=np.arange(4))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        runs = dl.sweep(study, lane_width=4, store=store, executor=executor)
    print(dl.last_record(runs).test_accuracy.mean("seed").to_series())


if __name__ == "__main__":
    main(sys.argv[1])
