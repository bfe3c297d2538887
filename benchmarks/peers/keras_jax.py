"""The work by Keras 3 on JAX: `compile` and `fit`, of a new model for each run, and of one that is used again."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"

import keras

from benchmarks.peers.work import LARGEST_NORM, MOMENTUM, Data, Finished, Side, Work, steps

layers: Any = keras.layers


def build(network: str, shape: tuple[int, ...], num_classes: int) -> Any:
    """The network."""
    if network == "lstm":
        hidden = [layers.LSTM(256)]
    elif network == "cnn":
        blocks = [
            [layers.Conv2D(count, 3, padding="same", activation="relu"), layers.MaxPooling2D()] for count in (32, 64)
        ]
        hidden = [*blocks[0], *blocks[1], layers.Flatten(), layers.Dense(128, activation="relu")]
    else:
        hidden = [layers.Dense(128, activation="relu", kernel_initializer="lecun_normal")]
    last = layers.Dense(num_classes, kernel_initializer="lecun_normal")
    return keras.Sequential([keras.Input(shape), *hidden, last])


def compiled(work: Work, data: Data, rate: float) -> Any:
    """The network, ready to be fitted."""
    model = build(work.network, data.inputs.shape[1:], int(data.labels.max()) + 1)
    optimizer: Any = keras.optimizers.SGD
    model.compile(
        optimizer=optimizer(learning_rate=rate, momentum=MOMENTUM, global_clipnorm=LARGEST_NORM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def fit(work: Work, data: Data, model: Any) -> float:
    """One run; its final test accuracy."""
    options: dict[str, Any] = {"batch_size": work.batch_size, "epochs": work.num_epochs, "verbose": 0}
    options |= {"validation_data": (data.test_inputs, data.test_labels), "validation_batch_size": len(data.test_labels)}
    return float(model.fit(data.inputs, data.labels, **options).history["val_accuracy"][-1])


def one(work: Work, data: Data) -> Callable[[], Finished]:
    """The few runs, one after the other, a new model for each: Keras traces and compiles it each time."""

    def run():
        accuracies = []
        for seed, rate in work.few:
            keras.utils.set_random_seed(seed)
            accuracies.append((rate, fit(work, data, compiled(work, data, rate))))
        return Finished(accuracies, steps(work, data))

    return run


def reused(work: Work, data: Data) -> Callable[[], Finished]:
    """The same with one model, compiled once: its weights, its optimizer and the learning rate are set for each run."""
    model = compiled(work, data, work.few[0][1])
    starts = {}
    for seed, _ in work.few:
        keras.utils.set_random_seed(seed)
        starts[seed] = build(work.network, data.inputs.shape[1:], int(data.labels.max()) + 1).get_weights()

    def run():
        accuracies = []
        for seed, rate in work.few:
            keras.utils.set_random_seed(seed)
            model.set_weights(starts[seed])
            for variable in model.optimizer.variables:
                variable.assign(np.zeros(variable.shape, variable.dtype))
            model.optimizer.learning_rate = rate
            accuracies.append((rate, fit(work, data, model)))
        return Finished(accuracies, steps(work, data))

    return run


SIDES: dict[str, Side] = {"one": one, "start": one, "reused": reused}
