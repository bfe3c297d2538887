"""A result is written whole or not at all, over nothing foreign: real files, real processes, real kills."""

import contextlib
import errno
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from dlcore.engine import folders
from dlcore.engine.folders import check_output
from dlcore.engine.manifest import StaleError

ROOT = pathlib.Path(__file__).parents[2]
SAVER = """
import sys, time
import numpy as np, xarray as xr
import dlcore as dl
path, value, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
runs = xr.Dataset({f"v{i}": ("step", np.full(50, value)) for i in range(4)}, {"step": np.arange(50)})
dl.save(runs, path)
print("ready", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    dl.save(runs, path)
"""


def saver(path, value, seconds=60.0):
    """A process that saves again and again, and has saved once."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SAVER, str(path), str(value), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "ready\n"
    return process


def check_whole(path):
    """The results at `path` are of one save."""
    runs = dl.load(path).load()
    assert isinstance(runs, xr.Dataset)
    assert len(runs.data_vars) == 4
    assert len({float(value) for name in runs.data_vars for value in runs[name].values}) == 1


def results(value=1.0):
    """Small results."""
    return xr.Dataset({"loss": ("step", np.full(3, value))})


def folder_of_ours_with_a_thesis(path):
    """A store in which somebody has put a file."""
    dl.save(results(), path)
    (path / "loss" / "thesis.txt").write_text("years of work")


def folder_with_a_marker_of_that_name(path):
    """A folder with a file called as the manifest is."""
    path.mkdir()
    (path / "dlcore.json").write_text("{}")


def store_of_other_origin(path):
    """A store that xarray wrote."""
    results().to_zarr(path, consolidated=False)


def folder_with_a_thesis(path):
    """A folder of somebody else."""
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")


def folder_with_a_link(path):
    """A store in which a folder was replaced by a link."""
    dl.save(results(), path)
    (path / "link").symlink_to(path.parent)


FOREIGN = {
    folder_with_a_thesis: "is a folder that dlcore did not write: it has no dlcore.json",
    folder_of_ours_with_a_thesis: "holds 'loss/thesis.txt', which dlcore did not write",
    folder_with_a_marker_of_that_name: "dlcore.json is damaged",
    folder_with_a_link: "holds 'link', which dlcore did not write",
    store_of_other_origin: "it has no dlcore.json",
    lambda path: path.write_text("years of work"): "is a file",
    lambda path: path.symlink_to(path.parent / "elsewhere"): "is a symbolic link; pass the path it points to",
    lambda path: (path.with_name("there").mkdir(), path.symlink_to(path.with_name("there"))): "is a symbolic link",
}


@pytest.mark.parametrize("make", FOREIGN)
def test_what_save_did_not_write_stays(tmp_path, make):
    """Catches `save(results, "docs")` that deletes docs."""
    make(tmp_path / "r")
    before = sorted(tmp_path.rglob("*"))
    for attempt in (lambda path: dl.save(results(), path), check_output):
        with pytest.raises(dl.ArgumentError, match=FOREIGN[make]):
            attempt(tmp_path / "r")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_fine(tmp_path):
    """Catches a folder made beforehand refused."""
    (tmp_path / "r").mkdir()
    dl.save(results(), tmp_path / "r")
    assert float(dl.load(tmp_path / "r").loss[0]) == 1


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch, name):
    """Catches the working folder renamed under the user."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dl.ArgumentError, match="is the current folder or one above it"):
        dl.save(results(), name)


@pytest.mark.parametrize("name", ["file/r", "file/deeper/r", "\ud800", "x" * 300, "x" * 240])
def test_a_path_that_cannot_be_made(tmp_path, name):
    """Catches an error of the system after everything was measured."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(dl.ArgumentError, match=r"lies below|cannot write"):
        dl.save(results(), str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_read_only_folder(tmp_path, monkeypatch):
    """Catches measuring for hours before it is known that nothing can be written."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(dl.ArgumentError, match="which is read-only; choose another path"):
        check_output(tmp_path / "r")


def test_a_full_disk_leaves_the_old_results(tmp_path, monkeypatch):
    """Catches half of a store left behind, or a traceback of the system."""
    dl.save(results(1), tmp_path / "r")

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dlcore.engine.manifest.sync", full)
    with pytest.raises(dl.ArgumentError, match=f"cannot write '{tmp_path / 'r'}': No space left on device"):
        dl.save(results(2), tmp_path / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert float(dl.load(tmp_path / "r").loss[0]) == 1


def test_threads_that_write_on_after_one_has_failed(tmp_path):
    """Catches a half written folder that is left behind, since it was removed while somebody wrote into it."""

    def write_on(folder):
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "chunk").write_bytes(b"1")

    writers = []

    def written():
        with folders.replacing(tmp_path / "r") as new:
            writers.append(threading.Thread(target=write_on, args=(new / "a",)))
            writers[0].start()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(dl.ArgumentError, match="No space left"):
        written()
    writers[0].join()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_really_full(tmp_path):
    """Catches an error inside Zarr that is not ours."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        large = xr.Dataset({"loss": ("step", np.random.default_rng(0).normal(size=10**6))})
        with pytest.raises(dl.ArgumentError, match=f"cannot write '{disk / 'r'}': No space left on device"):
            dl.save(large, disk / "r")
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.job
def test_two_processes_save_to_one_path(tmp_path):
    """Catches temporary folders that processes share, and results mixed from two saves."""
    path = tmp_path / "r"
    processes = [saver(path, value, seconds=1.0) for value in (1, 2)]
    while any(process.poll() is None for process in processes):
        check_whole_unless_replaced(path)
    assert [process.wait() for process in processes] == [0, 0]
    check_whole(path)
    assert [each.name for each in tmp_path.iterdir()] == ["r"]


def check_whole_unless_replaced(path):
    """As `check_whole`, where another process may replace the results while they are read."""
    with contextlib.suppress(StaleError):
        check_whole(path)


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.heavy)])
@pytest.mark.job
def test_a_killed_save_leaves_whole_results(tmp_path, kills):
    """Catches a moment in which the old results are gone and the new ones are not there."""
    path, moments = tmp_path / "r", random.Random(0)
    for kill in range(kills):
        process = saver(path, kill)
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_whole(path)
    dl.save(results(), path)
    assert [each.name for each in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("renames", [1, 2])
def test_killed_between_the_renames(tmp_path, renames):
    """Catches old results that were moved away and cannot be found, and leftovers that stay for ever."""
    dl.save(results(1), tmp_path / "r")
    code = f"""
import os, pathlib, signal, numpy as np, xarray as xr, dlcore as dl
rename, calls = pathlib.Path.rename, []
def killing(self, target):
    try:
        return rename(self, target)
    finally:
        calls.append(target)
        if len(calls) == {renames} + 1:
            os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.rename = killing
dl.save(xr.Dataset({{"loss": ("step", np.full(3, 2.0))}}), {str(tmp_path / "r")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    assert float(dl.load(tmp_path / "r").loss[0]) == renames
    dl.save(results(3), tmp_path / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert float(dl.load(tmp_path / "r").loss[0]) == 3


def test_what_a_living_process_writes_is_not_removed(tmp_path):
    """Catches a save that removes the unfinished folder of another."""
    with folders.replacing(tmp_path / "r") as new:
        dl.save(results(1), tmp_path / "r")
        assert new.exists()
    assert not (tmp_path / "r" / "zarr.json").exists()
