"""The code in docs/tasks.md runs as it stands, from top to bottom."""

import pathlib
import re

import numpy as np
import pytest

pytestmark = pytest.mark.job

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_code_blocks_run(capsys):
    """Catches an example that no longer works, and one that trains to NaN."""
    names = {}
    for code in BLOCK.findall(PAGE):
        exec(compile(code, "docs/tasks.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "inputs {age: float32[N], picture: float32[N, 8, 8]}" in printed
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?|nan|inf", printed)]
    assert len(numbers) >= 11
    assert np.isfinite(numbers).all()
    assert names["smoothings"].test_loss.dims == ("smoothing", "step")
