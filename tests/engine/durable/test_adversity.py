"""Stores on disks that are full, read-only or damaged, with clocks that jump, and in places that are unusual."""

import contextlib
import errno
import functools
import json
import os
import pathlib
import shutil
import tempfile
import time

import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore.engine import program
from dlcore.engine.durable import parts, session
from dlcore.engine.durable.claims import Claims
from dlcore.engine.durable.folder import Store
from dlcore.engine.leftovers import host

STARTS = np.arange(1.0, 6.0)
DATA = np.arange(4.0, dtype=np.float32)
FOLDERS = ("parts", "states", "studies", "programs", "constants")


def halving(start, num_records=3):
    """How fast a number falls."""
    data = jnp.asarray(DATA)
    return dl.Training(lambda: start + jnp.sum(data), lambda x: (x / 2, {"x": x / 2}), num_records=num_records)


LONGER = functools.partial(halving, num_records=5)


def sweep(store, fit=halving, starts=STARTS):
    return dl.sweep(fit, start=starts, store=store, lane_width=2)


@pytest.fixture(scope="module")
def expected():
    """Results without a store."""
    return dl.sweep(halving, start=STARTS, lane_width=2)


@pytest.fixture(scope="module")
def expected_longer():
    return dl.sweep(LONGER, start=STARTS, lane_width=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store, to be copied."""
    path = tmp_path_factory.mktemp("finished") / "s"
    sweep(path)
    return path


@pytest.fixture
def store(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "s")


def same(a, b):
    return a.drop_attrs().identical(b.drop_attrs())


def is_whole(store, expected):
    """Whether the same call gives these results, and the store too."""
    return same(sweep(store), expected) and same(dl.load(store).drop_vars("finished"), expected)


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(bytes(content))


def truncate(file):
    file.write_bytes(file.read_bytes()[:-100])


def empty(file):
    file.write_bytes(b"")


def test_a_full_disk(tmp_path, monkeypatch, expected):
    """Catches an error of the system as it is, what was finished and gets lost, and a study that cannot go on."""
    sync, written = os.fsync, []

    def full(handle):
        path = os.readlink(f"/proc/self/fd/{handle}")
        if "/parts/." in path:
            written.append(path)
            if len(written) > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    message = r"cannot write '.*s/parts/.*\.npz': No space left on device.*make room there and call again"
    with pytest.raises(dl.ArgumentError, match=message):
        sweep(tmp_path / "s")
    assert len(os.listdir(tmp_path / "s" / "parts")) == 2
    assert dl.load(tmp_path / "s").finished.sum() == 4
    assert not os.listdir(tmp_path / "s" / "claims")
    monkeypatch.undo()
    assert is_whole(tmp_path / "s", expected)
    assert len(os.listdir(tmp_path / "s" / "parts")) == 3


@pytest.mark.parametrize("damage", [flip, truncate, empty])
def test_damaged_parts(store, expected, damage):
    """Catches a damaged part that is read as numbers, one that stops a study, and advice that does not help."""
    damaged = parts.listing(store / "parts")[1]
    damage(damaged)
    for read in (dl.load, dl.verify):
        with pytest.raises(
            dl.DataError, match=f"{damaged.name} is damaged.*Remove it; the same call computes its cells"
        ):
            read(store)
    assert "is damaged" in dl.studies(store.parent).question["s"]
    with pytest.warns(UserWarning, match=r"is damaged.*now .*\.damaged; its cells are computed anew"):
        assert same(sweep(store), expected)
    assert is_whole(store, expected)
    damage(damaged)
    damaged.unlink()  # what the message says
    assert is_whole(store, expected)


def test_a_part_that_another_process_writes_anew(store):
    """Catches a part that was set aside and is never seen again, so that a process waits for it for ever."""
    file = parts.listing(store / "parts")[0]
    found = Store(store, create=True)
    found.refresh()
    part, pieces = parts.read(file), len(found.pieces_by_part())
    arrays = dict(part.arrays)
    with pytest.warns(UserWarning, match="is damaged"):
        found.set_aside(parts.DamagedError(file, "of a flipped bit"))
    assert len(found.pieces_by_part()) == pieces - 1
    parts.commit(file, arrays, part.header)
    found.refresh()
    assert len(found.pieces_by_part()) == pieces


@pytest.mark.parametrize("damage", [flip, pathlib.Path.unlink])
def test_damaged_states(store, expected_longer, damage):
    """Catches a longer run that fails since a state it could go on from is damaged."""
    for file in parts.listing(store / "states")[:2]:
        damage(file)
    warned = pytest.warns(UserWarning, match="is damaged") if damage is flip else contextlib.nullcontext()
    with warned:
        assert same(sweep(store, LONGER), expected_longer)
    assert same(dl.load(store).drop_vars("finished"), expected_longer)
    assert same(sweep(store, LONGER), expected_longer)
    assert not os.listdir(store / "claims")


def test_damaged_outlines(store, expected):
    """Catches a call that computes into a store whose history it cannot read, and advice that does not help."""
    (outline,) = parts.listing(store / "studies")
    flip(outline)
    for call in (dl.load, sweep, dl.verify):
        with pytest.raises(
            dl.DataError, match=f"{outline.name} is damaged.*Remove it; the call that it is of, made agai"
        ):
            call(store)
    before = sorted(os.listdir(store / "parts"))
    outline.unlink()
    with pytest.raises(dl.ArgumentError, match="nothing was asked for yet"):
        dl.load(store)
    assert is_whole(store, expected)
    assert sorted(os.listdir(store / "parts")) == before


@pytest.mark.parametrize("folder", ["programs", "constants"])
def test_damaged_programs(store, expected, folder):
    """Catches an audit by another program than the one that computed, and one that is lost for ever."""
    (file,) = parts.listing(store / folder)
    flip(file)
    with pytest.raises(dl.DataError, match=f"{file.name} is damaged.*Remove it; the same call writes it anew"):
        dl.verify(store)
    assert is_whole(store, expected)  # for which they are not needed
    file.unlink()
    with pytest.raises(dl.DataError, match=f"{file.name} is missing.*The same call writes it anew"):
        dl.verify(store)
    sweep(store)
    assert dl.verify(store, fraction=1).cells == 5


def test_parts_that_somebody_changed(store, expected):
    """Catches the records of one cell that are taken for those of another."""
    first, second, third = parts.listing(store / "parts")
    part = parts.read(first)
    arrays = {name: np.array(values) for name, values in part.arrays.items()}
    first.unlink()
    parts.commit(first, arrays, {**part.header, "cells": part.header["cells"][::-1]})
    second.rename(second.with_name("0" * 16 + "-" + "0" * 24 + ".npz"))
    with pytest.raises(dl.DataError, match="its name is not that of the cells in it, so it was renamed or changed"):
        dl.load(store)
    with pytest.warns(UserWarning, match="renamed or changed"):
        assert same(sweep(store), expected)
    assert is_whole(store, expected)
    assert parts.listing(store / "parts") == [first, second, third]


def test_files_that_dlcore_did_not_write(store, expected):
    """Catches somebody's notes that are taken for damaged parts."""
    for folder in FOLDERS[:2]:
        (store / folder / "notes.txt").write_text("mine")
        (store / folder / "other.npz").write_text("mine")
        (store / folder / ".DS_Store").write_text("the system's")
    assert is_whole(store, expected)
    assert dl.studies(store.parent).finished["s"] == 5
    assert (store / "parts" / "notes.txt").read_text() == "mine"


def test_what_the_dead_left_behind(store, expected):
    """Catches temporary files, claims and states that stay for ever, and those of the living that do not."""
    dead = 2**22 + 1
    for folder in ("", *FOLDERS):
        (store / folder / f".x.npz.partial-{host()}-{dead}-1-0").write_text("half")
    mine = store / "parts" / f".x.npz.partial-{host()}-{os.getpid()}-1-0"
    mine.write_text("half")
    of_part = parts.read(parts.listing(store / "parts")[0])
    orphan = "0" * 16 + "-" + "0" * 24
    parts.commit(store / "states" / f"{orphan}.npz", {"": np.zeros(1)}, {"part": of_part.header, "facts": ["part"]})
    with Claims(store / "claims") as claims:
        claims.take("of-the-living", {"program": "another", "cells": []})
        text = json.loads((store / "claims" / "of-the-living.json").read_text())
        (store / "claims" / "of-the-dead.json").write_text(json.dumps({**text, "process": dead}))
        sweep(store)
        assert os.listdir(store / "claims") == ["of-the-living.json"]
        assert f"{orphan}.npz" in os.listdir(store / "states")  # somebody may be about to write its part
    assert is_whole(store, expected)
    assert f"{orphan}.npz" not in os.listdir(store / "states")
    assert len(os.listdir(store / "states")) == 3
    assert list(store.rglob(".*")) == [mine]


def test_a_clock_that_jumps(tmp_path, monkeypatch, expected):
    """Catches an order of calls, a claim or a temporary file that depends on what time it is."""
    jumps = iter([0, -86_400, 86_400 * 365, -3600, 7, -86_400 * 30] * 100)
    now = time.time_ns()
    monkeypatch.setattr(time, "time", lambda: now / 1e9 + next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**9 * next(jumps))
    sweep(tmp_path / "s", starts=STARTS[3:])
    sweep(tmp_path / "s", starts=STARTS[1:3])
    sweep(tmp_path / "s", starts=STARTS[:1])
    assert dl.load(tmp_path / "s").start.values.tolist() == [4, 5, 2, 3, 1]
    assert same(sweep(tmp_path / "s"), expected)
    assert not os.listdir(tmp_path / "s" / "claims")
    assert not [name for name in os.listdir(tmp_path / "s" / "parts") if name.startswith(".")]
    assert dl.studies(tmp_path).finished["s"] == 5


def test_parts_of_a_run_appear_in_order(tmp_path, monkeypatch):
    """Catches a later part that is there, and the states before it gone, while an earlier one is not."""
    monkeypatch.setattr(session, "SECONDS_BETWEEN_PARTS", 0.0)
    monkeypatch.setattr(program, "SECONDS_PER_CALL", 0.0)
    commit, ends = parts.commit, []

    def slow_at_first(file, arrays, header):
        if file.parent.name == "parts":
            time.sleep(0.0 if ends else 0.2)
            ends.append(header["end"])
        return commit(file, arrays, header)

    monkeypatch.setattr(parts, "commit", slow_at_first)
    dl.run(halving(1.0), store=tmp_path / "s")
    assert ends == [1, 2, 3]
    assert len(os.listdir(tmp_path / "s" / "states")) == 1


@contextlib.contextmanager
def read_only(store):
    """The store as somebody sees it who may not write to it, also where the tests run as root."""
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for folder in folders:
            folder.chmod(0o755)


def test_a_store_that_is_read_only(finished, expected):
    """Catches reading that writes, a finished study that wants to write, and a missing cell without a reason."""
    with tempfile.TemporaryDirectory() as outside:
        os.chmod(outside, 0o755)
        store = shutil.copytree(finished, pathlib.Path(outside, "s"))
        with read_only(store):
            assert same(dl.load(store).drop_vars("finished"), expected)
            assert dl.studies(outside).finished["s"] == 5
            assert dl.verify(store, fraction=1).cells == 5
            assert same(sweep(store), expected)
            with pytest.raises(
                dl.ArgumentError, match=r"cannot write '.*s/studies/.*': Permission denied. Nothing there"
            ):
                sweep(store, starts=np.array([7.0]))
            parts_before = os.listdir(store / "parts")
        parts.listing(store / "parts")[0].unlink()
        with (
            read_only(store),
            pytest.raises(dl.ArgumentError, match=r"cannot write '.*s/claims/.*': Permission denied"),
        ):
            sweep(store)
        assert is_whole(store, expected)
        assert sorted(os.listdir(store / "parts")) == sorted(parts_before)


def test_where_a_store_lies(store, tmp_path, monkeypatch, expected):
    """Catches stores that are lost by a move, and paths that only an absolute or a plain name makes work."""
    moved = store.rename(tmp_path / "grüße, 1 % of % {s} 実験")
    assert is_whole(moved, expected)
    for folder in ("claims", "failed"):
        (moved / folder).rmdir()  # as copies that leave out empty folders do
    assert is_whole(moved, expected)
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert is_whole(os.path.join("..", moved.name), expected)
    (tmp_path / "inside" / "link").symlink_to(moved)
    assert is_whole(tmp_path / "inside" / "link", expected)
    assert dl.studies(tmp_path / "inside").finished["link"] == 5
    assert len(os.listdir(moved / "parts")) == 3
    with pytest.raises(dl.ArgumentError, match=r"lies in the store .*choose a path beside it"):
        sweep(moved / "inner")
    assert not (moved / "inner").exists()


def test_the_path_changes_in_a_study(tmp_path, monkeypatch, expected):
    """Catches a relative path that is looked up anew in mid-study."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    work = session.Session.work
    monkeypatch.setattr(session.Session, "work", lambda *a: os.chdir(tmp_path / "elsewhere") or work(*a))
    assert same(sweep("s"), expected)
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "s"]
    assert not os.listdir(tmp_path / "elsewhere")
