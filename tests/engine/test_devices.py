"""One program per device: the same bits on any number of them, one copy of the data on each, and a quick end."""

import queue
import signal
import subprocess
import threading
import weakref
from concurrent.futures import CancelledError

import bits
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scripts import script_of

import dlcore as dl
from dlcore.engine import devices, executables
from dlcore.engine.devices import Constants, Executable
from dlcore.engine.threads import DaemonThreads

# Each line: model, optimizer, batch size. What differs between thread pools is in the first two: sums over 512 rows.
SAME_BITS = """
    import sys, warnings
    import jax, dlcore as dl
    warnings.simplefilter("ignore")  # one core of several, on purpose
    dl.setup(num_devices=int(sys.argv[1]), cache=False)
    assert jax.device_count() == int(sys.argv[1])
    import bits
    for name in sys.argv[2:]:
        print(bits.hashed(name))
"""


def hashes(num_devices: int, *cases: str) -> list[str]:
    """A line with name and hash for each case, computed on that many devices."""
    script = script_of(SAME_BITS, str(num_devices), *cases)
    done = subprocess.run(**script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases)
    return lines


def test_any_number_of_devices_gives_the_same_bits():
    """Catches programs partitioned over devices, and products split by however many threads there are."""
    cases = ("wide_adam", "batch_norm_adam")
    assert hashes(4, *cases) == [bits.hashed(name) for name in cases]  # two in this process; on one with `make verify`


@pytest.mark.heavy
def test_every_family_and_optimizer_has_the_same_bits():
    """The same for every family of models with Adam, and for muon, schedule-free and clipping."""
    one = hashes(1, *bits.CASES)
    assert hashes(2, *bits.CASES) == one
    assert hashes(4, *bits.CASES) == one


def lower(device, function=lambda values, x: (values[0] * x, x + 1)):
    """A small function lowered for one device."""
    placed = jax.ShapeDtypeStruct((3,), jnp.float32, sharding=jax.sharding.SingleDeviceSharding(device))
    return jax.jit(function).lower([placed], placed)


@pytest.fixture
def threads():
    """Threads that compile."""
    pool = DaemonThreads(1)
    yield pool
    pool.close()


def test_compiled_once_and_loaded_elsewhere(threads, monkeypatch):
    """Catches a program that is compiled for each device, or runs on another one than was asked for."""
    compiled = []
    original = jax.stages.Lowered.compile
    monkeypatch.setattr(
        jax.stages.Lowered, "compile", lambda self, *options: compiled.append(1) or original(self, *options)
    )
    devices.forget_programs()
    first, second = jax.devices()[:2]
    executable = Executable(lower, first, [np.full(3, 2, np.float32)], threads, Constants())
    for device in (first, second):
        product, after = executable.on(device)(jax.device_put(np.float32([1, 2, 3]), device))
        assert product.devices() == {device}
        np.testing.assert_array_equal(product, [2, 4, 6])
        np.testing.assert_array_equal(after, [2, 3, 4])
    assert len(compiled) == 1


def test_compiles_for_each_device_where_loading_fails(threads, monkeypatch):
    """Catches a fallback that does not work: what loads a program elsewhere is no public interface."""
    monkeypatch.delattr(executables._Reader, "persistent_load")
    monkeypatch.delattr(executables.serialize_executable._JaxPjrtUnpickler, "persistent_load")
    devices.forget_programs()
    first, second = jax.devices()[:2]
    executable = Executable(lower, first, [np.full(3, 3, np.float32)], threads, Constants())
    executable.on(first)
    product, _ = executable.on(second)(jax.device_put(np.float32([1, 2, 3]), second))
    assert product.devices() == {second}
    np.testing.assert_array_equal(product, [3, 6, 9])


