"""A study in a store: what is there is read, the rest is computed, and all has the bits of one sweep."""

import functools
import json
import os
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
import xarray as xr
from scripts import script_of

import dlcore as dl
from dlcore.engine import program
from dlcore.engine.durable import identity, session

RATES = np.array([0.01, 0.1, 0.5])


def same(a, b):
    """Whether two results are one, to the bit."""
    return a.drop_attrs().identical(b.drop_attrs())


def parts(store):
    return sorted(os.listdir(store / "parts"))


def halving(start, factor=2.0, num_records=3):
    """How fast a number falls."""
    return dl.Training(lambda: start * 1.0, lambda x: (x / factor, {"x": x / factor}), num_records=num_records)


STARTS = np.arange(1.0, 6.0)


@pytest.fixture(scope="module")
def calls():
    """How many blocks were computed since the last look."""
    count = []
    original = session.Session.work

    def work(self, device, block, *more):
        count.append(len(block.rows))
        return original(self, device, block, *more)

    session.Session.work = work

    def look():
        found = sum(count)
        count.clear()
        return found

    yield look
    session.Session.work = original


def test_the_bits_of_a_sweep(tmp_path, calls):
    """Catches a store that changes results, loses what is kept of the ends, or computes anything twice."""
    axes = {"seed": np.arange(3), "learning_rate": RATES}
    plain = dl.sweep(small.fit, **axes, final_params=True, final_state=True)
    calls()
    first = dl.sweep(small.fit, **axes, store=tmp_path / "s", final_params=True, final_state=True)
    assert first.identical(plain)
    assert calls() == 9
    again = dl.sweep(small.fit, **axes, store=tmp_path / "s", final_params=True, final_state=True)
    assert again.identical(plain)
    assert calls() == 0
    loaded = dl.load(tmp_path / "s")
    assert loaded.finished.all()
    assert same(loaded.drop_vars("finished"), plain)


def test_grown_and_shrunk(tmp_path, calls):
    """Catches cells that are computed again after another value, fewer values, a longer or a shorter run."""
    fit = small.fit
    dl.sweep(fit, seed=np.arange(3), learning_rate=RATES[:2], store=tmp_path / "s")
    kept = parts(tmp_path / "s")
    calls()
    axes = {"seed": np.arange(1, 5), "learning_rate": RATES}
    grown = dl.sweep(fit, **axes, store=tmp_path / "s")
    assert calls() == 12 - 4
    assert same(grown, dl.sweep(fit, **axes))
    assert set(kept) < set(parts(tmp_path / "s"))
    few = dl.sweep(fit, seed=np.array([4]), learning_rate=RATES[2:], store=tmp_path / "s")
    assert same(few, dl.sweep(fit, seed=np.array([4]), learning_rate=RATES[2:]))
    assert calls() == 0
    longer = functools.partial(fit, num_epochs=5)
    long = dl.sweep(longer, **axes, store=tmp_path / "s", final_params=True)
    assert same(long, dl.sweep(longer, **axes, final_params=True))
    calls()
    shorter = functools.partial(fit, num_epochs=2)
    assert same(dl.sweep(shorter, **axes, store=tmp_path / "s"), dl.sweep(shorter, **axes))
    assert calls() == 0
    union = dl.load(tmp_path / "s")
    assert union.sizes["seed"] == 5
    assert union.sizes["step"] == 6
    assert union.finished.sum() == 12
    assert np.isnan(union.train_loss.sel(seed=0, learning_rate=0.5)).all()  # nobody asked for it
    assert union.train_loss.sel(seed=0, learning_rate=0.1).notnull().sum() == 4  # as far as it was computed


