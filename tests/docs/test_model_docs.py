"""The code in docs/models.md runs as it stands, and its parameter counts are those of the models."""

import pathlib
import re

import jax
import pytest

import dlcore as dl

pytestmark = pytest.mark.job

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "models.md").read_text()
START, *SECTIONS = PAGE.split("\n## ")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COUNT = re.compile(r"^(\w+) = .*# ([\d ]+) parameters", re.MULTILINE)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0].split(",")[0])
def test_code_blocks_run(section):
    """Catches an example that no longer works, and a count that is no longer true."""
    names = {}
    exec(compile("".join(BLOCK.findall(START)), "docs/models.md", "exec"), names)
    for code in BLOCK.findall(section):
        exec(compile(code, "docs/models.md", "exec"), names)
        for name, count in COUNT.findall(code):
            params, _ = jax.eval_shape(names[name].init, jax.random.key(0))
            assert sum(leaf.size for leaf in jax.tree.leaves(params)) == int(count.replace(" ", "")), name
            assert isinstance(names[name], dl.Model)
