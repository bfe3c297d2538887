"""How fast: studies against hand-written JAX and scikit-learn, compile time, import.

Every comparison is made in one process, its sides taking turns; medians of several repeats after a warm-up.
"""

import functools
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dlcore as dl
from benchmarks.measurements import Numbers
from benchmarks.peers import raw_jax
from benchmarks.peers.work import Data, Work
from benchmarks.timing import Part, take_turns
from dlcore.core import evaluation
from dlcore.core.dataset import Split
from dlcore.core.order import permutation
from dlcore.engine.axes import study
from dlcore.engine.devices import Constants, forget_programs
from dlcore.engine.program import Program, build
from dlcore.engine.threads import DaemonThreads, Workers
from dlcore.engine.traced import trace
from dlcore.evidence import timing

EPOCHS, BATCH_SIZE, HIDDEN = 30, 64, 128
RATES, SEEDS = np.logspace(-3, 0, 16), np.arange(8)
LANE_WIDTH = 4
LOGISTIC_EPOCHS = 1000


def network_study(repeats: int) -> Numbers:
    """128 runs of a 64-128-10 network: dl.sweep, the same program by hand, scikit-learn's loop; milliseconds a run."""
    digits = dl.data.digits()
    fit = network_fit(digits)

    def study():
        return dl.sweep(fit, seed=SEEDS, learning_rate=RATES, lane_width=LANE_WIDTH)

    program, by_hand = compiled_study(fit, SEEDS, RATES, LANE_WIDTH), hand_written(digits)
    num_runs = len(SEEDS) * len(RATES)
    sklearn_run = functools.partial(sklearn_network, digits)
    sides = {"dlcore": study, "program": program, "by_hand": by_hand, "sklearn": sklearn_run}
    seconds = take_turns(sides, repeats)
    accuracy = {
        "dlcore": float(study().test_accuracy.isel(step=-1).mean()),
        "by_hand": float(by_hand()[:, -1].mean()),
    }
    assert abs(accuracy["dlcore"] - accuracy["by_hand"]) < 0.01, f"not the same program: {accuracy}"
    return {
        "dlcore_ms_per_run": 1e3 * seconds["dlcore"] / num_runs,
        "by_hand_ms_per_run": 1e3 * seconds["by_hand"] / num_runs,
        "sklearn_ms_per_run": 1e3 * seconds["sklearn"],
        "program_ms_per_run": 1e3 * seconds["program"] / num_runs,
        "program_over_by_hand": seconds["program"] / seconds["by_hand"],
        "dlcore_over_by_hand": seconds["dlcore"] / seconds["by_hand"],
        "sklearn_over_dlcore": seconds["sklearn"] / (seconds["dlcore"] / num_runs),
    }


def network_fit(digits: dl.data.Dataset) -> Callable[..., dl.Training]:
    """The runs of `network_study`, as a function of seed and learning rate."""
    task = dl.tasks.classification(dl.models.mlp([64, HIDDEN, 10]), digits)

    def fit(seed, learning_rate):
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate, momentum=0.9))
        key = jax.random.key(seed)
        return dl.training(key, task, optimizer, batch_size=BATCH_SIZE, num_epochs=EPOCHS, evaluate=("test",))

    return fit


