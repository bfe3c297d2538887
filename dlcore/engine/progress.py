"""A progress bar over runs: in a terminal or a notebook; silent elsewhere."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

RUNS = "runs"


@contextlib.contextmanager
def progress_bar(num_runs: int, *, shown: bool | None = None, label: str = RUNS) -> Iterator[Callable[[float], None]]:
    """Yields `advance(runs)`, to be called with the (fraction of) runs just done; before that they are compiled.

    Args:
      shown: None shows the bar where somebody watches: in a terminal or a notebook.
      label: what is counted, in the plural; only runs are compiled.
    """
    if not (_may_be_watched() if shown is None else shown):
        yield lambda runs: None
        return
    from dlcore.engine import bar  # rich takes 0.05 s to import

    with bar.drawn(num_runs, shown=shown, label=label, compiled=label == RUNS) as advance:
        yield advance


def _may_be_watched() -> bool:
    """Whether it is worth asking rich, which knows more about terminals and notebooks."""
    told = {"FORCE_COLOR", "TTY_COMPATIBLE"} & os.environ.keys()
    try:
        return bool(told) or "IPython" in sys.modules or sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
