"""The work by dlcore, as its README has it."""

import itertools
import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
import optax
import xarray as xr

import dlcore as dl
from benchmarks.peers import works
from benchmarks.peers.work import LARGEST_NORM, MOMENTUM, PENALTY, Data, Finished, Side, Work, steps


def training_of(work: Work, data: Data) -> Callable[..., dl.Training]:
    """The function of seed and learning rate that the studies map."""
    splits = dl.data.Dataset(
        dl.data.Split(data.inputs, data.labels), test=dl.data.Split(data.test_inputs, data.test_labels), name="peers"
    )
    num_classes = int(data.labels.max()) + 1
    if work.network == "logistic":
        task = dl.tasks.classification(dl.models.linear(data.inputs.shape[1]), splits, penalty=dl.tasks.l2(PENALTY))
    else:
        task = dl.tasks.classification(_model(work.network, data.inputs.shape[1:], num_classes), splits)

    def fit(seed, learning_rate):
        options: dict[str, Any] = {"batch_size": work.batch_size, "num_epochs": work.num_epochs, "evaluate": ("test",)}
        if work.network == "logistic":
            optimizer = optax.sgd(learning_rate)
            options |= {"evaluate": ("train",), "record_every": steps(work, data, max(1, work.num_epochs // 10))}
        else:
            sgd = optax.sgd(learning_rate, momentum=MOMENTUM)
            optimizer = optax.chain(optax.clip_by_global_norm(LARGEST_NORM), sgd)
        return dl.training(jax.random.key(seed), task, optimizer, **options)

    return fit


def _model(network: str, shape: tuple[int, ...], num_classes: int) -> dl.Model:
    if network == "mlp":
        return dl.models.mlp([*shape, 128, num_classes])
    if network == "cnn":
        return dl.models.convolutional(shape, [32, 64], num_classes, head=[128])
    return dl.models.recurrent(shape[1], 256, num_classes)


def _finished(work: Work, data: Data, runs: xr.Dataset) -> Finished:
    accuracy = runs["train_accuracy" if work.network == "logistic" else "test_accuracy"].isel(step=-1)
    if "learning_rate" not in accuracy.dims:
        return Finished([(work.few[0][1], float(accuracy))], steps(work, data))
    pairs = itertools.product(accuracy.learning_rate.values.tolist(), range(len(work.seeds)))
    table = accuracy.transpose("learning_rate", "seed").values.ravel().tolist()
    return Finished([(rate, value) for (rate, _), value in zip(pairs, table, strict=True)], steps(work, data))


def study(work: Work, data: Data) -> Callable[[], Finished]:
    """All runs, one call of `dl.sweep`; those of single samples all side by side, not in blocks of a few lanes."""
    dl.setup(cache=False)
    lane_width = len(work.pairs) // jax.device_count() if work.network == "logistic" else None
    fit = training_of(work, data)
    seeds, rates = np.asarray(work.seeds), np.asarray(work.rates)
    return lambda: _finished(work, data, dl.sweep(fit, seed=seeds, learning_rate=rates, lane_width=lane_width))


def one(work: Work, data: Data, cache: Literal[False] | None = False) -> Callable[[], Finished]:
    """The first of the few runs, one call of `dl.run`."""
    dl.setup(cache=cache)
    fit = training_of(work, data)
    return lambda: _finished(work, data, dl.run(fit(*work.few[0])))


def start(work: Work, data: Data) -> Callable[[], Finished]:
    """The same, with programs kept on disk as `dl.setup` does by default."""
    return one(work, data, cache=None)


def small_studies(work: Work, data: Data) -> Callable[[], Finished]:
    """Studies of 1, 2, 8 and 128 runs: the whole call, its CPU time, and only its compiled program."""
    dl.setup(cache=False)
    fit = training_of(work, data)
    studies = {}
    for count in works.STUDIES:
        seeds, rates = np.asarray(work.seeds[:count]), np.asarray(work.rates[: max(1, count // len(work.seeds))])
        studies[count] = seeds, rates, _program_alone(fit, seeds, rates)

    def run():
        seconds, runs = {}, None
        for count, (seeds, rates, program) in studies.items():
            began, cpu_began = time.perf_counter(), time.process_time()
            runs = dl.sweep(fit, seed=seeds, learning_rate=rates)
            seconds |= {f"{count}_call": time.perf_counter() - began, f"{count}_cpu": time.process_time() - cpu_began}
            seconds[f"{count}_program"] = _seconds(program)
        assert runs is not None
        return _finished(work, data, runs)._replace(seconds=seconds)

    return run


def repeated_calls(work: Work, data: Data) -> Callable[[], Finished]:
    """The study called again, called with learning rates that it never had, and its compiled program alone."""
    dl.setup(cache=False)
    fit = training_of(work, data)
    seeds, rates = np.asarray(work.seeds), np.asarray(work.rates)
    program, calls = _program_alone(fit, seeds, rates), itertools.count(1)

    def run():
        began = time.perf_counter()
        runs = dl.sweep(fit, seed=seeds, learning_rate=rates)
        seconds = {"same": time.perf_counter() - began, "program": _seconds(program)}
        others = rates * (1 + 1e-3 * next(calls))
        seconds["other"] = _seconds(lambda: dl.sweep(fit, seed=seeds, learning_rate=others))
        return _finished(work, data, runs)._replace(seconds=seconds)

    return run


def _program_alone(fit: Callable[..., dl.Training], seeds: np.ndarray, rates: np.ndarray) -> Callable[[], None]:
    """Compiled, with as many lanes as `dl.sweep` takes."""
    from benchmarks.throughput import compiled_study  # imports more than a first result should wait for

    lane_width = int(dl.sweep(fit, seed=seeds, learning_rate=rates).attrs["lane_width"])
    return compiled_study(fit, seeds, rates, lane_width)


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


SIDES: dict[str, Side] = {side.__name__: side for side in (study, one, start, small_studies, repeated_calls)}