CACHED = """
    import sys, warnings
    import jax, numpy as np, dlcore as dl
    warnings.simplefilter("ignore")
    dl.setup(num_devices=2, cache=sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    import small
    from dlcore.engine import executables, program
    executables.accepted({**program.LIGHT, **program.UNSPLIT, **program.ONCE})  # compiles nothing for each
    compiled, hits = [], []
    jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if "cache_hit" in event else None)
    original = jax.stages.Lowered.compile
    jax.stages.Lowered.compile = lambda self, *options: compiled.append(1) or original(self, *options)
    results = dl.sweep(small.fit, lane_width=2, seed=np.arange(8))
    print(len(compiled), len(hits) > 0, results.train_loss.values.tobytes().hex())
"""


@pytest.mark.job
def test_a_cache_on_disk_serves_all_devices(tmp_path):
    """Catches code that JAX's cache has lost, which fails on the second device, and compiling for each device."""

    def lines():
        done = subprocess.run(**script_of(CACHED, str(tmp_path)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    first, again = lines(), lines()
    assert again[2] == first[2]
    assert (first[0], again[0], again[1]) == ("2", "2", "True")  # two programs, once each
    for file in tmp_path.rglob("dlcore-*"):
        file.write_bytes(file.read_bytes()[:-5])
    damaged = lines()
    assert damaged[2] == first[2]
    assert damaged[0] == "4"  # for each device


def test_a_program_that_another_study_gave_up(threads):
    """Catches a study that fails because another one, which shares a program with it, was ended while it compiled."""
    devices.forget_programs()
    other = DaemonThreads(0)  # compiles nothing
    given_up = Executable(lower, jax.devices()[0], [np.full(3, 4, np.float32)], other, Constants())
    executable = Executable(lower, jax.devices()[0], [np.full(3, 4, np.float32)], threads, Constants())
    given_up.begin()
    executable.begin()
    other.close()
    product, _ = executable.on(jax.devices()[0])(np.float32([1, 2, 3]))
    np.testing.assert_array_equal(product, [4, 8, 12])
    with pytest.raises(CancelledError):
        given_up.on(jax.devices()[0])


def test_equal_arrays_are_one():
    """Catches a copy of the data for each program that closes over them; -0.0 and 0.0 are not the same bits."""
    constants = Constants()
    data = np.arange(100_000.0)
    assert constants.shared(data) is data
    assert constants.shared(data.copy()) is data
    assert constants.shared(data + 1) is not data
    zero = constants.shared(np.zeros(3))
    assert constants.shared(-np.zeros(3)) is not zero
    device = jax.devices()[1]
    placed = constants.placed(data, device)
    assert constants.placed(data, device) is placed
    assert placed.devices() == {device}


@pytest.mark.parametrize("stored", [False, True])
def test_programs_that_follow_each_other_find_the_data_there(monkeypatch, tmp_path, stored):
    """Catches data that are dropped when a program ends, and copied again for the next."""
    data, put, puts = np.arange(12_345.0, dtype=np.float32), devices.put, []
    monkeypatch.setattr(devices, "put", lambda value, place: puts.append((id(value), place)) or put(value, place))

    def fit(seed, power):
        def advance(x):
            return x + jnp.asarray(data)[seed] ** power, {"x": x}

        return dl.Training(lambda: jnp.zeros(()), advance, 1)

    options = {"store": tmp_path / "store"} if stored else {}
    dl.sweep(fit, seed=np.arange(8), power=[1, 2, 3, 4], lane_width=2, **options)
    assert len(puts) == len(set(puts)) <= jax.local_device_count()


def test_what_only_an_earlier_program_needs_makes_room():
    """Catches the data of all programs on a device at once, and data that the next one needs dropped between two."""
    constants, device = Constants(), jax.devices()[0]
    first, second, shared = (constants.shared(np.full(5_000, value)) for value in range(3))
    constants.keep([first, shared], device)
    there = constants.placed(shared, device)
    gone = weakref.ref(constants.placed(first, device))
    constants.keep([shared, second], device)
    assert constants.placed(shared, device) is there
    assert gone() is None


def test_arguments_of_other_types_get_programs_of_their_own():
    """Catches programs kept by their text alone: an argument that is not used in it leaves no trace there."""

    def fit(weight_decay):
        x = jnp.ones(2)
        return dl.Training(lambda: x, lambda x: (x - 0.1 * weight_decay * x, {"x": x[0]}), 1)

    whole = dl.sweep(fit, weight_decay=np.array([0.0, 1.0])).x.values
    np.testing.assert_array_equal(dl.sweep(fit, weight_decay=np.array([0, 1])).x.values, whole)
    np.testing.assert_array_equal(dl.sweep(fit, weight_decay=np.array([False, True])).x.values, whole)


def test_keys_in_any_state():
    """Catches sizes and types taken of a random key as of a number: optimizers and models keep keys."""
    import small

    def fit(seed):
        optimizer = optax.noisy_sgd(0.1, key=jax.random.key(1))
        return dl.training(jax.random.key(seed), small.CLASSIFICATION, optimizer, batch_size=6, num_epochs=1)

    assert np.isfinite(dl.sweep(fit, seed=np.arange(2)).train_loss).all()

    def init(key):
        return {"w": jnp.ones(4)}, {"key": key}

    def apply(params, state, x, *, key=None, train=False):
        noise = jax.random.normal(state["key"], x.shape[:1])
        return ((x @ params["w"]) + noise)[:, None] * jnp.ones((1, 3)), {"key": jax.random.fold_in(state["key"], 1)}

    model = dl.Model(init, apply)
    task = dl.tasks.classification(model, small.labeled_points())

    def noisy(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=6, num_epochs=1)

    results = dl.sweep(noisy, seed=np.arange(2), final_params=True)
    params, state = dl.final_params(results, model, seed=1)
    assert jnp.issubdtype(state["key"].dtype, jax.dtypes.prng_key)
    assert params["w"].shape == (4,)


PEAK = """
    import resource, sys, warnings
    import jax, jax.numpy as jnp, numpy as np, optax, dlcore as dl
    warnings.simplefilter("ignore")
    dl.setup(num_devices=2, cache=False)
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
"""

LARGE_DATA = """
    x = np.ones((50_000, 1000), np.float32)
    data = dl.data.Dataset((x, x[:, 0]))
    del x
    task = dl.tasks.regression(dl.models.linear(1000), data)
    def fit(seed, momentum):
        options = {"batch_size": 10, "num_steps": 2, "record_every": 1, "evaluate": ()}
        return dl.training(jax.random.key(seed), task, optax.sgd(1e-6, momentum=momentum), **options)
    before = peak()
    dl.sweep(fit, seed=np.arange(8), momentum=[0.1, 0.2, 0.3, 0.4])
    print(peak() - before)
"""

LARGE_RECORDS = """
    def fit(seed):
        return dl.Training(lambda: jnp.float32(seed), lambda s: (s + 1, {"outputs": jnp.ones((5_000_000,)) * s}), 4)
    dl.sweep(fit, seed=np.arange(2), lane_width=1)
    before = peak()
    results = dl.sweep(fit, seed=np.arange(2))
    assert results.nbytes > 160e6
    print(peak() - before)
"""


@pytest.mark.parametrize(
    ("script", "most"),
    [(LARGE_DATA, 190), (LARGE_RECORDS, 200)],  # megabytes; the data set has 200, the records 160
    ids=["data", "records"],
)
@pytest.mark.job
def test_memory(script, most):
    """Catches a copy of the data a program and device, and lanes that do not look at the size of a record."""
    done = subprocess.run(**script_of(PEAK + script), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < most


INTERRUPTED = """
    import os, signal, sys, threading, time, warnings
    import jax, jax.numpy as jnp, numpy as np, optax, dlcore as dl
    warnings.simplefilter("ignore")
    dl.setup(num_devices=2, cache=False)
    import small
    from dlcore.engine import results

    def announce(*_):
        print("now", flush=True)
"""

COMPILING = """
    def init(key):
        return {"w": jax.random.normal(key, (4, 8, 8))}, {}
    def apply(params, state, x, *, key=None, train=False):
        for i in range(150):
            x = jnp.tanh(x @ params["w"][i % 4] + jnp.sin(x * i))
        return x[:, :1], state
    x = np.ones((16, 8), np.float32)
    task = dl.tasks.regression(dl.Model(init, apply), dl.data.Dataset((x, x[:, 0])))
    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.01), batch_size=8, num_steps=2, record_every=1)
    from dlcore.engine import threads
    finish = threads.Workers.finish
    threads.Workers.finish = lambda self: announce() or finish(self)
    dl.sweep(fit, seed=np.arange(4))
    print("finished", flush=True)
"""

COMPUTING = """
    put = results.Table.put
    def announced(self, rows):
        put(self, rows)
        if rows.begin > 3:
            announce()
            time.sleep(0.1)
    results.Table.put = announced
    dl.sweep(small.fit, lane_width=4, seed=np.arange(64), num_epochs=[2_000_000])
    print("finished", flush=True)
"""


@pytest.mark.parametrize(
    "script", [pytest.param(COMPILING, id="compiling", marks=pytest.mark.job), pytest.param(COMPUTING, id="computing")]
)
def test_an_interrupt_ends_a_study(script):
    """Catches a swallowed KeyboardInterrupt, threads that keep the process alive or abort it, a wait for XLA."""
    process = subprocess.Popen(
        **script_of(INTERRUPTED + script), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)  # 2 on an idle machine; the study would take hours
    finally:
        process.kill()
    assert process.returncode in (-signal.SIGINT, 130)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "finished" not in out


def test_an_interrupt_keeps_what_was_computed(monkeypatch):
    """Catches finished cells that are lost, and unfinished ones whose memory looks like results."""
    import small

    from dlcore.engine import results as results_module

    put, calls = results_module.Table.put, []

    def interrupted(self, rows):
        put(self, rows)
        calls.append(rows)
        if len(calls) == 6:  # the first block has 4 segments at most
            raise KeyboardInterrupt

    monkeypatch.setattr(results_module.Table, "put", interrupted)
    whole_kwargs = {"lane_width": 2, "seed": np.arange(12), "learning_rate": np.array([0.1])}
    with pytest.raises(KeyboardInterrupt) as caught:
        dl.sweep(small.fit, **whole_kwargs, final_params=True)
    monkeypatch.undo()
    whole = dl.sweep(small.fit, **whole_kwargs, final_params=True)
    partial = caught.value.results  # pyright: ignore
    assert partial.finished.dims == ("seed", "learning_rate")
    finished = partial.finished.values[:, 0]
    assert 0 < finished.sum() < 12
    kept = {"seed": np.flatnonzero(finished)}
    for name in ("train_loss", "finite", "params.layers.0.kernel"):
        np.testing.assert_array_equal(partial[name].isel(kept), whole[name].isel(kept))
        assert partial[name].isel(seed=~finished).isnull().any()
    known = partial.train_loss.notnull().values
    np.testing.assert_array_equal(partial.train_loss.values[known], whole.train_loss.values[known])


def test_an_interrupt_before_anything_was_computed():
    """Catches an interrupt without `results`: who handles it would fail in its place."""

    def fit(seed):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        dl.sweep(fit, seed=np.arange(3))
    assert caught.value.results.finished.values.tolist() == [False] * 3  # pyright: ignore


def test_closing_does_not_wait_for_a_task_that_a_thread_has_taken():
    class TakenMeanwhile(queue.SimpleQueue):
        def empty(self):
            return False

    threads = DaemonThreads(0)
    threads._tasks = TakenMeanwhile()
    closing = threading.Thread(target=threads.close, daemon=True)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
