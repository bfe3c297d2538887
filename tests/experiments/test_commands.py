"""The command line of the experiments, with two made-up ones: what it writes, compares, reproduces, and how it ends."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import dlcore as dl
from dlcore.evidence import (
    Claim,
    Evidence,
    Experiment,
    Outcome,
    Picture,
    Revision,
    Scale,
    SubClaim,
    Verdict,
    above,
    agreement,
)
from dlcore.evidence.intervals import mean_interval
from experiments import __main__ as commands
from experiments import execution, page, reproduction
from experiments.catalog import load, names

CLAIM = Claim("positive", "It is positive.", (SubClaim("mean", "On average.", "mean of the runs", above(0.0)),))
FIRST = (Revision(1, "2026-11-26", "First plan."),)
ANSWERS = {"positive": {Outcome.SUPPORTED: "Yes, | it is."}}


def measure(scale):
    values = [np.random.default_rng(int(seed)).normal(1.0, 0.1) for seed in scale.seeds(scale.of({"default": 8}))]
    data = xr.Dataset({"value": ("seed", values), "took": ((), np.random.default_rng().uniform(), {"units": "s"})})
    return {"runs": data}


def judge(measured):
    return [Verdict(CLAIM, {"mean": [Evidence("here", mean_interval(measured["runs"].value.values))]})]


def draw(measured):
    figure = Figure()
    figure.subplots().plot(measured["runs"].value)
    return [Picture("values", "The values.", figure)]


GOOD = Experiment("Is it?", (CLAIM,), {"number of seeds": 8}, measure, judge, draw, ANSWERS, FIRST)


def broken(scale):
    raise ZeroDivisionError("no such luck")


@pytest.fixture
def catalog(monkeypatch):
    """The experiments that there are, by name; may be changed."""
    experiments = {"first": GOOD, "second": GOOD}
    for module in (commands, execution, reproduction):
        monkeypatch.setattr(module, "load", experiments.__getitem__)
    monkeypatch.setattr(commands, "names", lambda: list(experiments))
    monkeypatch.setattr(page, "part_of", lambda name: "optimization")
    monkeypatch.setattr(dl, "setup", lambda: None)
    return experiments


def test_a_run_leaves_results_figures_and_verdicts(catalog, tmp_path, capsys):
    """Catches files that are missing, a plan that is not named, numbers without their origin."""
    commands.run("first", output=tmp_path / "out", seed_block=2)
    printed = capsys.readouterr().out
    assert "supported" in printed
    assert "positive: Yes, | it is." in printed
    files = {path.name for path in (tmp_path / "out" / "first").iterdir()}
    assert files >= {"results.zarr", "values.png", "values.svg", "verdict.json", "table.csv", "captions.json"}
    document = json.loads((tmp_path / "out" / "first" / "verdict.json").read_text())
    assert document["provenance"].items() >= {"experiment": "first", "block": 2, "revision": 1}.items()
    assert (
        document["plan"]["design"].items()
        >= {"number of seeds": 8, "seeds": "from 1020000 on", "block": 2, "scale": "default"}.items()
    )


def test_all_of_them(catalog, tmp_path, capsys):
    """Catches a line that says too little, a page that is not written, an experiment that hides that another failed."""
    readme = tmp_path / "README.md"
    readme.write_text("Before.\n<!-- verdicts -->\nearlier\n<!-- /verdicts -->\nAfter.\n")
    commands.all_(output=tmp_path / "out", readme=readme)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(";")[0] for line in lines] == [
        f"{name}: Is it? positive supported; 1 of 1 conditions" for name in ("first", "second")
    ]
    text = readme.read_text()
    row = r"| [Is it?](optimization/second.py) | It is positive. | ✓ supported | 1 of 1 | Yes, \| it is. |"
    assert row in text.splitlines()
    assert "earlier" not in text

    catalog["first"] = GOOD._replace(measure=broken)
    with pytest.raises(SystemExit) as ended:
        commands.all_(output=tmp_path / "out", readme=readme)
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert "first: could not run: ZeroDivisionError: no such luck\nsecond: Is it?" in printed.out
    assert printed.err == "error: 1 of 2 experiments could not run: first\n"


def test_results_are_reproduced(catalog, tmp_path, capsys):
    """Catches numbers that changed, a flipped verdict or another plan that passes as the same."""
    commands.run("first", output=tmp_path / "out")
    folder = tmp_path / "out" / "first"
    commands.reproduce(folder)
    assert "first: all numbers but seconds are the same to the bit, all verdicts agree." in capsys.readouterr().out

    def shifted(scale):
        return {"runs": measure(scale)["runs"] - 5.0}

    catalog["first"] = GOOD._replace(measure=shifted)
    with pytest.raises(SystemExit) as ended:
        commands.reproduce(folder)
    assert ended.value.code == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "differs: runs, value: 100.0% of 8 numbers" in printed
    assert "not all numbers are the same, verdicts differ: positive" in printed
    catalog["first"] = GOOD._replace(design={"number of seeds": 9})
    with pytest.raises(dl.ArgumentError, match=r"another plan than first .* differ in design.number of seeds\."):
        commands.reproduce(folder)
    catalog["first"] = GOOD._replace(design={"seeds": 9})
    with pytest.raises(dl.ArgumentError, match="entries \\['seeds'\\], which the plan adds"):
        commands.reproduce(folder)
    with pytest.raises(dl.ArgumentError, match="cannot read"):
        commands.reproduce(tmp_path / "out" / "third")


def test_blocks_agree(catalog, tmp_path, capsys):
    """Catches blocks that share seeds, and a verdict that flips unseen."""
    folders = tuple(tmp_path / f"block-{block}" for block in (1, 2))
    for block, folder in enumerate(folders, start=1):
        commands.all_(output=folder, seed_block=block)
    capsys.readouterr()
    commands.agreement(folders)
    assert capsys.readouterr().out.count("items that agree: 3 of 3") == 2
    first, second = (dl.load(folder / "first" / "results.zarr")["runs"] for folder in folders)
    assert not np.isin(first.value.values, second.value.values).any()
    with pytest.raises(dl.ArgumentError, match="seed_block"):
        commands.run("first", seed_block=100)
    with pytest.raises(dl.ArgumentError, match="seed_block"):
        commands.all_(output=tmp_path / "out", seed_block=100)
    with pytest.raises(dl.ArgumentError, match="got 1 folders; expects the output of `all` for two"):
        commands.agreement(folders[:1])


def test_the_page_has_the_committed_verdicts():
    """Catches a page that was not written anew, and a statement whose verdict depends on the seeds."""
    folder = pathlib.Path(page.__file__).parent
    text = (folder / "README.md").read_text()
    found = page.documents(folder / "results" / "block-1", names())
    assert page.table(found) in text
    blocks = [folder / "results" / f"block-{block}" for block in (1, 2, 3)]
    items = pd.concat([agreement([block / name / "verdict.json" for block in blocks]) for name in names()])
    assert items["agrees"].all()
    assert f"the same outcome in all {len(items)} items" in text
    assert f"{sum(len(document['claims']) for document in found.values())} statements" in text
    digests = {name: load(name).plan(Scale(revision=len(load(name).history))).digest for name in names()}
    assert {name: document["plan_digest"] for name, document in found.items()} == digests
