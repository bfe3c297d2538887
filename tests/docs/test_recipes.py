"""Whoever follows docs/recipes.md gets what the tests accept: the examples, put into copies of the repository."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.job

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text()
HEAD = r"# (\S+?)(?:, (?:below `([^`\n]*)`|(at its end)))?\n"
BLOCK = re.compile(rf"^```python\n{HEAD}(.*?)^```", re.MULTILINE | re.DOTALL)
ALIKE = ["tests/test_doctests.py", "tests/test_arguments.py", "tests/test_structure.py"]
# section: files of tests besides, and which of all of them
RECIPES = {
    "A model": (["tests/models/test_polynomial.py"], "olynomial"),
    "A data format": (["tests/data/test_libsvm.py"], "libsvm"),
    "A probe": (["tests/probes/test_largest.py"], "largest"),
    "A schedule or an optimizer": (["tests/optimizers/test_optimizers.py"], "square_root_decay"),
    "An experiment": (["tests/experiments/test_batch_noise.py", "tests/experiments/test_catalog.py"], "batch_noise"),
}


def test_all_recipes_are_tried():
    """Catches a recipe that nobody follows."""
    titles = re.findall(r"^## (.*)", PAGE, re.MULTILINE)
    assert titles == list(RECIPES)
    assert len(BLOCK.findall(PAGE)) == len(re.findall(r"^```python", PAGE, re.MULTILINE))


@pytest.mark.heavy  # each collects the tests of a copy
@pytest.mark.parametrize("title", RECIPES)
def test_the_example_of_a_recipe(title, tmp_path):
    """Catches a step that is missing or outdated: a name that is not exported, arguments that no test has."""
    skipped = shutil.ignore_patterns("__pycache__", "results", "*.pyc")
    for folder in ("dlcore", "experiments", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for name, above, at_end, code in BLOCK.findall(section):
        file = tmp_path / name
        if not above and not at_end:
            file.write_text(code)
            continue
        lines = file.read_text().splitlines()
        place = len(lines) if at_end else 1 + next(i for i, line in enumerate(lines) if line.startswith(above))
        lines[place:place] = ["", "", *code.splitlines()] if at_end else code.splitlines()
        file.write_text("\n".join(lines) + "\n")
    files, chosen = RECIPES[title]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-m", "", "-p", "no:cacheprovider", *files, *ALIKE]
    chosen = f"{chosen} or Contract or test_examples or structure"
    # The copy comes before an installed checkout.
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*command, "-k", chosen], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
