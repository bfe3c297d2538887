"""The code in docs/data.md runs as it stands, from top to bottom."""

import re

import pytest
from data_support import REPOSITORY, private_cache, shared_data  # noqa: F401

pytestmark = pytest.mark.job

BLOCK = re.compile(r"^```python( data)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore:this study runs on 1 of")
def test_code_blocks_run(monkeypatch, capsys):
    with_files = shared_data() is not None  # without them, the blocks that need none
    if with_files:
        monkeypatch.setenv("DLCORE_DATA", str(shared_data()))
    blocks = BLOCK.findall((REPOSITORY / "docs" / "data.md").read_text())
    assert len(blocks) > 12
    names = {}
    for needs_files, code in blocks:
        if not needs_files or with_files:
            exec(compile(code, "docs/data.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "2 classes (rows in train): low 90, high 70" in printed  # as the page shows it
    assert re.search(r"-> (19|20)\d\d-\d\d-\d\d\n", printed)
    assert len(names["curve"]) == 3
    assert names["runs"].test_accuracy.values[:, -1].min() > 0.75
    if with_files:
        assert names["history"].test_accuracy.values[-1] > 0.95
        assert names["batch"].inputs.shape == (64, 32, 32, 3)
