"""The progress bar as it is drawn: by rich in a terminal, as HTML in a notebook."""

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

COMPILING = "compiling"  # of runs, before the first of them moves
REFRESH = 0.25  # seconds between two pictures of the bar in a notebook


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g} {task.description}/s" if task.speed else "", style="progress.data.speed")


class _Time(ProgressColumn):
    """Time gone while compiling, of which nobody knows how long it takes; then the time left."""

    max_refresh = 0.5

    def __init__(self):
        super().__init__()
        self._elapsed, self._left = TimeElapsedColumn(), TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        return (self._elapsed if task.description == COMPILING else self._left).render(task)


@contextlib.contextmanager
def drawn(num_runs: int, *, shown: bool | None, label: str, compiled: bool) -> Iterator[Callable[[float], None]]:
    """Yields `advance(runs)`, as `progress_bar` does. compiled: whether what is counted is compiled before it moves."""
    console = Console(file=sys.stderr)
    if console.is_jupyter:
        with _in_notebook(num_runs, label=label, compiled=compiled) as advance:
            yield advance
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        _Speed(),
        _Time(),
    )
    watched = console.is_terminal if shown is None else shown
    with Progress(*columns, console=console, transient=True, disable=not watched) as bar:
        task = bar.add_task(COMPILING if compiled else label, total=num_runs)
        yield lambda runs: bar.update(task, advance=runs, description=label)


@contextlib.contextmanager
def _in_notebook(num_runs: int, *, label: str, compiled: bool) -> Iterator[Callable[[float], None]]:
    """One output of the cell, replaced as runs are done and empty at the end.

    Rich draws by a widget of ipywidgets, and without it not at all; what is kept of a widget in a saved notebook is the
    line "Output()" for each study. A display with an id is known to Jupyter, VS Code and Colab, and needs nothing.
    """
    from IPython.display import DisplayHandle

    counted = Progress(console=Console(file=io.StringIO()), disable=True)  # it only counts, and is not drawn
    task = counted.add_task(COMPILING if compiled else label, total=num_runs)

    def picture() -> dict[str, str]:
        return _picture(counted.tasks[0])

    handle = DisplayHandle()
    handle.display(picture(), raw=True)
    over = threading.Event()

    def refresh():
        shown = None
        while not over.wait(REFRESH):
            if (new := picture()) != shown:
                handle.update(new, raw=True)
                shown = new

    thread = threading.Thread(target=refresh, name="progress", daemon=True)
    thread.start()
    try:
        yield lambda runs: counted.update(task, advance=runs, description=label)
    finally:
        over.set()
        thread.join()
        handle.update({"text/plain": "", "text/html": ""}, raw=True)


def _picture(task: Task) -> dict[str, str]:
    """A task as text, and as HTML that needs no style of its own in a light or a dark notebook."""
    counts = f"{task.completed:.0f}/{task.total:.0f}"
    told = "  ".join(filter(None, (counts, _Speed().render(task).plain, _Time().render(task).plain)))
    value = f' value="{task.completed:g}"' if task.description != COMPILING else ""  # without a value it moves
    style = "vertical-align: middle; width: 20em; max-width: 50%"
    bar = f'<progress max="{task.total:g}"{value} aria-label="{task.description}" style="{style}"></progress>'
    text = f"{task.description}  {told}"
    return {"text/plain": text, "text/html": f"<div>{task.description} {bar} {told}</div>"}
