"""Every code block and command of the README does what it says."""

import inspect
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Code blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.job
def test_python_blocks_run_one_after_the_other(tmp_path):
    """Catches a block that uses a name or an argument that is not there."""
    assert len(blocks("python")) == 6
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "batch_sizes.zarr").exists()
    accuracies, r2 = done.stdout.rsplit("\n", 2)[:2]
    assert "learning_rate" in accuracies
    assert float(r2) > 0.99, "a linear model explains linear data"


@pytest.mark.parametrize("target", ["convergence", "test", "check"])
def test_make_targets_are_there(target):
    """Catches a README that names a target the Makefile lacks."""
    assert f"make {target}" in README
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    command = {"convergence": "-m benchmarks convergence", "test": "-m pytest", "check": "-m pyright"}[target]
    assert command in done.stdout


def test_flags_and_files_of_the_main_job_are_there():
    """Catches a flag or a file that is no more, and one that the README forgot; `benchmarks/test_job.py` runs it."""
    from benchmarks.__main__ import convergence

    flags = set(re.findall(r"(--[a-z]+(?:-[a-z]+)*)[` ]", README))
    assert flags == {f"--{name}".replace("_", "-") for name in inspect.signature(convergence).parameters} - {"--output"}
    for file in ("report.html", "verdict.json", "table.csv", "table.md", "history.zarr", "dlcore.json"):
        assert f"`{file}`" in README, file


def test_verdicts_are_those_of_the_committed_run():
    """Catches a table that was written by hand, or is of another run than the files beside it."""
    folder = ROOT / "benchmarks" / "results" / "convergence"
    (table,) = re.findall(r"<!-- verdicts -->\n(.*?)<!-- /verdicts -->", README, re.DOTALL)
    assert table.strip() == (folder / "table.md").read_text().strip()
    document = json.loads((folder / "verdict.json").read_text())
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in table.strip().splitlines()[2:]]
    assert len(rows) == len(document["claims"])
    for row, claim in zip(rows, document["claims"], strict=True):
        assert row[1:3] == [claim["name"], claim["statement"]]
        assert row[3].endswith(claim["outcome"]), row
        assert f"{claim['supported']} of {claim['judged']}" in row[4], row
    assert document["provenance"]["quick"] == 0


def test_figures_and_links_are_there():
    """Catches a picture, page or section that the README shows and the repository lacks."""
    for link in [*re.findall(r"\]\(([^)]+)\)", README), *re.findall(r'src="([^"]+)"', README)]:
        path, _, section = link.partition("#")
        assert (ROOT / path).exists(), link
        titles = re.findall(r"^#+ (.*)", (ROOT / path).read_text(), re.MULTILINE) if section else []
        assert not section or section in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
    assert shutil.which("make")