def test_longer_runs_go_on_from_their_states(tmp_path, monkeypatch):
    """Catches a longer run that starts anew although its state is there, and one that needs what was removed."""
    begins = []
    original = session.Session.work
    monkeypatch.setattr(session.Session, "work", lambda *a: begins.append(a[2].begin) or original(*a))
    dl.sweep(halving, start=STARTS, store=tmp_path / "s")
    longer = functools.partial(halving, num_records=5)
    expected = dl.sweep(longer, start=STARTS)
    assert same(dl.sweep(longer, start=STARTS, store=tmp_path / "s"), expected)
    assert begins == [0, 3]
    for file in (tmp_path / "s" / "states").iterdir():
        file.unlink()
    longest = functools.partial(halving, num_records=6)
    assert same(dl.sweep(longest, start=STARTS, store=tmp_path / "s"), dl.sweep(longest, start=STARTS))
    assert begins == [0, 3, 0]
    dl.sweep(halving, start=STARTS, store=tmp_path / "none", final_state=False)
    assert not os.listdir(tmp_path / "none" / "states")


def test_parameters_asked_for_later(tmp_path, calls):
    """Catches a study that is computed again for what follows from its states, or that lacks it."""
    stop = dl.early_stopping("test_loss", patience=1, min_change=0.02)

    def fit(seed, learning_rate):
        return dl.training(
            jax.random.key(seed),
            small.CLASSIFICATION,
            optax.adam(learning_rate),
            batch_size=6,
            num_epochs=8,
            keep_best="test_loss",
            stop=stop,
        )

    axes = {"seed": np.arange(2), "learning_rate": np.array([0.001, 0.3])}
    first = dl.sweep(fit, **axes, store=tmp_path / "s")
    assert same(first, dl.sweep(fit, **axes))
    assert first.ended_at.notnull().any()
    size = sum(file.stat().st_size for file in (tmp_path / "s" / "parts").iterdir())
    later = dl.sweep(fit, **axes, store=tmp_path / "s", final_params=True)
    assert same(later, dl.sweep(fit, **axes, final_params=True))
    added = sum(file.stat().st_size for file in (tmp_path / "s" / "parts").iterdir()) - size
    assert added < 4 * size  # no records anew
    assert same(dl.load(tmp_path / "s").drop_vars("finished"), later)


def test_several_programs(tmp_path, calls):
    """Catches static values that are taken for one another, lengths too, and shapes that differ."""

    def fit(width, num_epochs, seed):
        task = dl.tasks.classification(dl.models.mlp([4, width, 3]), small.labeled_points())
        return dl.training(jax.random.key(seed), task, optax.sgd(0.1), batch_size=6, num_epochs=num_epochs)

    axes = {"width": [2, 3], "num_epochs": [1, 2], "seed": np.arange(2)}
    plain = dl.sweep(fit, **axes, final_params=True)
    assert same(dl.sweep(fit, **axes, store=tmp_path / "s", final_params=True), plain)
    assert same(dl.load(tmp_path / "s").drop_vars("finished"), plain)
    calls()
    dl.sweep(fit, **{**axes, "width": [3, 2]}, store=tmp_path / "s", final_params=True)
    assert calls() == 0


def test_points_and_no_axes(tmp_path):
    """Catches cells of points, and a study of one run, that are not found again."""
    points = dl.points(start=np.array([3.0, 1.0, 2.0]), factor=np.array([2.0, 4.0, 8.0]))
    runs = dl.sweep(halving, points, store=tmp_path / "s")
    assert same(runs, dl.sweep(halving, points))
    more = dl.points(start=np.array([1.0, 7.0]), factor=np.array([4.0, 3.0]))
    dl.sweep(halving, more, store=tmp_path / "s")
    assert dl.load(tmp_path / "s").start.values.tolist() == [3, 1, 2, 7]
    one = dl.sweep(lambda: halving(1.0), store=tmp_path / "one")
    assert same(dl.load(tmp_path / "one").drop_vars("finished"), one)


