"""The code in docs/studies.md runs as it stands."""

import pathlib
import re

import pytest

pytestmark = pytest.mark.job

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "studies.md").read_text()
START, *SECTIONS = PAGE.split("\n## ")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS = [section for section in SECTIONS if BLOCK.search(section)]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_code_blocks_run(section, tmp_path, monkeypatch):
    """Catches a block that uses a name or an argument that is not there, or says what is not so."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in BLOCK.findall(START) + BLOCK.findall(section):
        exec(compile(code, "docs/studies.md", "exec"), names)
