"""An accelerator: lanes, command buffers, unrolled steps, precision, and whether the bits come again.

XLA reads its flags when a process starts, so each variant runs in a process of its own, one after the other. On a
machine without an accelerator the same parts run on the CPU.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

import jax
import numpy as np
import optax

import dlcore as dl
from benchmarks.timing import Part
from dlcore.core import descent
from dlcore.engine.devices import forget_programs

NUM_RUNS, EPOCHS = {"cpu": 64, "gpu": 4096}, 3
WIDTHS = {"cpu": (1, 4, 16, 64), "gpu": (64, 256, 512, 1024, 2048, 4096)}
LANES = {"cpu": 4, "gpu": 256}  # where the number of lanes is not what is varied
UNROLLS = (1, 4, 8)
COMMAND_BUFFERS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN"
FLAGS: Mapping[str, str] = {
    "default": "",
    "none": "--xla_gpu_enable_command_buffer=",
    "without_while": f"--xla_gpu_enable_command_buffer={COMMAND_BUFFERS}",
    "with_while": f"--xla_gpu_enable_command_buffer={COMMAND_BUFFERS},WHILE",
}
TRIALS = "--xla_gpu_autotune_level=4"  # XLA's default


def lanes(repeats: int) -> dict[str, float]:
    """Milliseconds a run of a 64-128-10 network, 3 epochs, by runs side by side."""
    there = _platform()
    results = {}
    for width in WIDTHS[there]:
        results[f"lanes_{width}_ms"] = _child({"lanes": width, "repeats": repeats})["ms"]
    return results


def command_buffers(repeats: int) -> dict[str, float]:
    """Milliseconds a run, and microseconds a step of single-sample SGD, by what XLA may put into CUDA graphs."""
    flags = FLAGS if _platform() == "gpu" else {"default": ""}
    found = {name: _child({"repeats": repeats, "single": True}, flag) for name, flag in flags.items()}
    return {f"{name}_{what}": value[what] for name, value in found.items() for what in ("ms", "us_of_single")}


def unrolled_steps(repeats: int) -> dict[str, float]:
    """Milliseconds a run, and microseconds a step of single-sample SGD, by steps in a pass of the loop."""
    found = {unroll: _child({"repeats": repeats, "single": True, "unroll": unroll}) for unroll in UNROLLS}
    return {
        f"unroll_{unroll}_{what}": value[what] for unroll, value in found.items() for what in ("ms", "us_of_single")
    }


def precision(repeats: int) -> dict[str, float]:
    """Milliseconds a run with products in the default precision and in float32; distance of the losses to a CPU's."""
    sides = {name: _child({"repeats": repeats, "precision": name}) for name in ("default", "highest")}
    cpu = np.asarray(_child({"repeats": 0, "lanes": 4, "runs": 4}, platform="cpu")["first_losses"])
    results = {f"{name}_ms": side["ms"] for name, side in sides.items()}
    for name, side in sides.items():
        distance = np.abs(np.asarray(side["first_losses"]) / cpu - 1)
        results[f"{name}_from_cpu_first_epoch"] = float(distance[:, 1].max())
        results[f"{name}_from_cpu_last_epoch"] = float(distance[:, -1].max())
    return results


def same_bits(repeats: int) -> dict[str, float]:
    """Whether a study has the same bits (1 or 0) compiled anew, in another process, from a cache, and with flags."""
    with tempfile.TemporaryDirectory() as cache:
        cached = [_child({"repeats": 0, "cache": cache})["bits"] for _ in range(2)]
    pairs = {name: [_child({"repeats": repeats, "anew": True}, flag) for _ in range(2)] for name, flag in _tuning()}
    results = {"another_process_with_cache": float(cached[0] == cached[1])}
    for name, pair in pairs.items():
        results[f"{name}_called_again"] = float(all(each["again"] == each["bits"] for each in pair))
        results[f"{name}_compiled_anew"] = float(all(each["anew"] == each["bits"] for each in pair))
        results[f"{name}_another_process"] = float(pair[0]["bits"] == pair[1]["bits"])
        results[f"{name}_ms"] = min(each["ms"] for each in pair)
    return results


def _tuning() -> list[tuple[str, str]]:
    """Which kernels XLA may take: those that were fastest in a trial as it compiles, or always the same."""
    if _platform() == "cpu":
        return [("default", "")]
    return [
        ("default", TRIALS),
        ("untried", "--xla_gpu_autotune_level=0"),
        ("deterministic", f"{TRIALS} --xla_gpu_deterministic_ops=true"),
    ]


def _platform() -> str:
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def _child(request: Mapping[str, Any], flags: str = "", platform: str | None = None) -> dict[str, Any]:
    """What `answer` measures in a process with these flags of XLA."""
    environment = {**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()}
    environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # the parent process has its share of the memory
    if platform:
        environment["JAX_PLATFORMS"] = platform
    command = [sys.executable, "-c", "from benchmarks import accelerators; accelerators.answer()", json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{request} with {flags or 'no flags'} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def answer() -> None:
    """The work of a child: measures what the request on its command line says, and prints it as JSON."""
    request = {"repeats": 1, "unroll": None, "precision": "default", "cache": False, **json.loads(sys.argv[1])}
    dl.setup(cache=request["cache"])
    if request["precision"] != "default":
        jax.config.update("jax_default_matmul_precision", request["precision"])
    there = _platform()
    num_runs, width = request.get("runs", NUM_RUNS[there]), request.get("lanes", LANES[there])
    unrolled = dict.fromkeys(descent.UNROLL, request["unroll"]) if request["unroll"] else {}
    with mock.patch.dict(descent.UNROLL, unrolled):
        runs, seconds = _timed(lambda: _network_study(num_runs, width), request["repeats"])
        results = {"ms": 1e3 * seconds / num_runs, "bits": _bits(runs), "again": _bits(_network_study(num_runs, width))}
        results["first_losses"] = runs.train_loss.values[:4].tolist()
        if request.get("anew"):
            forget_programs()
            jax.clear_caches()
            results["anew"] = _bits(_network_study(num_runs, width))
        if request.get("single"):
            steps, seconds = _timed(_single_study, request["repeats"])
            results["us_of_single"] = 1e6 * seconds / steps
    print(json.dumps(results))


def _timed(call: Any, repeats: int) -> tuple[Any, float]:
    """The result of a first call, and the median seconds of later ones."""
    result, seconds = call(), []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return result, float(np.median(seconds)) if seconds else 0.0


def _network_study(num_runs: int, width: int) -> Any:
    task = dl.tasks.classification(dl.models.mlp([64, 128, 10]), dl.data.digits())

    def fit(seed):
        return dl.training(
            jax.random.key(seed),
            task,
            optax.sgd(0.1, momentum=0.9),
            batch_size=64,
            num_epochs=EPOCHS,
            evaluate=("train",),
        )

    return dl.sweep(fit, seed=np.arange(num_runs), lane_width=width)


def _single_study() -> int:
    """Single-sample SGD; the number of its steps."""
    data = dl.data.breast_cancer(test=0.0)
    task = dl.tasks.classification(dl.models.linear(30), data)
    fit = dl.training(jax.random.key(0), task, optax.sgd(0.01), batch_size=1, num_epochs=100, evaluate=())
    dl.run(fit)
    return 100 * data.train.num_rows


def _bits(runs: Any) -> str:
    return hashlib.sha256(runs.train_loss.values.tobytes()).hexdigest()


PARTS: dict[str, Part] = {
    function.__name__: function for function in (lanes, command_buffers, unrolled_steps, precision, same_bits)
}
