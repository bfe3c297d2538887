"""The work by Flax NNX: a loop over a jitted training step and a jitted evaluation, as in its documentation."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from benchmarks.peers.work import LARGEST_NORM, MOMENTUM, Data, Finished, Side, Work, steps


class Network(nnx.Module):
    """A hidden layer of 128 units."""

    def __init__(self, num_inputs: int, num_classes: int, *, rngs: nnx.Rngs) -> None:
        self.hidden, self.head = nnx.Linear(num_inputs, 128, rngs=rngs), nnx.Linear(128, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, num_inputs] -> [B, num_classes]."""
        return self.head(nnx.relu(self.hidden(x)))


class Convolutional(nnx.Module):
    """Two blocks of convolution and pooling, and a hidden layer."""

    def __init__(self, shape: tuple[int, ...], num_classes: int, *, rngs: nnx.Rngs) -> None:
        self.first, self.second = nnx.Conv(shape[2], 32, (3, 3), rngs=rngs), nnx.Conv(32, 64, (3, 3), rngs=rngs)
        self.dense = Network(64 * (shape[0] // 4) * (shape[1] // 4), num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, height, width, channels] -> [B, num_classes]."""
        for layer in (self.first, self.second):
            x = nnx.max_pool(nnx.relu(layer(x)), (2, 2), strides=(2, 2))
        return self.dense(x.reshape(len(x), -1))


class Recurrent(nnx.Module):
    """An LSTM of 256 units, whose last output goes to the classes."""

    def __init__(self, num_inputs: int, num_classes: int, *, rngs: nnx.Rngs) -> None:
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(num_inputs, 256, rngs=rngs))
        self.head = nnx.Linear(256, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, num_inputs] -> [B, num_classes]."""
        outputs: Any = self.lstm(x)
        return self.head(outputs[:, -1])


def build(network: str, shape: tuple[int, ...], num_classes: int, seed: int) -> nnx.Module:
    """The network."""
    rngs = nnx.Rngs(seed)
    if network == "cnn":
        return Convolutional(shape, num_classes, rngs=rngs)
    return (Recurrent if network == "lstm" else Network)(shape[-1], num_classes, rngs=rngs)


def loss_of(model: Any, inputs: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean loss, and logits."""
    logits = model(inputs)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


@nnx.jit
def train_step(model: Any, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, inputs: Any, labels: Any) -> None:
    """One batch."""
    (loss, logits), gradients = nnx.value_and_grad(loss_of, has_aux=True)(model, inputs, labels)
    metrics.update(loss=loss, logits=logits, labels=labels)
    optimizer.update(model, gradients)


@nnx.jit
def eval_step(model: Any, metrics: nnx.MultiMetric, inputs: Any, labels: Any) -> None:
    """The test set."""
    loss, logits = loss_of(model, inputs, labels)
    metrics.update(loss=loss, logits=logits, labels=labels)


def one(work: Work, data: Data) -> Callable[[], Finished]:
    """The few runs, one after the other; the learning rate is an argument of the step, so that nothing recompiles."""

    def run():
        accuracies = [(rate, train(work, data, seed, rate)) for seed, rate in work.few]
        return Finished(accuracies, steps(work, data))

    return run


@optax.inject_hyperparams
def clipped_descent(learning_rate: Any) -> optax.GradientTransformation:
    """The optimizer, its learning rate a part of its state."""
    return optax.chain(optax.clip_by_global_norm(LARGEST_NORM), optax.sgd(learning_rate, MOMENTUM))


def train(work: Work, data: Data, seed: int, rate: float) -> float:
    """One run; its final test accuracy."""
    model = build(work.network, data.inputs.shape[1:], int(data.labels.max()) + 1, seed)
    optimizer = nnx.Optimizer(model, clipped_descent(learning_rate=rate), wrt=nnx.Param)
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
    random, accuracy = np.random.default_rng(seed), 0.0
    for _ in range(work.num_epochs):
        model.train()
        order = random.permutation(len(data.inputs))
        for rows in order.reshape(-1, work.batch_size):
            train_step(model, optimizer, metrics, data.inputs[rows], data.labels[rows])
        metrics.reset()
        model.eval()
        eval_step(model, metrics, data.test_inputs, data.test_labels)
        accuracy = float(metrics.compute()["accuracy"])
        metrics.reset()
    return accuracy


SIDES: dict[str, Side] = {"one": one, "start": one}
