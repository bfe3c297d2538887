"""What grows with a study: seconds and memory of a run, copies of the data, memory of a large data set.

Memory is that of processes of their own, at its peak.
"""

import itertools
import json
import pathlib
import statistics
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
from benchmarks.timing import Part

SIZES = (128, 512, 2048, 10_000)
PROGRAMS = (1, 4, 16)
MEGABYTES = 64  # of the data whose copies are counted
ROWS, COLUMNS = 250_000, 1000  # 1 GB of float32


def small_study() -> Callable[..., Any]:
    """`sweep(n, **options)`: n runs of a 64-16-10 network, one epoch of digits."""
    task = dl.tasks.classification(dl.models.mlp([64, 16, 10]), dl.data.digits())

    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=64, num_epochs=1, evaluate=("test",))

    return lambda count, **options: dl.sweep(fit, seed=np.arange(count), **options)


def cells(repeats: int) -> dict[str, float]:
    """Milliseconds of a run in studies of 128 to 10 000, of the whole call; and of a further run, from size to size."""
    return _by_size(small_study(), repeats)


def cells_stored(repeats: int) -> dict[str, float]:
    """The same with a store, each time in a new folder."""
    study = small_study()
    with tempfile.TemporaryDirectory() as folder:

        def stored(count):
            return study(count, store=tempfile.mkdtemp(dir=folder) + "/store")

        found = _by_size(stored, repeats)
        parts = list(pathlib.Path(folder).glob("*/store/parts/*"))
        return found | {"runs_per_part": (repeats + 1) * sum(SIZES) / len(parts)}


def _by_size(study: Callable[[int], Any], repeats: int) -> dict[str, float]:
    """Sizes take turns; wall seconds vary with what else the machine does, seconds of its processors less.

    Every call traces and lowers, some tenths of a second; a further run is what a larger study costs more.
    """
    walls: dict[int, list[float]] = {size: [] for size in SIZES}
    processors: dict[int, list[float]] = {size: [] for size in SIZES}
    for repeat in range(repeats + 1):
        for size in SIZES:
            wall, processor = time.perf_counter(), time.process_time()
            study(size)
            if repeat:
                walls[size].append(time.perf_counter() - wall)
                processors[size].append(time.process_time() - processor)
    found: dict[str, float] = {}
    for kind, seconds in (("ms", walls), ("cpu_ms", processors)):
        medians = {size: statistics.median(each) for size, each in seconds.items()}
        found |= {f"{size}_{kind}": 1e3 * medians[size] / size for size in SIZES}
        further = {
            size: 1e3 * (medians[size] - medians[before]) / (size - before)
            for before, size in itertools.pairwise(SIZES)
        }
        found |= {f"{size}_{kind}_further": value for size, value in further.items()}
        found[f"{SIZES[-1]}_over_{SIZES[0]}_{kind}"] = found[f"{SIZES[-1]}_{kind}"] / found[f"{SIZES[0]}_{kind}"]
        found[f"{SIZES[-1]}_over_{SIZES[-2]}_{kind}_further"] = further[SIZES[-1]] / further[SIZES[-2]]
    return found


START = """
import json, sys
import jax, numpy as np, optax, dlcore as dl
from benchmarks import scale
from dlcore.engine import devices
from dlcore.engine.planning.capacity import peak_bytes
dl.setup(cache=False)
"""

MEMORY = """
runs = scale.small_study()({count})
print(json.dumps({{"mb": peak_bytes() / 1e6, "results_mb": runs.nbytes / 1e6}}))
"""


def memory(repeats: int) -> dict[str, float]:
    """Peak megabytes of a process that sweeps 128 to 10 000 cells, and of their results."""
    found: dict[str, float] = {}
    for size in SIZES:
        told = _told(MEMORY.format(count=size))
        found |= {f"{size}_mb": told["mb"], f"{size}_results_mb": told["results_mb"]}
    return found


COPIES = """
inputs = np.random.default_rng(0).random(({rows}, 1024), np.float32)
data = dl.data.Dataset((inputs, np.arange({rows}) % 10))
del inputs
task = dl.tasks.classification(dl.models.mlp([1024, 4, 10]), data)
size, put, puts, live = data.train.inputs.nbytes, devices.put, [], []
def counted(value, place):
    there = put(value, place)
    if getattr(value, "nbytes", 0) == size:
        puts.append(str(place))
        live.append(sum(array.nbytes == size for array in jax.live_arrays()))
    return there
devices.put = counted
def fit(seed, momentum):
    optimizer = optax.sgd(0.01, momentum=momentum)
    return dl.training(jax.random.key(seed), task, optimizer, batch_size=64, num_steps=1, evaluate=())
dl.sweep(fit, seed=np.arange(16), momentum=[i / 100 for i in range({programs})], lane_width=4)
print(json.dumps({{"mb": peak_bytes() / 1e6, "copies": len(puts) / jax.local_device_count(), "live": max(live),
                   "devices": jax.local_device_count()}}))
"""


