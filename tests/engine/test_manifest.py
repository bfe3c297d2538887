"""What is not as it was written is an error that names the file, at opening or when values are read."""

import json
import pickle
import shutil

import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from dlcore.engine.manifest import NAME, write_manifest

FILES = ("loss/c/0/0", "loss/zarr.json", "zarr.json", "seed/c/0", "finite/c/0")


def results(seed=1):
    """Results of which each variable has a chunk on disk."""
    values = np.random.default_rng(seed).normal(size=(20, 50)).astype(np.float32)
    return xr.Dataset(
        {"loss": (("seed", "step"), values), "finite": ("seed", np.ones(20, bool))}, {"seed": np.arange(20)}
    )


@pytest.fixture
def runs(tmp_path):
    """A store."""
    dl.save(results(), tmp_path / "runs")
    return tmp_path / "runs"


def damaged(file, how):
    """Damage a file."""
    content = bytearray(file.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    elif how == "cut":
        file.write_bytes(content[:-1])
    else:
        file.unlink()
        {"missing": lambda: None, "folder": file.mkdir, "link": lambda: file.symlink_to("/etc/passwd")}[how]()


@pytest.mark.parametrize("how", ["flip", "cut", "missing", "folder", "link"])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_named(runs, name, how):
    """Catches NaN for a missing chunk, other numbers for a flipped bit, a coordinate that is gone."""
    damaged(runs / name, how)
    with pytest.raises(dl.DataError, match=f"{runs / name} .*Measure again"):
        dl.load(runs).load()


@pytest.mark.parametrize("how", ["flip", "cut", "folder", "link"])
def test_a_damaged_manifest_is_named(runs, how):
    """Catches a list of files that nothing protects."""
    damaged(runs / NAME, how)
    with pytest.raises(dl.DataError, match=f"{runs / NAME} is damaged"):
        dl.load(runs)


def test_a_changed_checksum_is_noticed(runs):
    """Catches a flipped digit in the manifest taken for damage of the data."""
    text = (runs / NAME).read_text()
    digest = json.loads(text)["files"]["loss/c/0/0"][1]
    (runs / NAME).write_text(text.replace(digest, digest[::-1]))
    with pytest.raises(dl.DataError, match=f"{NAME} is damaged: its checksum"):
        dl.load(runs)


def test_damage_after_opening_is_named(runs):
    """Catches files verified at opening only."""
    old = dl.load(runs)
    damaged(runs / "loss/c/0/0", "flip")
    assert old.finite.values.all()
    with pytest.raises(dl.DataError, match="loss/c/0/0 is damaged: its checksum"):
        _ = old.loss.values


def test_values_are_read_when_used(runs):
    """Catches everything read at opening: damage is seen only where it is."""
    damaged(runs / "loss/c/0/0", "flip")
    assert dl.load(runs).finite.values.all()


def test_results_replaced_since(runs):
    """Catches new numbers under old labels."""
    old = dl.load(runs)
    dl.save(results(2), runs)
    with pytest.raises(dl.DataError, match=r"were replaced since they were loaded.*Load them again"):
        _ = old.loss.values


def test_results_removed_since(runs):
    """Catches NaN for a store that is gone."""
    old = dl.load(runs)
    shutil.rmtree(runs)
    with pytest.raises(dl.DataError, match="were removed since they were loaded"):
        _ = old.loss.values


def test_lazy_results_can_be_sent_to_a_worker(runs):
    """Catches a store that cannot be pickled."""
    xr.testing.assert_identical(pickle.loads(pickle.dumps(dl.load(runs))).load(), results())


def test_chunks_have_checksums_of_their_own(runs):
    """Catches stores that other readers of Zarr cannot verify."""
    names = [codec["name"] for codec in json.loads((runs / "loss/zarr.json").read_text())["codecs"]]
    assert names == ["bytes", "zstd", "crc32c"]


@pytest.mark.parametrize(
    "change",
    [
        {"zarr_format": 2},
        {"codecs": [{"name": "numcodecs.pickle"}]},
        {"codecs": [{"name": "bytes"}, {"name": "sharding_indexed"}]},
        {"storage_transformers": [{"name": "x"}]},
        {"data_type": {"name": "object"}},
        {"node_type": "other"},
        {"codecs": None},
    ],
)
def test_metadata_that_save_does_not_write_is_not_given_to_zarr(runs, change):
    """Catches a store, complete with checksums, that has objects unpickled."""
    file = runs / "loss/zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    (runs / NAME).unlink()
    write_manifest(runs)
    with pytest.raises(dl.DataError, match=r"loss/zarr\.json is no metadata that dlcore.save writes"):
        dl.load(runs)


def test_metadata_of_the_second_version_is_not_read(runs):
    """Catches `.zarray` beside a folder named zarr.json, from which objects were unpickled."""
    (runs / "loss/zarr.json").unlink()
    (runs / "loss/zarr.json").mkdir()
    (runs / "loss/.zarray").write_text("{}")
    (runs / NAME).unlink()
    write_manifest(runs)
    with pytest.raises(dl.DataError, match=r"is no file that dlcore\.save writes"):
        dl.load(runs)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", ""])
def test_a_manifest_does_not_lead_outside(runs, name):
    """Catches files read that are not in the store."""
    from dlcore.engine import manifest

    files = {name: (1, "0")}
    text = json.dumps({"format": 1, "sha256": manifest._identity(files), "files": files})
    (runs / NAME).write_text(text)
    with pytest.raises(dl.DataError, match="damaged"):
        dl.load(runs)


def test_a_store_without_manifest(runs):
    """Catches a store of other origin opened without checks."""
    (runs / NAME).unlink()
    with pytest.raises(dl.ArgumentError, match=r"no results at .*open it with xarray.open_zarr"):
        dl.load(runs)