@pytest.mark.parametrize("change", ["program", "data", "lanes", "environment", "axes", "traced"])
def test_another_program_is_refused(tmp_path, change):
    """Catches a store that mixes results of different functions, data or machines without a word."""
    data = np.arange(3.0)

    def fit(start, power=1, data=data):
        return dl.Training(lambda: start + jnp.sum(jnp.asarray(data)), lambda x: (x**power, {"x": x}), num_records=2)

    before = dl.sweep(fit, start=STARTS, store=tmp_path / "s")
    written = parts(tmp_path / "s")
    calls = {
        "program": (functools.partial(fit, power=2), {}, "computes something else.*`.*` became"),
        "data": (functools.partial(fit, data=data + 1), {}, "data that the function uses.*the values of float32"),
        "lanes": (fit, {"lane_width": 2}, "lane width: it was 8, now it is 2"),
        "environment": (fit, {}, "matmul_precision was 'default', now it is 'highest'"),
        "axes": (fit, {"power": [1]}, "a study over .start: start .*this one is over .*power .static"),
        "traced": (fit, {"power": np.array([1])}, "power .int32"),
    }
    function, options, message = calls[change]
    precision = "highest" if change == "environment" else None
    with jax.default_matmul_precision(precision), pytest.raises(dl.ArgumentError, match=message) as error:
        dl.sweep(function, start=STARTS, store=tmp_path / "s", **options)
    assert str(tmp_path / "s-2") in str(error.value)
    assert parts(tmp_path / "s") == written
    assert same(dl.load(tmp_path / "s").drop_vars("finished"), before)


