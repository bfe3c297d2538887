"""Studies whose blocks are computed by workers: the bits of one process, whoever dies, and nothing computed twice."""

import functools
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore.engine.distributed import spread as spreading
from dlcore.engine.durable import parts, session
from dlcore.engine.durable.folder import Store

cloudpickle.register_pickle_by_value(sys.modules[__name__])
SPAWN = multiprocessing.get_context("spawn")
TABLE = np.random.default_rng(0).normal(size=(4, 100_000)).astype(np.float32)
STARTS = np.arange(1.0, 6.0)


def falling(start, width=3, num_records=3, factor=2.0, table=TABLE):
    """How fast numbers fall."""

    def advance(x):
        return x / factor, {"x": jnp.sum(x * jnp.asarray(table)[0, :width])}

    return dl.Training(lambda: start * jnp.ones(width), advance, num_records=num_records)


class Rows:
    """Rows of a data set whose row 5 does something to its reader. folder: where a mark is left, that it was once."""

    fingerprint = "ones"

    def __init__(self, what, folder):
        self.what, self.folder = what, str(folder)

    def __len__(self):
        return 6

    def __getitem__(self, row):
        mark = os.path.join(self.folder, f"row-{row}")
        if row == 5 and self.what == "raise":
            raise KeyError("no such row")
        if self.what == "kill" and (row == 5 or (row == 3 and not os.path.exists(mark))):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.ones(2, np.float32)


def reading(first, source):
    """Runs that read one row."""
    rows = dl.data.Streamed(source)
    advance = lambda x: (x + 1, {"x": jnp.sum(rows.fetch(first[None]))})  # noqa: E731
    return dl.Training(lambda: jnp.zeros(()), advance, num_records=1)


def same(a, b):
    """Whether two results are one, to the bit."""
    return a.drop_attrs().identical(b.drop_attrs())


def writers(store):
    """The processes that wrote the parts, each with the cells it wrote."""
    headers = [parts.read(file).header for file in parts.listing(store / "parts")]
    return [(header["process"], len(header["cells"])) for header in headers]


@pytest.fixture(scope="module")
def pool():
    """One worker for the tests of this file: it imports JAX."""
    with ProcessPoolExecutor(1, mp_context=SPAWN) as executor:
        yield executor


@pytest.fixture
def on_wire(monkeypatch):
    """Sizes of what was sent to workers."""
    sizes = []
    original = spreading.Pool.submit

    def submit(self, function, task):
        sizes.append(len(pickle.dumps((function, task))))
        return original(self, function, task)

    monkeypatch.setattr(spreading.Pool, "submit", submit)
    return sizes


def test_the_bits_of_one_process(pool, on_wire, tmp_path):
    """Catches other bits, data that travels with blocks or is kept twice, files that stay, and work done twice."""
    axes = {"start": STARTS, "width": [2, 3]}
    options = {"lane_width": 2, "final_params": True}
    plain = dl.sweep(falling, **axes, **options)
    runs = dl.sweep(falling, **axes, **options, store=tmp_path / "s", executor=pool)
    assert same(runs, plain)
    assert (runs.attrs["num_devices"], plain.attrs["num_devices"]) == (1, 2)
    assert len(on_wire) == 1 + 6
    assert max(on_wire) < 20_000
    folders = {name: len(os.listdir(tmp_path / "s" / name)) for name in ("constants", "code", "claims", "parts")}
    assert folders == {"constants": 1, "code": 0, "claims": 0, "parts": 6}
    assert os.getpid() not in dict(writers(tmp_path / "s"))
    axes["start"] = np.arange(7.0)  # two more, here
    assert same(dl.sweep(falling, **axes, **options, store=tmp_path / "s"), dl.sweep(falling, **axes, **options))
    assert sum(count for process, count in writers(tmp_path / "s") if process == os.getpid()) == 4
    longer = functools.partial(falling, num_records=5)  # goes on from the states, there
    more = dl.sweep(longer, **axes, **options, store=tmp_path / "s", executor=pool)
    assert same(more, dl.sweep(longer, **axes, **options))
    assert sum(count for _, count in writers(tmp_path / "s")) == 14 + 14
    assert {parts.read(file).header["begin"] for file in parts.listing(tmp_path / "s" / "parts")} == {0, 3}


def test_a_store_that_began_in_one_process(pool, tmp_path, monkeypatch):
    """Catches an identity that depends on the number of devices, and cells that are computed again."""
    dl.sweep(falling, start=STARTS, store=tmp_path / "s")
    grown = dl.sweep(falling, start=np.arange(8.0), store=tmp_path / "s", executor=pool)
    assert sum(count for process, count in writers(tmp_path / "s") if process != os.getpid()) == 3
    monkeypatch.setattr(session.Session, "work", None)
    assert same(dl.sweep(falling, start=np.arange(8.0), store=tmp_path / "s"), grown)
    assert same(dl.load(tmp_path / "s").drop_vars("finished").sel(start=np.arange(8.0)), grown)


