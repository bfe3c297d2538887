"""The whole main job: its plan, its seeds, and verdicts of measurements of which something is missing."""

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from processes import wait_until

import dlcore as dl
from benchmarks.__main__ import convergence, studies_of
from benchmarks.convergence import design, job, output, report
from benchmarks.convergence.parts import QUICK, Part, Scale, side_by_side
from dlcore.engine.durable.continuing import num_parts
from dlcore.evidence import Outcome, above
from dlcore.evidence.tables import condition_table

ROOT = Path(__file__).parents[2]
FIGURES = {
    *("convergence", "batch_size_scaling", "train_set", "shuffling", "escape_dwell_times", "escape_shares"),
    *("noise_floor", "endurance"),
}
BLOCK = 98  # of seeds; those that are judged in earnest are 1 to 5


def command_of(output):
    """The quick job."""
    flags = ["--quick", "--seed-block", str(BLOCK), "--output", str(output)]
    return [sys.executable, "-m", "benchmarks", "convergence", *flags]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the command writes; the README beside it."""
    folder = tmp_path_factory.mktemp("job")
    readme = folder / "README.md"
    readme.write_text("before\n<!-- verdicts -->\n<!-- /verdicts -->\n")
    command = [*command_of(folder / "out"), "--readme", str(readme)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def measured(folder):
    """The measurements as they were stored: part to name to data."""
    tree = dl.load(folder / "out" / "history.zarr").load()
    return {
        part.name: {name: node.to_dataset() for name, node in tree[part.name].children.items()} for part in design.PARTS
    }


@pytest.mark.job
def test_the_command_writes_what_it_says(folder):
    """Catches a main job that does not run, leaves out one of its files, or needs something beside its report."""
    out = folder / "out"
    others = {"report.html", "verdict.json", "table.csv", "table.md", "history.zarr", "dlcore.json"}
    assert {path.name for path in out.iterdir()} == others | {f"{n}.{k}" for n in FIGURES for k in ("png", "svg")}
    assert f"(block {BLOCK})" in (folder / "printed.txt").read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", (out / "report.html").read_text())
    assert (out / "table.md").read_text() in (folder / "README.md").read_text()
    document = json.loads((out / "verdict.json").read_text())
    assert document["plan_digest"] == design.plan(QUICK._replace(block=BLOCK)).digest
    assert [claim["name"] for claim in document["claims"]] == list("abcdefgh")
    assert all(claim["judged"] for claim in document["claims"] + document["theory"])
    assert (out / "table.csv").stat().st_size > 1000


@pytest.mark.job
@pytest.mark.heavy  # the whole job once more, in three pieces
def test_killed_twice_and_called_again(folder, measured, tmp_path):
    """Catches measurements that depend on where a job was killed, and runs that are computed twice."""
    output = tmp_path / "out"
    studies = studies_of(output)
    for enough in (60, 150):
        process = subprocess.Popen(command_of(output), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda count=enough: studies.exists() and num_parts(studies) >= count, 300)
        finally:
            process.kill()
        assert process.wait() == -signal.SIGKILL
    there = num_parts(studies)
    done = subprocess.run(command_of(output), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"not computed again: {there} blocks of runs." in done.stdout
    assert num_parts(studies) > there
    for part, found in measured.items():
        for name, data in found.items():
            again = dl.load(output / "history.zarr")[f"{part}/{name}"].to_dataset().load()
            xr.testing.assert_identical(
                again.drop_vars("seconds", errors="ignore"), data.drop_vars("seconds", errors="ignore")
            )
    for picture in FIGURES - {"train_set"}:  # which shows seconds
        assert (output / f"{picture}.png").read_bytes() == (folder / "out" / f"{picture}.png").read_bytes(), picture


@pytest.mark.job
def test_stored_measurements_give_the_verdicts_again(folder, measured):
    """Catches a judge that knows more than what is stored, and numbers that are rounded on the way."""
    found = job.judge(measured, QUICK._replace(block=BLOCK))
    document = json.loads((folder / "out" / "verdict.json").read_text())
    assert [str(verdict.outcome) for verdict in found.verdicts] == [claim["outcome"] for claim in document["claims"]]
    stored = pd.read_csv(folder / "out" / "table.csv")
    again = condition_table([*found.verdicts, *found.theory])
    keys = ["claim", "part", "condition"]
    columns = [*keys, "estimate", "low", "high", "count", "outcome"]
    stored, again = (table[columns].sort_values(keys, ignore_index=True) for table in (stored, again))
    pd.testing.assert_frame_equal(stored, again, check_dtype=False, rtol=1e-9)


def test_a_page_without_a_place_is_refused_before_the_measurement(tmp_path, monkeypatch):
    """Catches minutes of measurement whose table has nowhere to go."""
    monkeypatch.setattr(dl, "setup", lambda: None)
    monkeypatch.setattr(job, "measure", lambda *_: pytest.fail("measured"))
    (tmp_path / "README.md").write_text("no place")
    with pytest.raises(dl.ArgumentError, match="has no one place for the verdicts"):
        convergence(output=tmp_path / "out", readme=tmp_path / "README.md")


def poisoned(data: xr.Dataset, value: float, share: float) -> xr.Dataset:
    """So large a share of all measured numbers replaced; limits are no measurements."""
    random = np.random.default_rng(0)
    changed = {
        name: (array.dims, np.where(random.random(array.shape) < share, value, array.values))
        for name, array in data.data_vars.items()
        if array.dtype.kind == "f" and name != "limit"
    }
    return data.assign(changed)


POISONS = {
    "nothing known": lambda data: poisoned(data, np.nan, 1.0),
    "partly unknown": lambda data: poisoned(data, np.nan, 0.3),
    "infinite": lambda data: poisoned(data, np.inf, 1.0),
    "partly infinite": lambda data: poisoned(data, np.inf, 0.3),
    "zero": lambda data: poisoned(data, 0.0, 1.0),
    "equal": lambda data: poisoned(data, 1.0, 1.0),
    "one seed": lambda data: data.isel(seed=slice(1), missing_dims="ignore"),
}


def check_all_there(results):
    """All claims are there once."""
    assert [verdict.claim.name for verdict in results.verdicts] == list("abcdefgh")
    assert [verdict.claim.name for verdict in results.theory] == ["rate", "floor", "published"]


@pytest.mark.job
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")  # of numpy and matplotlib, on such numbers
@pytest.mark.parametrize("poison", POISONS)
def test_numbers_that_say_nothing_are_shown_as_such(measured, tmp_path, monkeypatch, poison):
    """Catches an error after minutes of measurement, and a claim that is supported by nothing."""
    monkeypatch.setattr(report, "DPI", 10)
    parts = {part: {name: POISONS[poison](data) for name, data in found.items()} for part, found in measured.items()}
    results = job.judge(parts, QUICK)
    check_all_there(results)
    if poison in ("nothing known", "infinite"):  # of which nothing can be drawn
        output.store(results, tmp_path / "out")
    if poison == "nothing known":
        decided = {v.claim.name for v in results.verdicts if v.outcome is not Outcome.INCONCLUSIVE}
        assert decided <= {"g"}, "claim g counts runs, which are always known"


def test_parts_that_were_not_measured():
    """Catches a judge, a figure or a table of a part that fails without its data."""
    results = job.judge({part.name: {} for part in design.PARTS}, QUICK)
    check_all_there(results)
    assert not results.pictures
    assert {verdict.outcome for verdict in [*results.verdicts, *results.theory]} == {Outcome.INCONCLUSIVE}


@pytest.mark.job
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("part", design.PARTS, ids=lambda part: part.name)
def test_each_measurement_of_a_part_may_be_missing(measured, part: Part):
    """Catches a judge that takes a problem or an experiment for granted."""
    for missing in measured[part.name]:
        rest = {name: data for name, data in measured[part.name].items() if name != missing}
        assert [verdict.claim for verdict in part.judge(rest)] == list(part.claims)
        part.draw(rest), part.tables(rest)


@pytest.mark.job
def test_figures_belong_to_claims_of_their_part(folder, measured):
    """Catches a figure that no claim points to, or that the page points to from the wrong one."""
    for part in design.PARTS:
        names = {claim.name for claim in part.claims}
        pictures = part.draw(measured[part.name])
        assert all(set(picture.claims) <= names and picture.claims for picture in pictures), part.name


def test_the_plan_names_everything():
    """Catches a claim that is planned twice or not at all, and a plan without its seeds."""
    plan = design.plan(Scale())
    names = [claim.name for claim in plan.claims]
    assert sorted(names) == sorted(["floor", "published", "rate", *"abcdefgh"])
    text = plan.to_json()["design"]
    assert text["block"] == 1
    assert text["seeds"] == f"{Scale().seeds[0]} to {Scale().seeds[-1]}"
    for claim in plan.claims:
        assert len({part.name for part in claim.parts}) == len(claim.parts) > 0, claim.name
        assert all(part.statement.strip() and part.quantity.strip() for part in claim.parts), claim.name


def test_the_digest_changes_with_what_is_planned(monkeypatch):
    """Catches a threshold, a seed or a target that can be changed without a trace."""
    plan = design.plan(Scale())
    assert design.plan(Scale()).digest == plan.digest
    claim = plan.claims[0]
    stricter = claim._replace(parts=(claim.parts[0]._replace(holds=above(1234.5)), *claim.parts[1:]))
    others = [
        design.plan(Scale(block=2)),
        design.plan(Scale(num_seeds=15)),
        design.plan(Scale(num_tuning_seeds=15)),
        design.plan(QUICK),
        plan._replace(claims=(stricter, *plan.claims[1:])),
        plan._replace(history=()),
    ]
    first = design.PARTS[0]
    monkeypatch.setattr(design, "PARTS", (first._replace(claims=(stricter,)), *design.PARTS[1:]))
    others.append(design.plan(Scale()))
    assert len({plan.digest, *(other.digest for other in others)}) == len(others) + 1


@pytest.mark.parametrize("scale", [Scale(), QUICK])
def test_seeds_of_blocks_and_of_tuning_are_apart(scale):
    """Catches runs that are judged at settings which they chose themselves, and blocks that confirm themselves."""
    seeds = [seeds for block in range(100) for seeds in _seeds(scale._replace(block=block))]
    together = np.concatenate(seeds)
    assert len(np.unique(together)) == len(together)
    assert together.max() < np.iinfo(np.int32).max


def _seeds(scale: Scale) -> list[np.ndarray]:
    return [scale.seeds, scale.tuning_seeds]


def test_side_by_side():
    """Catches results in the order of their ends, and tasks that wait for each other."""
    second_runs = threading.Event()

    def first():
        assert second_runs.wait(30)
        return 1

    def second():
        second_runs.set()
        return 2

    assert side_by_side([first, second], 2) == [1, 2]
    assert side_by_side([], 2) == []


def test_an_error_side_by_side_is_raised():
    """Catches a part that fails and is left out."""

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side([lambda: 1, fail], 1)
