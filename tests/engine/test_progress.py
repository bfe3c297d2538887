"""The bar: what it says before, while and where runs are counted."""

import io
import sys
import threading
import time
import types

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


class _Notebook:
    """What IPython would show, by the id of a display: the pictures in their order."""

    def __init__(self):
        self.shown = {}

    def handle(self):
        """As IPython's `DisplayHandle`."""
        name = f"display {len(self.shown)}"

        def display(data, *, raw):
            assert raw
            self.shown.setdefault(name, []).append(data)

        def update(data, *, raw):
            assert raw
            self.shown[name].append(data)

        return types.SimpleNamespace(display=display, update=update)


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's frontend, without ipywidgets."""
    found = _Notebook()
    module = types.SimpleNamespace(DisplayHandle=found.handle)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(bar, "Console", lambda **options: Console(force_jupyter=True, **options))
    monkeypatch.setattr(bar, "REFRESH", 0.001)
    return found


def test_bar_of_a_notebook_is_one_output_that_ends_empty(notebook):
    """Catches an output for each picture of the bar, and a bar or a widget that stays in saved notebooks."""
    with progress.progress_bar(3, shown=True) as advance:
        (pictures,) = notebook.shown.values()
        assert "compiling" in pictures[0]["text/plain"]
        assert "0/3" in pictures[0]["text/html"]
        assert "value=" not in pictures[0]["text/html"]
        advance(2)
        for _ in range(1000):
            if "2/3" in pictures[-1]["text/html"]:
                break
            time.sleep(0.01)
        assert 'value="2"' in pictures[-1]["text/html"]
        assert "runs" in pictures[-1]["text/plain"]
    (pictures,) = notebook.shown.values()
    assert pictures[-1] == {"text/plain": "", "text/html": ""}
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_bar_of_a_notebook_goes_away_when_a_study_fails(notebook):
    """Catches a thread that draws on, and a bar that stays, after an error or Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), progress.progress_bar(3, shown=True):
        raise KeyboardInterrupt
    (pictures,) = notebook.shown.values()
    assert pictures[-1] == {"text/plain": "", "text/html": ""}
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
