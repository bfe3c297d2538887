"""Commands that keep their studies: what they say, and what `--fresh` removes."""

import functools
import os

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from dlcore.engine.durable import continuing as module
from dlcore.engine.durable.continuing import continuing, num_parts, remove_stores


def fit(start, power=1):
    """A hand-written run, which compiles in a moment."""
    return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": jnp.asarray(x) ** power}), num_records=2)


def command(folder, said, *, fresh=False, power=1, count=3):
    """A command of one study; `said` gets what it says."""
    with continuing(folder, fresh=fresh, say=said.append):
        return dl.sweep(functools.partial(fit, power=power), start=np.arange(1.0, 1.0 + count), store=folder / "a")


def test_what_a_command_says(tmp_path):
    """Catches results that were read and look measured, and counts that are off."""
    said = []
    command(tmp_path, said, count=3)
    assert said == [f"Computed, and kept in {tmp_path}: 1 block of runs."]
    command(tmp_path, said, count=5)
    assert said[1:] == [
        f"Read from {tmp_path}, not computed again: 1 block of runs. --fresh computes all anew.",
        f"Computed, and kept in {tmp_path}: 1 block of runs.",
    ]
    command(tmp_path, said)
    assert said[3].startswith(f"Read from {tmp_path}, not computed again: 2 blocks of runs.")
    assert said[4] == f"Computed, and kept in {tmp_path}: 0 blocks of runs."


@pytest.mark.parametrize("change", ["program", "axes"])
def test_another_program(tmp_path, change):
    """Catches advice for functions where a command line is used, and advice that does not work."""
    command(tmp_path, [])
    there = dl.load(tmp_path / "a")

    def other(fresh):
        with continuing(tmp_path, fresh=fresh):
            if change == "program":
                return dl.sweep(functools.partial(fit, power=2), start=np.arange(1.0, 4.0), store=tmp_path / "a")
            return dl.sweep(fit, start=np.arange(1.0, 4.0), power=[2], store=tmp_path / "a")

    message = {"program": "come from something else", "axes": "holds a study over"}[change]
    with pytest.raises(dl.ArgumentError, match=rf"{message}.*add --fresh.*add another --output\.$") as error:
        other(fresh=False)
    assert "store=" not in str(error.value)
    xr.testing.assert_identical(dl.load(tmp_path / "a"), there)
    assert float(other(fresh=True).x.sel(step=2).sum()) == 1 / 4 + 4 / 4 + 9 / 4


def test_an_interruption_says_how_to_go_on(tmp_path):
    """Catches Ctrl-C after which nobody knows what is there."""
    with pytest.raises(KeyboardInterrupt) as caught, continuing(tmp_path, fresh=False):
        raise KeyboardInterrupt
    assert caught.value.__notes__ == [f"the finished runs are in {tmp_path}; the same command goes on from there."]


def test_only_stores_are_removed(tmp_path):
    """Catches `--fresh` that removes what somebody put there, or leaves a store behind."""
    command(tmp_path, [])
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    remove_stores(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "notes.txt", "thesis.txt"]
    remove_stores(tmp_path / "nothing")


def test_killed_while_it_removes(tmp_path, monkeypatch):
    """Catches half of a store that is taken for one, and leftovers for ever."""
    command(tmp_path, [])
    monkeypatch.setattr(module, "_remove", lambda path: (_ for _ in ()).throw(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):  # dies
        remove_stores(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(module, "stale", lambda origin: True)
    assert num_parts(tmp_path) == 0
    said = []
    command(tmp_path, said)
    assert said == [f"Computed, and kept in {tmp_path}: 1 block of runs."]
    remove_stores(tmp_path)
    assert not os.listdir(tmp_path)
