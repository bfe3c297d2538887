"""The scripts in docs/examples run as a user starts them, and give what one process does."""

import pathlib
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
from scripts import script_of

import dlcore as dl

pytestmark = pytest.mark.job

REPOSITORY = pathlib.Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "studies.md").read_text().split("\n## On several machines")[1].split("\n## ")[0]
SCRIPTS = {"on_processes": [], "on_dask": [], "on_slurm": ["local"]}


def test_every_script_is_run_and_linked():
    """Catches a script that no test runs, and a page that shows another code than the scripts have."""
    found = {path.stem: path.read_text() for path in (REPOSITORY / "docs" / "examples").glob("*.py")}
    assert set(found) == set(SCRIPTS)
    assert set(re.findall(r"\(examples/(\w+)\.py\)", PAGE)) == set(SCRIPTS)
    of_scripts = "\n".join(found.values())
    blocks = re.findall(r"^```python (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in blocks} == set(SCRIPTS)
    for name, code in blocks:
        for line in code.splitlines():
            assert line.strip() in found[name], (name, line)
    assert max(len(text.splitlines()) for text in found.values()) <= 30
    assert of_scripts.count("def fit(") == len(found)


@pytest.mark.heavy  # each starts processes that import JAX
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs(name, tmp_path):
    """Catches a script that does not run, or that computes something else on workers."""
    path = REPOSITORY / "docs" / "examples" / f"{name}.py"
    command = [sys.executable, str(path), str(tmp_path / "runs"), *SCRIPTS[name]]
    done = subprocess.run(command, env=script_of("")["env"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "learning_rate" in done.stdout
    fit = runpy.run_path(str(path))["fit"]
    runs = dl.load(tmp_path / "runs")
    assert runs.finished.values.all()
    alone = dl.sweep(fit, learning_rate=np.array([0.001, 0.01, 0.1]), seed=np.arange(4), lane_width=4)
    np.testing.assert_array_equal(runs.test_loss, alone.test_loss)
    assert len(list((tmp_path / "runs" / "parts").iterdir())) == 3
