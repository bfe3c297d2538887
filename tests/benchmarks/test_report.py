"""Every number and verdict reaches the page, the terminal and the README, in a form that everybody can read."""

import base64
import html.parser
import io
import json
import math
import re

import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

import dlcore as dl
from benchmarks.convergence import output, report, verdicts
from benchmarks.convergence.parts import QUICK, Picture
from benchmarks.convergence.results import Results
from dlcore.evidence import (
    Check,
    Claim,
    Evidence,
    Interval,
    Plan,
    Revision,
    SubClaim,
    Verdict,
    above,
    blocks,
    exact,
    tables,
    undetermined,
)
from dlcore.evidence.pages import check_page, update_page

VALUES = {"supported": [exact(2.0)], "refuted": [exact(0.5)], "conditional": [exact(2.0), exact(0.5)], "missing": []}


def verdict(name, intervals):
    """A verdict of one sub-claim; texts that HTML and Markdown have to escape."""
    part = SubClaim("speed", "It is <b>faster</b>.", "ratio of steps & more", above(1.0, margin=1.25))
    evidence = {"speed": [Evidence(f"x < {i} | y", interval, "a note") for i, interval in enumerate(intervals)]}
    checks = [Check("1 = 1", True, "0"), Check("1 = 2", False, "1")] if name == "a" else []
    return Verdict(Claim(name, f"Claim {name} | so it is.", (part,)), evidence, checks)