@pytest.mark.job
def test_what_was_traced_before_changes_nothing(tmp_path):
    """Catches an identity that depends on the history of the process: JAX numbers functions as it meets them."""
    script = """
        import sys, jax, jax.numpy as jnp, numpy as np, dlcore as dl, small
        dl.setup(num_devices=1, cache=False)
        if sys.argv[2] == "late":
            jax.jit(lambda x: jnp.where(x > 0, jnp.clip(x, 0, 1), jax.nn.softmax(x)))(jnp.ones(3))
            dl.sweep(small.fit, seed=np.arange(3), lane_width=3)
        dl.sweep(small.fit, seed=np.arange(4), store=sys.argv[1])
        import os; print(len(os.listdir(sys.argv[1] + "/parts")), *os.listdir(sys.argv[1] + "/programs"))
    """
    outputs = [
        subprocess.run(
            **script_of(script, str(tmp_path / "s"), when), capture_output=True, text=True, check=True
        ).stdout
        for when in ("early", "late")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("1 ")


def test_a_failing_cell_does_not_stop_the_others(tmp_path):
    """Catches a study that ends with its first bad cell, and one that forgets it."""

    class Source:
        fingerprint = "ones, and a hole"
        broken = True

        def __len__(self):
            return 6

        def __getitem__(self, row):
            if row == 5 and self.broken:
                raise KeyError("no such row")
            return np.ones(2, np.float32)

    source = Source()
    data = dl.data.Dataset((dl.data.Streamed(source), np.zeros(6, np.float32)))
    task = dl.tasks.regression(dl.models.linear(2), data)

    def fit(first):
        sampling = np.eye(6)[:, 0]
        del sampling
        rows = dl.data.Streamed(source)

        def advance(x):
            return x + 1, {"x": jnp.sum(rows.fetch(first[None]))}

        return dl.Training(lambda: jnp.zeros(()), advance, num_records=1)

    del task
    with pytest.raises(dl.FailedCellsError, match=r"1 of 4 cells failed:\n  first=5: .*no such row") as error:
        dl.sweep(fit, first=np.array([0, 5, 2, 3]), store=tmp_path / "s")
    results = error.value.results
    assert results.finished.values.tolist() == [True, False, True, True]
    assert results.x.sel(first=2, step=1) == 2
    (failure,) = (tmp_path / "s" / "failed").iterdir()
    assert "no such row" in json.loads(failure.read_text())["error"]
    assert dl.studies(tmp_path).failed.tolist() == [1]
    source.broken = False
    assert dl.sweep(fit, first=np.array([0, 5, 2, 3]), store=tmp_path / "s").x.sel(step=1).values.tolist() == [2] * 4
    assert dl.studies(tmp_path).failed.tolist() == [0]


def test_functions_of_python_need_a_fingerprint(tmp_path):
    """Catches results of other streamed data that are taken for these, and a fingerprint nobody gave."""
    rows = np.arange(12.0, dtype=np.float32).reshape(6, 2)

    def fit(source, seed):
        data = dl.data.Dataset((dl.data.Streamed(source), np.zeros(6, np.float32)))
        task = dl.tasks.regression(dl.models.linear(2), data)
        return dl.training(jax.random.key(seed), task, optax.sgd(0.01), batch_size=3, num_epochs=2)

    runs = dl.sweep(functools.partial(fit, rows), seed=np.arange(2), store=tmp_path / "s")
    assert same(dl.sweep(functools.partial(fit, rows.copy()), seed=np.arange(2), store=tmp_path / "s"), runs)
    with pytest.raises(dl.ArgumentError, match="the streamed data"):
        dl.sweep(functools.partial(fit, rows + 1), seed=np.arange(2), store=tmp_path / "s")
    with pytest.raises(dl.ArgumentError, match="has no fingerprint"):
        dl.sweep(functools.partial(fit, rows.tolist()), seed=np.arange(2), store=tmp_path / "other")


def test_one_run(tmp_path, monkeypatch):
    """Catches a run that starts anew after a crash, keeps every state, or has other bits."""
    monkeypatch.setattr(session, "SECONDS_BETWEEN_PARTS", 0.0)
    monkeypatch.setattr(program, "SECONDS_PER_CALL", 0.0)  # a record at a time, however fast the machine is
    training = functools.partial(small.fit, 0, num_epochs=6)
    plain = dl.run(training(), final_params=True)
    stored = dl.run(training(), store=tmp_path / "s", final_params=True)
    assert stored.identical(plain)
    assert len(os.listdir(tmp_path / "s" / "parts")) >= 2
    assert len(os.listdir(tmp_path / "s" / "states")) == 1
    assert same(dl.run(small.fit(0, num_epochs=8), store=tmp_path / "s"), dl.run(small.fit(0, num_epochs=8)))
    with pytest.raises(dl.ArgumentError, match="a start and a store"):
        dl.run(training(), store=tmp_path / "s", start=dl.State(0, {}, {}, ()))


def test_verify(tmp_path):
    """Catches an audit that sees nothing, and one that needs the function."""
    dl.sweep(small.fit, seed=np.arange(3), learning_rate=RATES, store=tmp_path / "s", final_params=True)
    audit = dl.verify(tmp_path / "s", fraction=0.4)
    assert (audit.cells, audit.of) == (4, 9)
    assert "all bits agree" in str(audit)
    store = tmp_path / "s"
    from dlcore.engine.durable import parts as files

    for file in files.listing(store / "parts"):  # one value a little off, in a part that is not damaged
        part = files.read(file)
        arrays = {name: np.array(values) for name, values in part.arrays.items()}
        arrays["records/test_loss"][:, 2] *= np.float32(1 + 1e-6)
        file.unlink()
        files.commit(file, arrays, part.header)
    with pytest.raises(dl.DataError, match=r"4 arrays .*\n.*records/test_loss"):
        dl.verify(store, fraction=0.4)
    with jax.default_matmul_precision("highest"), pytest.raises(dl.ArgumentError, match=r"computed elsewhere.*matmul"):
        dl.verify(store)
    with pytest.raises(dl.ArgumentError, match="there is no store"):
        dl.verify(tmp_path / "nothing")


def test_damage(tmp_path):
    """Catches damaged parts that are read as numbers, and a study that stops because of one."""
    runs = dl.sweep(halving, start=STARTS, store=tmp_path / "s")
    (name,) = parts(tmp_path / "s")
    file = tmp_path / "s" / "parts" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(dl.DataError, match=r"is damaged.*Remove it; the same call computes its cells again"):
        dl.load(tmp_path / "s")
    with pytest.warns(UserWarning, match=r"is damaged.*now .*\.damaged; its cells are computed anew"):
        assert same(dl.sweep(halving, start=STARTS, store=tmp_path / "s"), runs)
    assert same(dl.load(tmp_path / "s").drop_vars("finished"), runs)


def test_folders_that_are_no_stores(tmp_path):
    """Catches a store written over something else, and errors of the system as they are."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    dl.save(xr.Dataset({"a": 1}), tmp_path / "results")
    for name, message in (("file", "did not write"), ("full", "did not write"), ("results", "dl.?core.save wrote")):
        with pytest.raises(dl.ArgumentError, match=message):
            dl.sweep(halving, start=STARTS, store=tmp_path / name)
    dl.sweep(halving, start=STARTS, store=tmp_path / "empty")
    with pytest.raises(dl.ArgumentError, match="did not write"):
        dl.save(xr.Dataset({"a": 1}), tmp_path / "empty")
    with pytest.raises(dl.ArgumentError, match="there is no folder"):
        dl.studies(tmp_path / "nothing")


@pytest.mark.job
def test_two_processes_share_the_work(tmp_path):
    """Catches a cell that both compute, one that neither does, and waiting for one that was killed."""
    script = """
        import sys, numpy as np, dlcore as dl, small
        dl.setup(num_devices=1, cache=False)
        runs = dl.sweep(small.fit, seed=np.arange(24), lane_width=1, store=sys.argv[1])
        print(runs.train_loss.values.tobytes().hex())
    """
    started = [
        subprocess.Popen(**script_of(script, str(tmp_path / "s")), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert outputs[0] == outputs[1]
    assert outputs[0]
    assert len(parts(tmp_path / "s")) == 24
    assert not os.listdir(tmp_path / "s" / "claims")
    from dlcore.engine.durable import parts as files

    writers = {files.read(file).header["process"] for file in files.listing(tmp_path / "s" / "parts")}
    assert writers <= {process.pid for process in started}


def test_a_claim_of_the_dead_is_taken_over(tmp_path):
    """Catches a study that waits for ever for a process that was killed."""
    dl.sweep(halving, start=STARTS[:1], store=tmp_path / "s")
    script = """
        import os, sys, time, numpy as np, dlcore as dl
        from dlcore.engine.durable import session
        session.Session.work = lambda *_: os.kill(os.getpid(), 9)
        def halving(start):
            return dl.Training(lambda: start * 1.0, lambda x: (x / 2.0, {"x": x / 2.0}), num_records=3)
        dl.setup(num_devices=2, cache=False)
        dl.sweep(halving, start=np.arange(1.0, 6.0), store=sys.argv[1])
    """
    done = subprocess.run(**script_of(script, str(tmp_path / "s")), check=False)
    assert done.returncode == -9
    assert os.listdir(tmp_path / "s" / "claims")
    began = time.monotonic()
    runs = dl.sweep(halving, start=STARTS, store=tmp_path / "s")
    assert time.monotonic() - began < 20  # not the seconds after which a silent claim is stale
    assert same(runs, dl.sweep(halving, start=STARTS))


def test_a_function_may_change_before_anything_was_computed(tmp_path, monkeypatch):
    """Catches a folder that is lost to a mistake which was mended before the first block had ended."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "work", killed)
        with pytest.raises(KeyboardInterrupt):
            dl.sweep(functools.partial(halving, num_records=9), start=STARTS, factor=[3.0], store=tmp_path / "s")
    assert not dl.load(tmp_path / "s").finished.any()

    def mended(start, factor):
        return halving(start + 1, factor)

    runs = dl.sweep(mended, start=STARTS, factor=[3.0], store=tmp_path / "s")
    assert same(dl.load(tmp_path / "s").drop_vars("finished"), runs)


def test_a_mismatch_is_looked_at_twice(tmp_path, monkeypatch):
    """Catches a store that is refused because of what JAX remembers of earlier traces."""
    runs = dl.sweep(halving, start=STARTS, store=tmp_path / "s")
    cleared, original = [], identity.text_hash
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(1))
    monkeypatch.setattr(identity, "text_hash", lambda *a: original(*a) if cleared else "another")
    assert same(dl.sweep(halving, start=STARTS, store=tmp_path / "s"), runs)
    assert cleared == [1]


def test_private_functions_are_numbered_anew():
    """Catches names that depend on what was lowered before, and targets of custom calls that are renamed with them."""
    text = """
      func.func public @main() { call @_where_7() call @"<lambda>"() stablehlo.custom_call @lapack_sgesdd() }
      func.func private @_where_7() { call @"<lambda>"() }
      func.func private @"<lambda>"() { }
    """
    found = identity.renumbered(text)
    assert identity.renumbered(text.replace("_where_7", "_where")) == found
    assert "custom_call @lapack_sgesdd" in found
    assert "@main" in found
    assert identity.renumbered(text.replace('call @"<lambda>"() }', "call @_where_7() }")) != found
