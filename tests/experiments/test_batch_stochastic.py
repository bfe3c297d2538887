"""The question that the main job answers."""

import pytest
import xarray as xr
from rich.console import Console

from benchmarks.convergence import design, gradients, job, orders, output
from benchmarks.convergence.parts import QUICK
from dlcore.evidence import Outcome, Scale
from experiments.optimization import batch_stochastic

BLOCK = 90


@pytest.fixture
def two_parts(monkeypatch):
    """The main job with two of its parts."""
    monkeypatch.setattr(design, "PARTS", (gradients.PART, orders.PART))
    monkeypatch.setattr(job, "PARTS", design.PARTS)


@pytest.mark.job
def test_what_the_main_job_has_written_is_read(two_parts, tmp_path, monkeypatch):
    """Catches results of another plan or other seeds, measured twice or judged in another way than the job does."""
    monkeypatch.setattr(batch_stochastic, "OUTPUT", tmp_path / "job")
    scale = QUICK._replace(block=BLOCK)
    results = job.measure(scale, Console(quiet=True))
    output.store(results, tmp_path / "job")
    monkeypatch.setattr(job, "measure", lambda *_: pytest.fail("measured again"))
    measured = batch_stochastic.measure(Scale("quick", BLOCK, studies=tmp_path))
    for part, found in results.parts.items():
        for name, data in found.items():
            xr.testing.assert_equal(measured[f"{part}/{name}"], data)
    found = {each.claim.name: each.outcome for each in batch_stochastic.judge(measured)}
    assert found == {each.claim.name: each.outcome for each in results.verdicts if each.claim.name in job.CLAIMS}
    assert Outcome.SUPPORTED in found.values()
    drawn = {each.name for each in batch_stochastic.draw(measured)}
    assert drawn == {each.name for each in results.pictures} & set(batch_stochastic.SHOWN)
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        batch_stochastic.measure(Scale("quick", BLOCK + 1, studies=tmp_path))
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        batch_stochastic.measure(Scale("quick", BLOCK))  # nothing is kept, so that it can be reproduced
    assert output.read(tmp_path / "nowhere", scale) is None
