"""What the benchmarks measured is on disk before anything can go wrong with showing it."""

import json

import pandas as pd
import pytest
import xarray as xr

import dlcore as dl
from benchmarks import timing
from benchmarks.convergence import job, report
from benchmarks.convergence.measure import QUICK


def measured(value):
    """Results of the main job with one study."""
    studies = {"published": xr.Dataset({"loss": value})}
    return job.Results({}, {}, studies, [], pd.DataFrame({"value": [value]}), QUICK, 0.0)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_figures_that_fail_do_not_lose_the_measurements(tmp_path, monkeypatch, error):
    """Catches hours of measurements that go with an error of matplotlib."""

    def fail(results, folder):
        raise error

    monkeypatch.setattr(report, "write", fail)
    with pytest.raises(error) as caught:
        job.store(measured(1.0), tmp_path / "out")
    assert "history.zarr and table.csv" in caught.value.__notes__[0]
    assert float(dl.load(tmp_path / "out" / "history.zarr")["studies/published"].to_dataset().loss) == 1
    monkeypatch.setattr(report, "write", lambda results, folder: None)
    job.store(measured(2.0), tmp_path / "out")
    assert float(dl.load(tmp_path / "out" / "history.zarr")["studies/published"].to_dataset().loss) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_job_replaces_only_what_it_wrote(tmp_path, monkeypatch):
    """Catches `--output docs` that removes docs."""
    monkeypatch.setattr(report, "write", lambda results, folder: None)
    job.store(measured(1.0), tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("years of work")
    with pytest.raises(dl.ArgumentError, match=r"holds 'notes\.txt', which dlcore did not write"):
        job.store(measured(2.0), tmp_path / "out")


def test_each_part_is_written_once_it_is_measured(tmp_path):
    """Catches measurements of all parts lost to the last one."""

    def first(repeats):
        """One."""
        return {"seconds": 1.0}

    def second(repeats):
        """Two."""
        assert json.loads(output.read_text())["first"] == {"seconds": 1.0}
        raise ZeroDivisionError

    output = tmp_path / "a" / "b.json"
    for _ in range(2):  # over its own file, too
        with pytest.raises(ZeroDivisionError):
            timing.measure({"first": first, "second": second}, (), 1, output)
    assert [path.name for path in output.parent.iterdir()] == ["b.json"]


@pytest.mark.parametrize("content", ["years of work", "[1]", '{"a": 1}', "1"])
def test_a_file_of_somebody_else_is_not_overwritten(tmp_path, content):
    """Catches `--output thesis.json` overwritten, or refused only after measuring."""
    (tmp_path / "thesis.json").write_text(content)
    with pytest.raises(dl.ArgumentError, match="is there and no file of measurements; choose another path"):
        timing.measure({}, (), 1, tmp_path / "thesis.json")
    assert (tmp_path / "thesis.json").read_text() == content