def compiled_study(
    fit: Callable[..., dl.Training], seeds: np.ndarray, rates: np.ndarray, lane_width: int
) -> Callable[[], None]:
    """What `dl.sweep` does after tracing and compiling: the blocks of the study, handed to the devices."""
    cells = study(fit, seed=seeds, learning_rate=rates)
    program = _program(cells.training, cells.abstract_cell(), lane_width)
    padded = -(-cells.num_cells // program.num_lanes) * program.num_lanes
    rows = np.minimum(np.arange(padded), cells.num_cells - 1).reshape(-1, program.num_lanes)

    def run_block(device: jax.Device, block: np.ndarray) -> Iterator[None]:
        for _ in program.segments(device, {name: values[block] for name, values in cells.traced.items()}):
            yield

    def run():
        with Workers(jax.devices(), run_block) as workers:
            for block in rows:
                workers.submit(block)
            workers.finish()

    return run


def _program(
    make: Callable[..., dl.Training], cell: dict[str, jax.ShapeDtypeStruct], lane_width: int = LANE_WIDTH
) -> Program:
    """The compiled program of lanes, loaded on all devices."""
    constants, threads = Constants(), DaemonThreads(2)
    traced = trace(make, cell, constants)
    program = build(traced, lane_width=lane_width, place=jax.devices()[0], threads=threads, constants=constants)
    for device in jax.devices():
        program.start.on(device)
        program.advance.on(device)
    threads.close()
    return program


def hand_written(digits: dl.data.Dataset) -> Callable[[], jax.Array]:
    """The same study written out in JAX alone: lanes, devices, shuffling and all. Returns [128, epochs] accuracies."""
    assert digits.test is not None
    pairs = tuple(SEEDS.tolist()), tuple(RATES.tolist())
    work = Work("mlp", *pairs, (), batch_size=BATCH_SIZE, num_epochs=EPOCHS, margin=0.01)
    program = raw_jax.mapped(work, permutation)
    data = Data(*map(np.asarray, (*digits.train[:2], *digits.test[:2])))
    arguments = raw_jax.arguments(work.pairs, data)
    return lambda: jax.block_until_ready(program(*arguments))


def sklearn_network(digits: dl.data.Dataset) -> None:
    """One run of scikit-learn's network with the same sizes, without its evaluation."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    classifier: Any = MLPClassifier
    model = classifier(
        (HIDDEN,),
        solver="sgd",
        learning_rate_init=0.1,
        momentum=0.9,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=BATCH_SIZE,
        max_iter=EPOCHS,
        tol=0.0,
        n_iter_no_change=10**6,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(*digits.train[:2])


def single_sample_descent(repeats: int) -> Numbers:
    """Microseconds of a step of single-sample SGD on logistic regression: one run, 128 lanes, scikit-learn."""
    from sklearn.linear_model import SGDClassifier

    data = dl.data.breast_cancer(test=0.0)
    task = dl.tasks.classification(dl.models.linear(30), data, penalty=dl.tasks.l2(1e-2))
    num_steps = LOGISTIC_EPOCHS * len(data.train.inputs)

    def fit(seed):
        return dl.training(
            jax.random.key(seed), task, optax.sgd(0.01), batch_size=1, num_epochs=LOGISTIC_EPOCHS, evaluate=()
        )

    inputs, targets = data.train.inputs.astype(np.float64), data.train.targets
    classifier: Any = SGDClassifier
    model = classifier(
        loss="log_loss", alpha=1e-2, learning_rate="constant", eta0=0.01, max_iter=LOGISTIC_EPOCHS, tol=None
    )
    seconds = take_turns(
        {
            "sklearn": lambda: model.fit(inputs, targets),
            "lanes": lambda: dl.sweep(fit, seed=np.arange(128), lane_width=128 // jax.device_count()),
        },
        repeats,
    )
    one = 1e6 * timing.seconds_per_step([fit(0)], blocks=repeats)[:, 0]
    sklearn = 1e6 * seconds["sklearn"] / num_steps
    lanes = 1e6 * seconds["lanes"] / (num_steps * 128)
    return {
        "one_run_us": one,
        "sklearn_us": sklearn,
        "lanes_us_per_run": lanes,
        "sklearn_over_one_run": sklearn / one,
        "sklearn_over_lanes": sklearn / lanes,
    }


def compile_time(repeats: int) -> Numbers:
    """Seconds to trace and compile a network study over 1 000 and over 60 000 images of 784 floats."""

    def compiled(num_examples: int) -> Callable[[], None]:
        random = np.random.default_rng(0)
        data = dl.data.Dataset(
            Split(random.random((num_examples, 784), np.float32), random.integers(0, 10, num_examples)), name="random"
        )
        task = dl.tasks.classification(dl.models.mlp([784, HIDDEN, 10]), data)

        def build():
            forget_programs()
            training = dl.training(
                jax.random.key(0), task, optax.sgd(0.1), batch_size=64, num_steps=1, record_every=1, evaluate=()
            )
            _program(lambda cell: training, {})

        return build

    seconds = take_turns({"1000": compiled(1_000), "60000": compiled(60_000)}, repeats)
    return {
        "seconds_1000_examples": seconds["1000"],
        "seconds_60000_examples": seconds["60000"],
        "ratio": seconds["60000"] / seconds["1000"],
    }


def shuffles(repeats: int) -> Numbers:
    """Nanoseconds per index of a random order of 60 000, 8 lanes: the swap-or-not network and JAX's sort."""
    keys = jax.random.split(jax.random.key(0), 8)
    n = 60_000
    swap_or_not = jax.jit(jax.vmap(lambda key: permutation(key, n)))
    sort = jax.jit(jax.vmap(lambda key: jax.random.permutation(key, n)))
    sides = {
        "swap_or_not": lambda: jax.block_until_ready(swap_or_not(keys)),
        "sort": lambda: jax.block_until_ready(sort(keys)),
    }
    seconds = take_turns(sides, repeats)
    return {f"{name}_ns_per_index": 1e9 * value / (8 * n) for name, value in seconds.items()}


def lane_widths(repeats: int) -> Numbers:
    """Milliseconds a run of the 128-run network study by lane width."""
    task = dl.tasks.classification(dl.models.mlp([64, HIDDEN, 10]), dl.data.digits())

    def fit(seed, learning_rate):
        key = jax.random.key(seed)
        return dl.training(
            key, task, optax.sgd(learning_rate, momentum=0.9), batch_size=BATCH_SIZE, num_epochs=10, evaluate=()
        )

    sides = {
        str(width): functools.partial(dl.sweep, fit, seed=SEEDS, learning_rate=RATES, lane_width=width)
        for width in (1, 2, 4, 8, 16, 32)
    }
    return {f"width_{name}": 1e3 * value / 128 for name, value in take_turns(sides, repeats).items()}


def study_of_one(repeats: int) -> Numbers:
    """Seconds of dl.run and of dl.sweep over one run of the network, 30 epochs: programs compiled anew, and again."""
    task = dl.tasks.classification(dl.models.mlp([64, HIDDEN, 10]), dl.data.digits())

    def fit(seed):
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9))
        return dl.training(jax.random.key(seed), task, optimizer, batch_size=BATCH_SIZE, num_epochs=EPOCHS)

    def run():
        return dl.run(fit(0))

    def sweep():
        return dl.sweep(fit, seed=np.array([0]))

    def anew(function):
        def call():
            forget_programs()
            function()

        return call

    again = take_turns({"run": run, "sweep": sweep}, 2 * repeats)
    compiled = take_turns({"run": anew(run), "sweep": anew(sweep)}, repeats)
    return {
        "run_anew_s": compiled["run"],
        "sweep_anew_s": compiled["sweep"],
        "sweep_over_run_anew": compiled["sweep"] / compiled["run"],
        "run_again_s": again["run"],
        "sweep_again_s": again["sweep"],
        "sweep_over_run_again": again["sweep"] / again["run"],
    }


