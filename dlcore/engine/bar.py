"""The progress bar as it is drawn, by rich."""

import contextlib
import importlib.util
import sys
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
    widgets = importlib.util.find_spec("ipywidgets") is not None  # in the extra [notebook]; rich warns without it
    watched = widgets if console.is_jupyter else console.is_terminal
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        _Speed(),
        _Time(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (watched if shown is None else shown)) as bar:
        task = bar.add_task(COMPILING if compiled else label, total=num_runs)
        yield lambda runs: bar.update(task, advance=runs, description=label)