def test_a_program_that_is_another_one(pool, tmp_path):
    """Catches a message that is buried in the traceback of a worker, and a store that changes all the same."""
    dl.sweep(falling, start=STARTS, store=tmp_path / "s", executor=pool)
    before = os.listdir(tmp_path / "s" / "parts")
    other = functools.partial(falling, factor=3.0)
    with pytest.raises(
        dl.ArgumentError, match=r"^the results in the store .* come from something else: program"
    ) as far:
        dl.sweep(other, start=STARTS, store=tmp_path / "s", executor=pool)
    with pytest.raises(dl.ArgumentError) as near:
        dl.sweep(other, start=STARTS, store=tmp_path / "s")
    assert str(far.value) == str(near.value)
    with jax.default_matmul_precision("highest"), pytest.raises(dl.ArgumentError, match="matmul_precision was"):
        dl.sweep(falling, start=STARTS, store=tmp_path / "s", executor=pool)  # which have it open
    assert os.listdir(tmp_path / "s" / "parts") == before
    assert not os.listdir(tmp_path / "s" / "code")


def test_what_workers_have_open_may_change(pool, tmp_path):
    """Catches parts without their program, after a store was removed, and cells that others have written since."""
    runs = dl.sweep(falling, start=STARTS, store=tmp_path / "s", executor=pool)
    shutil.rmtree(tmp_path / "s")
    assert same(dl.sweep(falling, start=STARTS, store=tmp_path / "s", executor=pool), runs)
    assert dl.verify(tmp_path / "s", fraction=1.0).cells == 5
    dl.sweep(falling, start=np.arange(20.0, 24.0), store=tmp_path / "s")
    for file in (tmp_path / "s" / "parts").iterdir():
        if parts.read(file).header["process"] != os.getpid():
            file.unlink()
    starts = np.array([20.0, 21.0, 1.0, 2.0])
    assert same(dl.sweep(falling, start=starts, store=tmp_path / "s", executor=pool), dl.sweep(falling, start=starts))
    assert sorted(count for _, count in writers(tmp_path / "s")) == [2, 4]


def test_a_part_that_was_set_aside_comes_back(tmp_path):
    """Catches a driver that waits for ever for what a worker has long computed anew."""
    dl.sweep(falling, start=STARTS, store=tmp_path / "s")
    store = Store(tmp_path / "s", create=False)
    store.refresh()
    (cell, *_), (file,) = store.cells(), parts.listing(tmp_path / "s" / "parts")
    store.set_aside(parts.MissingError(file))
    assert not store.pieces(*cell)
    store.look_for([file.stem])
    assert store.pieces(*cell)


def test_flags_that_dl_setup_sets(tmp_path, monkeypatch):
    """Catches a store that workers began and a process without `dl.setup` cannot go on with, without a word why."""
    dl.sweep(falling, start=STARTS, store=tmp_path / "s")
    monkeypatch.setenv("XLA_FLAGS", "")
    with pytest.raises(dl.ArgumentError, match=r"XLA_FLAGS was '--xla.*', now it is '' \(dl.setup\(\) sets it"):
        dl.sweep(falling, start=STARTS, store=tmp_path / "s")


def test_a_cell_that_fails(pool, tmp_path):
    """Catches a study that ends with its first bad cell, and a failure without its words."""
    fit = functools.partial(reading, source=Rows("raise", tmp_path))
    with pytest.raises(dl.FailedCellsError, match=r"1 of 4 cells failed:\n  first=5: .*no such row") as error:
        dl.sweep(fit, first=np.array([0, 5, 2, 3]), store=tmp_path / "s", executor=pool)
    assert error.value.results.finished.values.tolist() == [True, False, True, True]
    assert len(os.listdir(tmp_path / "s" / "failed")) == 1
    fit = functools.partial(reading, source=Rows("", tmp_path))
    again = dl.sweep(fit, first=np.array([0, 5, 2, 3]), store=tmp_path / "s", executor=pool)
    assert again.x.sel(step=1).values.tolist() == [2, 2, 2, 2]


def test_workers_that_are_killed(tmp_path):
    """Catches a study that is lost with a worker, and one that is tried for ever since one block always kills."""
    fit = functools.partial(reading, source=Rows("kill", tmp_path))
    options = {"first": np.array([0, 3, 5]), "lane_width": 1, "store": tmp_path / "s"}
    with (
        ProcessPoolExecutor(1, mp_context=SPAWN) as executor,
        pytest.raises(dl.FailedCellsError, match=r"1 of 3 cells failed:\n  first=5: WorkerDied.*SIGKILL") as error,
    ):
        dl.sweep(fit, **options, executor=executor)
    assert error.value.results.x.sel(step=1).isel(first=slice(2)).values.tolist() == [2, 2]
    assert (tmp_path / "row-3").exists()  # it has killed once
    assert not os.listdir(tmp_path / "s" / "code")
    fit = functools.partial(reading, source=Rows("", tmp_path))
    assert same(dl.sweep(fit, **options), dl.sweep(fit, first=options["first"], lane_width=1))
    assert len(os.listdir(tmp_path / "s" / "parts")) == 3
