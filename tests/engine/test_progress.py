"""The bar: what it says before, while and where runs are counted."""

import io

import pytest
from rich.console import Console

from dlcore.engine import bar, progress


@pytest.fixture
def screen(monkeypatch):
    """What the bar has drawn so far."""
    file = io.StringIO()
    monkeypatch.setattr(bar, "Console", lambda **_: Console(file=file, force_terminal=True, width=100))
    return file


@pytest.mark.parametrize(("label", "before"), [("runs", "compiling"), ("MB", "MB")])
def test_bar_says_compiling_until_runs_move(screen, label, before):
    """Catches a bar at 0 runs that looks hung while XLA compiles, and a download that compiles."""
    with progress.progress_bar(3, shown=True, label=label) as advance:
        drawn = screen.getvalue()
        assert before in drawn
        assert "0/3" in drawn
        assert "0:00:00" in drawn if before == "compiling" else "-:--:--" in drawn
        assert label == before or label not in drawn
        screen.seek(0)
        screen.truncate()
        advance(0)  # the first run moves, and none is done
        advance(2)
    assert label in screen.getvalue()
    assert "2/3" in screen.getvalue()
    assert "compiling" not in screen.getvalue().split(label, 1)[1]