def import_time(repeats: int) -> Numbers:
    """Seconds of `import dlcore` in a fresh process, less those of starting Python."""

    def start(statement: str) -> None:
        subprocess.run([sys.executable, "-c", statement], check=True)

    seconds = take_turns({"dlcore": lambda: start("import dlcore"), "nothing": lambda: start("pass")}, repeats)
    return {"import_dlcore_s": seconds["dlcore"] - seconds["nothing"]}


def small_loops(repeats: int) -> Numbers:
    """Microseconds of a single-sample step without and with the XLA option that `dlcore.setup` sets."""
    script = (
        "import dlcore as dl; dl.setup(cache=False); from benchmarks import throughput; "
        f"print(float(throughput.np.median(throughput.single_sample_descent({repeats})['one_run_us'])))"
    )
    default = {"XLA_FLAGS": "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1024"}

    def measured(flags: Mapping[str, str]) -> float:
        environment = {**{k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}, **flags}
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env=environment)
        return float(done.stdout)

    return {"xla_default_us": measured(default), "dlcore_setup_us": measured({})}


def evaluation_in_pieces(repeats: int) -> Numbers:
    """Memory of eight LeNets that look at 60 000 images, and seconds for 5 000, by bytes that a piece may take."""
    gigabytes, sides = {}, {}
    for name, size in {"4_MB": 1 << 22, "16_MB": 1 << 24, "64_MB": 1 << 26, "whole": 1 << 62}.items():
        at_once = max(size, evaluation.BYTES_AT_ONCE)
        with mock.patch.multiple(evaluation, BYTES_OF_PIECE=size, BYTES_AT_ONCE=at_once):
            compiled, _, _ = _evaluations(60_000)
            gigabytes[f"{name}_GB"] = compiled.memory_analysis().temp_size_in_bytes / 1e9
            if name != "whole":
                compiled, *arguments = _evaluations(5_000)
                sides[f"{name}_s"] = functools.partial(_finished, compiled, *arguments)
    return gigabytes | take_turns(sides, repeats)


def _finished(function: Callable[..., Any], *arguments: Any) -> None:
    jax.block_until_ready(function(*arguments))


def _evaluations(num_images: int) -> tuple[Any, Any, np.ndarray]:
    """The compiled program of the record at step 0 for eight LeNets side by side, and its arguments."""
    images = np.random.default_rng(0).random((num_images, 28, 28, 1), np.float32)
    task = dl.tasks.classification(dl.models.lenet(), dl.data.Dataset(Split(images, np.arange(num_images) % 10)))

    def make(cell):
        return dl.training(jax.random.key(cell["seed"]), task, optax.sgd(0.1), batch_size=64, num_steps=1)

    start = trace(make, {"seed": jax.ShapeDtypeStruct((), np.int32)}, Constants()).start
    values, seeds = [jnp.asarray(value) for value in start.constants], np.arange(8, dtype=np.int32)

    def records(values, seeds):
        return jax.vmap(lambda seed: start.call(values, {"seed": seed})[1])(seeds)

    return jax.jit(records).lower(values, seeds).compile(), values, seeds


PARTS: dict[str, Part] = {
    function.__name__: function
    for function in (
        network_study,
        single_sample_descent,
        compile_time,
        shuffles,
        lane_widths,
        study_of_one,
        import_time,
        small_loops,
        evaluation_in_pieces,
    )
}
