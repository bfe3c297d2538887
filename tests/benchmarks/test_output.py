"""What the benchmarks measured is on disk before anything can go wrong with showing it."""

import json

import pandas as pd
import pytest
import xarray as xr

import dlcore as dl
from benchmarks import timing
from benchmarks.convergence import output, report
from benchmarks.convergence.parts import QUICK
from benchmarks.convergence.results import Results
from dlcore.evidence import Claim, Evidence, Plan, SubClaim, Verdict, above, exact


def measured(value):
    """Results of the main job with one part, and one claim that it supports."""
    claim = Claim("a", "It is so.", (SubClaim("size", "It is large.", "size in m", above(0.0)),))
    verdict = Verdict(claim, {"size": [Evidence("here", exact(value))]})
    parts = {"published": {"runs": xr.Dataset({"loss": value})}}
    return Results(Plan("Is it so?", (claim,), {}, ()), parts, [verdict], [], [], {}, QUICK, 0.0)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_figures_that_fail_do_not_lose_the_measurements(tmp_path, monkeypatch, error):
    """Catches hours of measurements that go with an error of matplotlib."""

    def fail(results, folder):
        raise error

    monkeypatch.setattr(report, "write", fail)
    with pytest.raises(error) as caught:
        output.store(measured(1.0), tmp_path / "out")
    assert "history.zarr, verdict.json and table.csv" in caught.value.__notes__[0]
    assert float(dl.load(tmp_path / "out" / "history.zarr")["published/runs"].to_dataset().loss) == 1
    assert json.loads((tmp_path / "out" / "verdict.json").read_text())["claims"][0]["outcome"] == "supported"
    assert pd.read_csv(tmp_path / "out" / "table.csv").estimate.tolist() == [1.0]
    monkeypatch.setattr(report, "write", lambda results, folder: None)
    output.store(measured(2.0), tmp_path / "out")
    assert float(dl.load(tmp_path / "out" / "history.zarr")["published/runs"].to_dataset().loss) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_job_replaces_only_what_it_wrote(tmp_path, monkeypatch):
    """Catches `--output docs` that removes docs."""
    monkeypatch.setattr(report, "write", lambda results, folder: None)
    output.store(measured(1.0), tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("years of work")
    with pytest.raises(dl.ArgumentError, match=r"holds 'notes\.txt', which dlcore did not write"):
        output.store(measured(2.0), tmp_path / "out")


def test_two_blocks_are_stored_with_their_seeds(tmp_path, monkeypatch):
    """Catches files that do not say which seeds they are of."""
    monkeypatch.setattr(report, "write", lambda results, folder: None)
    for block in (91, 92):
        output.store(measured(1.0)._replace(scale=QUICK._replace(block=block)), tmp_path / str(block))
        document = json.loads((tmp_path / str(block) / "verdict.json").read_text())
        assert document["provenance"]["block"] == block
        assert dl.load(tmp_path / str(block) / "history.zarr").attrs["block"] == block


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
