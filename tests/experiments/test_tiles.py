"""The trainability map in tiles: put together rightly, and gone on with after a kill."""

import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from dlcore.engine.durable.continuing import num_parts
from experiments import tiles

ROOT = pathlib.Path(__file__).parents[2]


def test_tiles_make_the_map(tmp_path, monkeypatch):
    """Catches tiles in the wrong place, rates that are not those of the cells, and rows of unequal tiles."""
    monkeypatch.setattr(tiles, "STEPS", {"default": 4})
    monkeypatch.setattr(tiles, "LANES", 16)
    whole = tiles.run_tiles(7, 8, 8, tmp_path / "whole")
    cut = tiles.run_tiles(7, 8, 5, tmp_path / "cut")
    xr.testing.assert_identical(whole.drop_attrs(), cut.drop_attrs())
    assert len(list((tmp_path / "cut").glob("tile-*"))) == 4
    assert whole.first_rate.values == pytest.approx(10 ** np.linspace(-1, 4, 8))


def begun(output):
    """The command, running."""
    arguments = ["--size", "64", "--tile", "32", "--seed-block", "90", "--output", str(output)]
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", "map", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.heavy
def test_a_map_goes_on_after_a_kill(tmp_path):
    """Catches a map of which finished runs are lost or computed twice, or that differs once it was killed."""
    kept = tmp_path / "killed-studies" / "64-32-90"
    process = begun(tmp_path / "killed")
    deadline = time.monotonic() + 300
    while num_parts(kept) < 6:  # the second of four tiles, each of four blocks
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    there = num_parts(kept)
    assert 6 <= there < 16
    assert not (tmp_path / "killed").exists()
    said = begun(tmp_path / "killed").communicate(timeout=300)[0]
    assert f"not computed again: {there} blocks of runs" in said
    assert f"{(16 - there) * 256:,} runs of 500 steps in" in said
    assert "runs a second" in said
    undisturbed = begun(tmp_path / "whole")
    undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0
    killed, whole = (dl.load(tmp_path / name / "results.zarr") for name in ("killed", "whole"))
    xr.testing.assert_identical(killed.drop_attrs(), whole.drop_attrs())
    for name in ("map.html", "map.png", "map.svg"):
        assert (tmp_path / "killed" / name).stat().st_size > 5000
