"""What describes a run can be sent to another process and computes the same there."""

import functools
import pickle
import subprocess
import sys

import cloudpickle
import jax
import numpy as np
import optax
import pytest
from flax import linen, nnx

import dlcore as dl

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(4, 3)).astype(np.float32), np.array([0, 1, 1, 0])
CLASSES = dl.data.Dataset((X, LABELS), name="classes")
REAL = dl.data.Dataset((X, X[:, :2]), name="real")
FLAGS = dl.data.Dataset((X, np.eye(4, 2, dtype=int)))
TOKENS = dl.data.Dataset((np.array([[1, 2, 1]]), np.array([[2, 1, 2]])))
BOXES = dl.data.Dataset((np.ones((1, 8, 8), np.float32), np.array([[[1.0, 0, 0, 0, 4, 4]]])))


class NNX(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.linear(x))


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dropout(0.5, deterministic=not train)(linen.Dense(2)(x))


FULL = dl.models.mlp([3, 4, 2], dropout=0.5, normalization="batch")
# The module-level names above are those of a notebook: other processes do not have them.
CASES = {
    "classification": (dl.tasks.classification(FULL, CLASSES, penalty=dl.tasks.l2(0.1)), optax.adam(0.1)),
    "logistic": (dl.tasks.classification(dl.models.logistic(3), CLASSES), dl.optimizers.by_name("momentum", 0.1)),
    "from_nnx": (dl.tasks.regression(dl.from_nnx(NNX), REAL), optax.sgd(optax.cosine_decay_schedule(0.1, 10))),
    "from_linen": (
        dl.tasks.supervised(dl.from_linen(Linen(), X), REAL, dl.losses.squared_error),
        optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(0.1)),
    ),
    "multi_label": (dl.tasks.multi_label(dl.models.mlp([3, 2]), FLAGS), optax.lion(0.1)),
    "embedding": (dl.tasks.embedding(dl.models.mlp([3, 2]), CLASSES, dl.losses.triplet), optax.sgd(0.1)),
    "reconstruction": (dl.tasks.reconstruction(dl.models.autoencoder([3, 2]), REAL), optax.rmsprop(0.1)),
    "variational": (dl.tasks.variational(dl.models.autoencoder([3, 2], variational=True), REAL), optax.sgd(0.1)),
    "tokens": (
        dl.tasks.token_prediction(dl.models.recurrent(3, 2, 3, num_tokens=3, output="all"), TOKENS),
        optax.sgd(0.1),
    ),
    "detection": (dl.tasks.detection(dl.models.grid_detector((8, 8), 2, channels=[2]), BOXES), optax.sgd(0.1)),
}


def fit_of(name):
    """A function that closes over a task and an optimizer, as those of studies do."""
    task, optimizer = CASES[name]

    def fit(seed):
        training = dl.training(jax.random.key(seed), task, optimizer, batch_size="full", num_epochs=1)
        return training, task, optimizer

    return fit


def computed(fit):
    """Loss at the start, and an optimizer's update of the parameters, as bytes."""
    _, task, optimizer = fit(0)
    params, state = task.model.init(jax.random.key(0))
    loss, _ = task.objective(params, state, task.data.train, key=jax.random.key(1), train=True)
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((loss, updates))]


SCRIPT = "import pickle, sys; f, fits = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(f(fits)))"


QUICK = ("classification", "from_nnx", "from_linen")
REST = tuple(name for name in CASES if name not in QUICK)


@functools.cache
def elsewhere(names):
    """What another process computes of these cases."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        fits = {name: fit_of(name) for name in names}
        for fit in fits.values():
            fit(0)  # used before: what it keeps must not travel
        sent = cloudpickle.dumps((lambda fits: {name: computed(fit) for name, fit in fits.items()}, fits))
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.job
def test_another_process_computes_the_same(name):
    """Catches what holds a lock, a trace or a function of one process, and numbers that depend on the process."""
    assert computed(fit_of(name)) == elsewhere(QUICK)[name]


@pytest.mark.heavy
@pytest.mark.parametrize("name", REST)
def test_another_process_computes_every_task(name):
    """Catches the same in the other tasks."""
    assert computed(fit_of(name)) == elsewhere(REST)[name]
