"""What belongs into a store, and what does not, where no earlier call has the same cells."""

import functools

import jax
import numpy as np
import optax
import pytest

import dlcore as dl
from dlcore.engine.durable import stored
from dlcore.engine.durable.claims import Claims
from dlcore.engine.preparation import Options, prepare
from dlcore.engine.program import Program
from dlcore.engine.threads import DaemonThreads

STARTS = np.arange(1.0, 4.0)


def falling(start, by=2.0, width=1):
    """Numbers that fall; `by` stands for what somebody changes in the function."""
    x = start * np.ones(width, np.float32)
    return dl.Training(lambda: x, lambda x: (x / by, {"x": (x / by)[0]}), num_records=2)


def test_a_new_static_value_of_another_function(tmp_path):
    """Catches two functions in one store that share no cell, by which they could be told apart."""
    dl.sweep(falling, start=STARTS, width=[1], store=tmp_path / "s")
    with pytest.raises(dl.ArgumentError, match="come from something else at width=1: program"):
        dl.sweep(functools.partial(falling, by=3.0), start=STARTS, width=[2], store=tmp_path / "s")
    dl.sweep(falling, start=STARTS, width=[2], store=tmp_path / "s")
    assert dl.load(tmp_path / "s").finished.all()


def test_a_new_static_value_in_another_environment(tmp_path):
    """Catches numbers of another precision beside those that are there."""

    def fit(start, kind):
        return falling(start, width=kind.value)

    class Kind:
        def __init__(self, value):
            self.value = value

    dl.sweep(fit, start=STARTS, kind={"one": Kind(1)}, store=tmp_path / "s")
    with jax.default_matmul_precision("highest"), pytest.raises(dl.ArgumentError, match="matmul_precision was"):
        dl.sweep(fit, start=STARTS, kind={"two": Kind(2)}, store=tmp_path / "s")


def test_two_functions_begun_at_once(tmp_path, monkeypatch):
    """Catches a function that was edited and started again while the first one computes its first block."""

    def begin(fit):
        prepared = prepare(dl.study(fit, start=STARTS), Options(), lambda traced: 8)
        return stored.open_session(prepared, str(tmp_path / "s"), jax.devices()[:1], DaemonThreads(1), states=True)

    first, second = begin(falling), begin(functools.partial(falling, by=3.0))  # nothing was computed yet
    monkeypatch.setattr(Claims, "others", lambda self: {"a block": {"program": first.wanted[0].name}})
    with pytest.raises(dl.ArgumentError, match="come from something else"):
        second.check_once()


def test_a_function_that_raises_for_a_static_value(tmp_path):
    """Catches a study that ends with an exception of one static cell, or forgets it."""

    def fit(start, width):
        if width == 13:
            raise ValueError("thirteen")
        return falling(start, width=width)

    with pytest.raises(
        dl.FailedCellsError, match=r"3 of 6 cells failed:\n  start=1.0, width=13: ValueError: thirteen"
    ) as e:
        dl.sweep(fit, start=STARTS, width=[13, 2], store=tmp_path / "s")
    assert e.value.results.finished.sel(width=2).all()
    assert not e.value.results.finished.sel(width=13).any()
    assert dl.load(tmp_path / "s").x.sel(width=2).equals(e.value.results.x.sel(width=2))
    assert dl.studies(tmp_path).planned.tolist() == [6]
    with pytest.raises(ValueError, match="thirteen"):  # not one cell can be computed
        dl.sweep(fit, start=STARTS, width=[13], store=tmp_path / "s")
    runs = dl.sweep(falling, start=STARTS, width=[13, 2], store=tmp_path / "s")  # mended
    assert runs.equals(dl.sweep(falling, start=STARTS, width=[13, 2]))


def test_memory_that_runs_out(tmp_path, monkeypatch):
    """Catches a study that ends when a block does not fit, and cells that would have fit and are given up with it."""
    original = Program.segments

    def segments(self, place, cells, *more):
        if (np.asarray(cells["start"]) == 2).any():
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 10 bytes.")
        yield from original(self, place, cells, *more)

    monkeypatch.setattr(Program, "segments", segments)
    with pytest.raises(dl.FailedCellsError, match=r"1 of 3 cells failed:\n  start=2.0: .*RESOURCE_EXHAUSTED"):
        dl.sweep(falling, start=STARTS, store=tmp_path / "s")
    monkeypatch.undo()
    assert dl.load(tmp_path / "s").finished.values.tolist() == [True, False, True]
    assert dl.sweep(falling, start=STARTS, store=tmp_path / "s").equals(dl.sweep(falling, start=STARTS))


def test_streamed_runs_are_not_verified(tmp_path):
    """Catches a program that calls a function of Python of a process that is gone: it ends the interpreter."""
    rows = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    data = dl.data.Dataset((dl.data.Streamed(rows), np.zeros(6, np.float32)))
    task = dl.tasks.regression(dl.models.linear(2), data)

    def fit(seed):
        return dl.training(jax.random.key(seed), task, optax.sgd(0.01), batch_size=3, num_epochs=1)

    dl.sweep(fit, seed=np.arange(2), store=tmp_path / "s")
    with pytest.raises(dl.ArgumentError, match=r"streamed data.*not verified"):
        dl.verify(tmp_path / "s")


def test_stores_look_good_in_a_notebook(tmp_path):
    """Catches a table or a data set without a view of its own."""
    dl.sweep(falling, start=STARTS, store=tmp_path / "s")
    assert "<table" in dl.studies(tmp_path)._repr_html_()  # pyright: ignore
    assert "finished" in dl.load(tmp_path / "s")._repr_html_()


def test_a_plan_changes_nothing(tmp_path):
    """Catches a plan that sets parts aside, or takes what a sweep would refuse."""
    dl.sweep(falling, start=STARTS, width=[1], store=tmp_path / "s")
    (file,) = (tmp_path / "s" / "parts").iterdir()
    content = file.read_bytes()
    at = content.index(np.float32([0.5, 0.25]).tobytes())  # the numbers of the first cell
    file.write_bytes(content[:at] + b"\0" + content[at + 1 :])
    assert dl.plan(falling, start=STARTS, width=[1], store=tmp_path / "s", measure=False).missing == 0
    file.write_bytes(content[:-1])
    with pytest.raises(dl.DataError, match="is damaged"):
        dl.plan(falling, start=STARTS, width=[1], store=tmp_path / "s", measure=False)
    assert [each.name for each in (tmp_path / "s" / "parts").iterdir()] == [file.name]
    file.write_bytes(content)
    by_three = functools.partial(falling, by=3.0)
    with pytest.raises(dl.ArgumentError, match="come from something else at width=1"):
        dl.plan(by_three, start=STARTS, width=[2], store=tmp_path / "s", measure=False)
