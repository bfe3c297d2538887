"""Results on disk come back as they were, and an interrupted save leaves the old ones."""

import re

import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from dlcore.engine import store


def results(value=1.0):
    """Results with numbers, flags, labels of words, further coordinates, descriptions."""
    return xr.Dataset(
        {
            "loss": (("activation", "step"), np.full((2, 3), value, np.float32), {"description": "mean loss"}),
            "finite": (("activation", "step"), np.ones((2, 3), bool)),
            "note": (("activation",), np.array(["good", "very bad"])),
        },
        {"activation": np.array(["relu", "tanh"], object), "step": [0, 1, 2], "epoch": ("step", [0.0, 0.5, 1.0])},
        {"jax_version": "1.2", "x64": 0},
    )


def test_results_come_back(tmp_path):
    """Catches lost dtypes, coordinates, strings, NaN or attributes."""
    there = results()
    there["loss"][0, 1] = np.nan
    dl.save(there, tmp_path / "a" / "runs.zarr")
    back = dl.load(tmp_path / "a" / "runs.zarr")
    assert isinstance(back, xr.Dataset)
    xr.testing.assert_equal(back, there)
    assert back.loss.dtype == np.float32
    assert back.finite.dtype == bool
    assert back.loss.attrs == {"description": "mean loss"}
    assert back.attrs == there.attrs
    assert back.note.values.tolist() == ["good", "very bad"]
    assert back.sel(activation="tanh").loss.shape == (3,)


def test_names_of_paths(tmp_path):
    """Catches paths given as text refused."""
    dl.save(results(), str(tmp_path / "runs"))
    assert float(dl.load(str(tmp_path / "runs")).loss[0, 0]) == 1


def test_saving_does_not_change_the_results(tmp_path):
    """Catches strings converted in place."""
    there = results()
    dl.save(there, tmp_path / "runs")
    assert there.identical(results())


def test_groups_come_back(tmp_path):
    """Catches groups flattened or dropped."""
    tree = xr.DataTree.from_dict({"/": results(0), "/mlp": results(1), "/mlp/tuned": results(2)})
    dl.save(tree, tmp_path / "tree.zarr")
    back = dl.load(tmp_path / "tree.zarr")
    assert isinstance(back, xr.DataTree)
    for path, value in {"/": 0, "/mlp": 1, "/mlp/tuned": 2}.items():
        assert float(back[path].to_dataset().loss[0, 0]) == value
        assert back[path].to_dataset().note.values.tolist() == ["good", "very bad"]


def test_saving_again_replaces(tmp_path):
    """Catches old variables that survive in the store, and folders left behind."""
    dl.save(results(1).assign(extra=("step", [1, 2, 3])), tmp_path / "runs")
    dl.save(results(2), tmp_path / "runs")
    back = dl.load(tmp_path / "runs")
    assert "extra" not in back
    assert float(back.loss[0, 0]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_saving_over_what_is_being_read(tmp_path):
    """Catches a store emptied under the lazy results that are being written to it."""
    dl.save(results(3), tmp_path / "runs")
    dl.save(dl.load(tmp_path / "runs"), tmp_path / "runs")
    assert float(dl.load(tmp_path / "runs").loss[0, 0]) == 3


def test_an_interrupted_save_leaves_the_old_results(tmp_path, monkeypatch):
    """Catches a store written in place: half new and half old."""
    dl.save(results(1), tmp_path / "runs")
    to_zarr = xr.DataTree.to_zarr

    def interrupted(self, *arguments, **settings):
        to_zarr(self, *arguments, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_zarr", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dl.save(results(2), tmp_path / "runs")
    assert float(dl.load(tmp_path / "runs").loss[0, 0]) == 1
    monkeypatch.undo()
    dl.save(results(3), tmp_path / "runs")
    assert float(dl.load(tmp_path / "runs").loss[0, 0]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("call", ["first", "second"])
def test_an_interrupted_replacement_loses_nothing(tmp_path, monkeypatch, call):
    """Catches a moment in which the old results are gone and the new ones cannot be found."""
    dl.save(results(1), tmp_path / "runs")
    rename, calls = type(tmp_path).rename, []

    def interrupted(self, target):
        calls.append(target)
        if len(calls) == ["first", "second"].index(call) + 1:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dl.save(results(2), tmp_path / "runs")
    monkeypatch.undo()
    assert float(dl.load(tmp_path / "runs").loss[0, 0]) in (1, 2)


def test_no_results_there(tmp_path):
    """Catches an error of Zarr that does not say what to do."""
    path = tmp_path / "nothing"
    with pytest.raises(
        dl.ArgumentError,
        match=rf"no results at '{re.escape(str(path))}'; dlcore.save.* or dlcore.sweep",
    ):
        store.load(path)


def test_something_else_there(tmp_path):
    """Catches errors of Zarr or xarray about a folder that holds no results."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file"):
        with pytest.raises(dl.ArgumentError, match="no results at"):
            dl.load(tmp_path / name)