def made_up():
    """Results with all outcomes and bounds, two figures and a table."""
    censored = Interval(math.nan, 1.5, math.inf, 7, bound="at least", tails=lambda x: (1e-9, 1.0))
    cases = [*VALUES.values(), [censored, undetermined("nothing arrived", 7)]]
    found = [verdict(name, intervals) for name, intervals in zip("abcde", cases, strict=True)]
    design = {
        "problems": {"bowl": {"rows": 8}},
        "tuning_rule": "the best rate",
        "rates": [0.5, 1.0],
        "none": [{"a": "b"}],
    }
    plan = Plan("What is so?", tuple(v.claim for v in found), design, (Revision(1, "2026-01-01", "the first one"),))
    figures = []
    for name in ("one", "two"):
        figure = Figure(figsize=(2, 2), layout="constrained")
        figure.subplots().plot([1, 2])
        figures.append(Picture(name, f"Figure of {name}.", figure, ("a", "b") if name == "two" else ()))
    table = pd.DataFrame({"size": ["full"], "steps": [12034.0], "epochs": [math.nan]})
    parts = {"part": {"runs": xr.Dataset({"loss": 1.0})}}
    return Results(plan, parts, found, [verdict("theory", [exact(3.0)])], figures, {"Costs": table}, QUICK, 12.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything that the job writes."""
    folder = tmp_path_factory.mktemp("report") / "out"
    output.store(made_up(), folder)
    return folder


class Outline(html.parser.HTMLParser):
    """Elements with their attributes, and whether they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note the element."""
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the innermost element."""
        assert self.open.pop() == tag


def test_files(folder):
    """Catches a file that is left out, or not listed for the next run to replace."""
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{name}.{kind}" for name in ("one", "two") for kind in ("png", "svg")}
    others = {"report.html", "verdict.json", "table.csv", "table.md", "history.zarr", "dlcore.json"}
    assert names == others | pictures
    assert len(pd.read_csv(folder / "table.csv")) == 7
    output.store(made_up(), folder)


def test_the_page_needs_nothing_else_and_can_be_read_aloud(folder):
    """Catches links out of the page, pictures without a text, headers of nothing, and elements left open."""
    text = (folder / "report.html").read_text()
    page = Outline(text)
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.found if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for tag, attrs in page.found:
        assert not {"link", "script", "details"} & {tag}
        if tag == "img":
            assert attrs["alt"].startswith("Figure ")
            assert base64.b64decode(attrs["src"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
        if tag == "th":
            assert attrs["scope"] in ("row", "col")
        if tag == "a":
            assert attrs["href"].removeprefix("#") in ids
    assert [attrs["lang"] for tag, attrs in page.found if tag == "html"] == ["en"]


def test_the_page_says_all(folder):
    """Catches a verdict, a number, a threshold, a check or where it comes from that is left out."""
    text = html.unescape((folder / "report.html").read_text())
    for outcome, sign in tables.SIGNS.items():
        assert f'<span class="badge {outcome}">{sign} {outcome}</span>' in text
    for expected in (
        "exact: 2",
        "> 1.5 (n=7, censored)",
        "undetermined: nothing arrived",
        "above 1, refuted below 0.8",
        "1 of 2 conditions hold",
        "Not measured",
        "✓ as it must be: 1 = 1",
        "✗ NOT AS IT MUST BE: 1 = 2",
        "ratio of steps & more",
        "<b>Figure 2.</b> Figure of two.",
        "12,034",
        "rows: 8",
        "0.5, 1.0",
        "the best rate",
        "the first one",
        "jaxlib version",
        f"{QUICK.seeds[0]} to {QUICK.seeds[-1]} (block 1)",
        made_up().plan.digest,
        "Of the 5 claims, 1 is supported as stated (a)",
        "(b) Claim b | so it is. Does not hold: speed.",
        "(c) Claim c | so it is. Holds under some conditions: speed (1 of 2).",
        "(d) Claim d | so it is. Is not decided: speed (not measured).",
    ):
        assert expected in text, expected
    assert text.count("See\n") + text.count("See <a") == 2, "claims a and b have a figure"
    assert "x &lt; 0 | y" in (folder / "report.html").read_text(), "texts are escaped"


def test_the_terminal_ends_with_the_verdicts():
    """Catches tables that stop at an outcome, and verdicts that scroll away."""
    stream = io.StringIO()
    report.show(made_up(), Console(file=stream, width=160))
    text = stream.getvalue()
    assert text.index("Costs") < text.index("What theory says") < text.index("What is so?")
    for expected in ("✓ supported", "✗ refuted", "± conditional", "? inconclusive", "1 of 2", "not measured"):
        assert expected in text[text.index("What is so?") :]


def test_the_readme_is_updated_between_its_markers(tmp_path, folder):
    """Catches text around the table that is lost, a table that grows with each run, and cells that break."""
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nafter\n")
    table = verdicts.readme_table(made_up())
    for _ in range(2):
        update_page(page, table)
        text = page.read_text()
        assert text == f"before\n<!-- verdicts -->\n\n{table}\n<!-- /verdicts -->\nafter\n"
    rows = [re.split(r"(?<!\\)\|", line) for line in table.splitlines()]
    assert {len(row) for row in rows} == {7}
    assert rows[2][1:5] == [" a ", " Claim a \\| so it is. ", " ✓ supported ", " 1 of 1 "]
    assert (folder / "table.md").read_text() == table
    for text in ("no markers", "<!-- verdicts -->\n<!-- /verdicts -->\n" * 2):
        page.write_text(text)
        with pytest.raises(dl.ArgumentError, match="has no one place for the verdicts"):
            update_page(page, table)
    with pytest.raises(dl.ArgumentError, match="cannot read"):
        check_page(tmp_path / "missing.md")


def test_blocks_side_by_side(folder, tmp_path):
    """Catches a difference that is not named, and a share of something else."""
    document = json.loads((folder / "verdict.json").read_text())
    document["provenance"]["block"] = 2
    document["claims"][0]["parts"][0]["conditions"][0]["outcome"] = "inconclusive"
    other = tmp_path / "verdict.json"
    other.write_text(json.dumps(document))
    stream = io.StringIO()
    blocks.show([folder / "verdict.json", other], Console(file=stream, width=120))
    text = stream.getvalue()
    assert re.search(r"claim +block 1 +block 2 +agree", text)
    assert "differs: a, speed, x < 0 | y: supported, inconclusive" in text
    assert "items that agree: 18 of 19 (94.7%)" in text
