"""A progress bar over runs: in a terminal or a notebook; silent elsewhere."""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g} {task.description}/s" if task.speed else "", style="progress.data.speed")


@contextlib.contextmanager
def progress_bar(num_runs: int, *, shown: bool | None = None, label: str = "runs") -> Iterator[Callable[[float], None]]:
    """Yields `advance(runs)`, to be called with the (fraction of) runs just done.

    Args:
      shown: None shows the bar where somebody watches: in a terminal or a notebook.
    """
    console = Console(file=sys.stderr)
    widgets = importlib.util.find_spec("ipywidgets") is not None  # in the extra [notebook]; rich warns without it
    watched = widgets if console.is_jupyter else console.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (watched if shown is None else shown)) as bar:
        task = bar.add_task(label, total=num_runs)
        yield lambda runs: bar.advance(task, runs)
