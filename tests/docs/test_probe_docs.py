"""The code in docs/probes.md runs as it stands, and its costs are those that were measured."""

import json
import pathlib
import re

import pytest

pytestmark = pytest.mark.job

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "probes.md").read_text()
START, *SECTIONS = PAGE.split("\n## ")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "section", [each for each in SECTIONS if BLOCK.search(each)], ids=lambda section: section.splitlines()[0]
)
def test_code_blocks_run(section):
    """Catches a block that uses a name or an argument that is not there."""
    names = {}
    for code in BLOCK.findall(START) + BLOCK.findall(section):
        exec(compile(code, "docs/probes.md", "exec"), names)


def test_costs_are_those_measured():
    """Catches a page that was not updated with the measurement, and a probe that is not on it."""
    results = json.loads((ROOT / "benchmarks" / "results" / "probes.json").read_text())
    for name in set(results) - {"machine"}:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        assert f"| {results[name]['gradients']:.2g} |" in row