def copies(repeats: int) -> dict[str, float]:
    """Copies of 64 MB of data on each device in studies of 1, 4 and 16 programs, and megabytes of the process."""
    found: dict[str, float] = {}
    for programs in PROGRAMS:
        told = _told(COPIES.format(rows=MEGABYTES * 2**20 // 4096, programs=programs))
        found |= {
            f"{programs}_copies_per_device": told["copies"],
            f"{programs}_live_per_device": told["live"] / told["devices"],
            f"{programs}_mb": told["mb"],
        }
    return found


LARGE = """
import pathlib
def made():
    random, rows = np.random.default_rng(0), {rows}
    inputs = np.empty((rows, {columns}), np.float32)
    for begin in range(0, rows, 10_000):
        inputs[begin : begin + 10_000] = random.random(inputs[begin : begin + 10_000].shape, np.float32)
    return inputs, np.arange(rows) % 10
def written(folder):
    file = pathlib.Path(folder, "data.npz")
    inputs, targets = made()
    np.savez(file, inputs=inputs, targets=targets)
    return file
def study(data):
    task = dl.tasks.classification(dl.models.mlp([{columns}, 8, 10]), data)
    evaluate = ("test",) if data.test else ()
    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=64, num_steps=20, evaluate=evaluate)
    dl.sweep(fit, seed=np.arange(4))
"""

WAYS = {
    "nothing": "study(dl.data.Dataset((np.zeros((100, {columns}), np.float32), np.arange(100) % 10)))",
    "kept_by_the_caller": "arrays = made(); study(dl.data.from_arrays(*arrays, test=0.1))",
    "handed_over": "study(dl.data.from_arrays(*made(), test=0.1))",
    "standardized": "study(dl.data.standardize(dl.data.from_arrays(*made(), test=0.1)))",
    "from_npz": "study(dl.data.from_npz(sys.argv[1], test=0.1))",
    "streamed": "study(dl.data.stream_npz([sys.argv[1]], test=0.1))",
}


def gigabyte(repeats: int) -> dict[str, float]:
    """Peak megabytes of a process that trains on 1 GB of float32, by the way that the data take."""
    values = {"rows": ROWS, "columns": COLUMNS}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        script = LARGE.format(**values)
        file = _told(f"{script}\nprint(json.dumps(str(written({folder!r}))))")
        for way, line in WAYS.items():
            peak = "print(json.dumps(peak_bytes() / 1e6))"
            found[f"{way}_mb"] = _told(f"{script}\n{line.format(**values)}\n{peak}", file)
    return found


def _told(script: str, *arguments: str) -> Any:
    """What a script prints in the end, as JSON."""
    command = [sys.executable, "-c", START + script, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


FIRST = """
import json, sys, time
marks = [time.perf_counter()]
import jax, jax.numpy as jnp, optax
import dlcore as dl
marks.append(time.perf_counter())
dl.setup(cache=False)
digits = dl.data.digits()
task = dl.tasks.classification(dl.models.mlp([64, 128, 10]), digits)
marks.append(time.perf_counter())
def fit(seed, learning_rate):
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate, momentum=0.9))
    return dl.training(jax.random.key(seed), task, optimizer, batch_size=64, num_epochs=30)
runs = dl.sweep(fit, seed=jnp.arange(8), learning_rate=jnp.logspace(-3, 0, 16))
marks.append(time.perf_counter())
assert runs.test_accuracy.notnull().all()
print(json.dumps([after - before for before, after in zip(marks, marks[1:])]))
"""


def first_result(repeats: int) -> dict[str, float]:
    """Seconds of the ten lines of the README in a fresh process, nothing compiled before: import, data, study."""
    told = []
    for _ in range(repeats):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", FIRST], check=True, stdout=subprocess.PIPE, text=True)
        told.append((time.perf_counter() - began, *json.loads(done.stdout)))
    names = ("process_s", "import_s", "data_and_model_s", "sweep_s")
    return {name: statistics.median(each) for name, each in zip(names, zip(*told, strict=True), strict=True)}


PARTS: dict[str, Part] = {
    function.__name__: function for function in (cells, cells_stored, memory, copies, gigabyte, first_result)
}
