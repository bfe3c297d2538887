"""How well `dl.plan` foretells a study: each is planned in one process and run in another, neither of which knows it.

Nothing is compiled before, and nothing is kept on disk. Plans and runs take turns, as sides of a comparison do.
"""

import atexit
import functools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import dlcore as dl
from benchmarks.measurements import Numbers
from benchmarks.timing import Part
from dlcore.engine.planning.capacity import peak_bytes

NETWORK_EPOCHS = 30


def networks() -> tuple[Any, dict[str, Any]]:
    """128 small networks in one program."""
    task = dl.tasks.classification(dl.models.mlp([64, 128, 10]), dl.data.digits())

    def fit(seed, learning_rate):
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate, momentum=0.9))
        key = jax.random.key(seed)
        return dl.training(key, task, optimizer, batch_size=64, num_epochs=NETWORK_EPOCHS, evaluate=("test",))

    return dl.study(fit, seed=np.arange(8), learning_rate=np.logspace(-3, 0, 16)), {}


def programs() -> tuple[Any, dict[str, Any]]:
    """Six programs: three widths by two batch sizes, of different length each."""
    digits = dl.data.digits()

    def fit(seed, width, batch_size):
        task = dl.tasks.classification(dl.models.mlp([64, width, 10]), digits)
        return dl.training(jax.random.key(seed), task, optax.adam(1e-3), batch_size=batch_size, num_epochs=20)

    return dl.study(fit, seed=np.arange(16), width=[32, 128, 256], batch_size=[16, 128]), {"along": "epoch"}


def convolution() -> tuple[Any, dict[str, Any]]:
    """Four LeNets on images."""
    task = dl.tasks.classification(dl.models.lenet(), _images((28, 28, 1), 2000))

    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.05), batch_size=64, num_epochs=10)

    return dl.study(fit, seed=np.arange(4)), {}


def recurrence() -> tuple[Any, dict[str, Any]]:
    """Eight LSTMs on sequences of 32 steps."""
    inputs = np.random.default_rng(0).normal(size=(512, 32, 8)).astype(np.float32)
    data = dl.data.Dataset(dl.data.Split(inputs, inputs.mean((1, 2))), name="noise")
    task = dl.tasks.regression(dl.models.recurrent(8, 64, 1), data)

    def fit(seed, learning_rate):
        return dl.training(jax.random.key(seed), task, optax.adam(learning_rate), batch_size=32, num_epochs=15)

    return dl.study(fit, seed=np.arange(4), learning_rate=np.array([1e-3, 1e-2])), {}


def single_samples() -> tuple[Any, dict[str, Any]]:
    """Single-sample SGD: very many very short steps."""
    data = dl.data.breast_cancer(test=0.0)
    task = dl.tasks.classification(dl.models.linear(30), data, penalty=dl.tasks.l2(1e-2))

    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.01), batch_size=1, num_epochs=2000)

    return dl.study(fit, seed=np.arange(64)), {}


def long_epochs() -> tuple[Any, dict[str, Any]]:
    """Records that take seconds each: a network on 20 000 images."""
    task = dl.tasks.classification(dl.models.mlp([784, 256, 10]), _images((784,), 20_000))

    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=64, num_epochs=6)

    return dl.study(fit, seed=np.arange(4)), {}


def large_results() -> tuple[Any, dict[str, Any]]:
    """All weights at every record: results of 300 MB."""
    task = dl.tasks.classification(dl.models.mlp([64, 32, 10]), dl.data.digits())
    observe = {"weights": lambda seen: seen.state.params}

    def fit(seed):
        return dl.training(
            jax.random.key(seed), task, optax.sgd(0.1), batch_size=64, num_steps=1000, record_every=5, observe=observe
        )

    return dl.study(fit, seed=np.arange(150)), {}


def half_stored() -> tuple[Any, dict[str, Any]]:
    """128 small networks in a store that has half of them: what is missing, and what lies on the disk."""
    study, _ = networks()
    folder = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    dl.sweep(study.fn, seed=np.arange(4), learning_rate=np.logspace(-3, 0, 16), store=folder / "half")
    return study, {"store": folder / "half"}


STUDIES = (networks, programs, convolution, recurrence, single_samples, long_epochs, large_results, half_stored)


def _images(shape: tuple[int, ...], count: int) -> dl.data.Dataset:
    random = np.random.default_rng(0)
    images, labels = random.random((count, *shape), np.float32), random.integers(0, 10, count).astype(np.int32)
    return dl.data.Dataset(dl.data.Split(images, labels), name="random")


def foretold(make: Callable[[], Any]) -> dict[str, float]:
    """What the plan of a study says."""
    study, options = make()
    began = time.perf_counter()
    plan = dl.plan(study, **options)
    seconds = plan.missing_seconds if "store" in options else plan.seconds
    assert seconds is not None
    return {
        "seconds": seconds,
        "compiling_s": plan.compiling_seconds or 0.0,
        "peak_mb": (plan.host_memory or 0) / 1e6,
        "results_mb": plan.records / 1e6,
        "planning_s": time.perf_counter() - began,
        "disk_mb": (plan.records_on_disk + plan.states_on_disk) / 1e6 if "store" in options else 0.0,
    }


def happened(make: Callable[[], Any]) -> dict[str, float]:
    """What the study then takes."""
    study, options = make()
    began = time.perf_counter()
    results = dl.sweep(study, **options)
    seconds = time.perf_counter() - began
    variables = sum(results[name].nbytes for name in results.data_vars)
    disk = sum(file.stat().st_size for folder in ("parts", "states") for file in _files(options.get("store"), folder))
    return {
        "seconds": seconds,
        "peak_mb": (peak_bytes() or 0) / 1e6,
        "results_mb": variables / 1e6,
        "disk_mb": disk / 1e6,
    }


def _files(store: pathlib.Path | None, folder: str) -> list[pathlib.Path]:
    return [] if store is None else list((store / folder).iterdir())


def _in_a_process(what: str, name: str) -> dict[str, float]:
    script = (
        "import json; import dlcore as dl; dl.setup(cache=False); from benchmarks import plan; "
        f"print(json.dumps(plan.{what}(plan.{name})))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _compared(make: Callable[[], Any], repeats: int) -> Numbers:
    sides: dict[str, list[dict[str, float]]] = {"foretold": [], "happened": []}
    for _ in range(repeats):
        for what, found in sides.items():
            found.append(_in_a_process(what, make.__name__))

    def each(what: str, name: str) -> np.ndarray:
        return np.array([found[name] for found in sides[what]])

    results: Numbers = {}
    names = ("seconds", "peak_mb", "results_mb") + ("disk_mb",) * bool(each("happened", "disk_mb").any())
    for name in names:
        results |= {f"{name}_{what}": each(what, name) for what in sides}
        results[f"{name}_ratio"] = each("foretold", name) / each("happened", name)
    return {
        **results,
        "compiling_s": each("foretold", "compiling_s"),
        "planning_s": each("foretold", "planning_s"),
    }


def _part(make: Callable[[], Any]) -> Part:
    part = functools.partial(_compared, make)
    part.__doc__ = make.__doc__
    return part


PARTS: dict[str, Part] = {make.__name__: _part(make) for make in STUDIES}
