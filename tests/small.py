"""Problems that compile and run in a moment, shared by the tests."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import dlcore as dl


def labeled_points(num_train: int = 24, num_test: int = 8) -> dl.data.Dataset:
    """Points [N, 4] of 3 classes, float32."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(num_train + num_test, 4)).astype(np.float32)
    labels = np.argmax(inputs[:, :3] + 0.5 * rng.normal(size=(len(inputs), 3)), axis=1).astype(np.int32)
    return dl.data.Dataset(
        (inputs[:num_train], labels[:num_train]), test=(inputs[num_train:], labels[num_train:]), name="points"
    )


def noisy_line(num_train: int = 24, num_test: int = 8) -> dl.data.Dataset:
    """Inputs [N, 3] and targets [N] near an affine function of them, float32."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(num_train + num_test, 3)).astype(np.float32)
    targets = (inputs @ np.float32([1.0, -2.0, 0.5]) + 0.3 + 0.1 * rng.normal(size=len(inputs))).astype(np.float32)
    return dl.data.Dataset(
        (inputs[:num_train], targets[:num_train]), test=(inputs[num_train:], targets[num_train:]), name="line"
    )


class NormalizedNNX(nnx.Module):
    """Linear, batch normalization, dropout, linear."""

    def __init__(self, rngs):
        self.first = nnx.Linear(4, 6, rngs=rngs)
        self.norm = nnx.BatchNorm(6, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(self.dropout(jnp.tanh(self.norm(self.first(x)))))


MODEL = dl.models.mlp([4, 5, 3])
CLASSIFICATION = dl.tasks.classification(MODEL, labeled_points())
REGRESSION = dl.tasks.regression(dl.models.linear(3), noisy_line())


def fit(seed, learning_rate=0.1, num_epochs=3):
    """A small network trained by momentum: 4 steps an epoch."""
    optimizer = optax.sgd(learning_rate, momentum=0.9)
    return dl.training(jax.random.key(seed), CLASSIFICATION, optimizer, batch_size=6, num_epochs=num_epochs)
