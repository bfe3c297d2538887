"""Every code block and command of the README does what it says."""

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


def test_python_blocks_run_one_after_the_other(tmp_path):
    """Catches a block that uses a name or an argument that is not there."""
    assert len(blocks("python")) == 5
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


def test_main_job_writes_what_the_readme_lists(tmp_path):
    """Catches a main job that does not run, or leaves out one of its files."""
    for flag in re.findall(r"`(--\w+)`", README):
        assert flag == "--quick"
    command = [sys.executable, "-m", "benchmarks", "convergence", "--quick", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = {path.name for path in (tmp_path / "out").iterdir()}
    figures = {"convergence", "batch_size_scaling", "noise_floor", "wells"}
    assert files == {"report.html", "table.csv", "history.zarr", "dlcore.json"} | {
        f"{name}.{kind}" for name in figures for kind in ("png", "svg")
    }
    assert "supported" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page), "the report needs nothing but itself"


def test_figures_and_links_are_there():
    """Catches a picture or page that the README shows and the repository lacks."""
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
    assert shutil.which("make")
