"""Commands whose studies are kept, so that the same command goes on after whatever ended it."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

from dlcore.core.errors import ArgumentError
from dlcore.engine.durable import parts
from dlcore.engine.durable.folder import MARK
from dlcore.engine.durable.outline import OtherStudyError
from dlcore.engine.durable.reading import stores_in
from dlcore.engine.folders import unwritable
from dlcore.engine.leftovers import beside, origin, stale

REMOVED = "removed"  # kind of the names of stores that are being removed


@contextlib.contextmanager
def continuing(folder: pathlib.Path, *, fresh: bool, say: Callable[[str], object] = print) -> Iterator[None]:
    """Run a command that keeps its studies in a folder: say what is read, and after Ctrl-C how it goes on.

    Args:
      folder: a store, or a folder of stores, of this command alone. fresh: remove the stores there first. say: prints.

    Raises:
      ArgumentError: what is there comes from another program.
    """
    if fresh:
        remove_stores(folder)
    there = num_parts(folder)
    if there:
        say(f"Read from {folder}, not computed again: {_blocks(there)}. --fresh computes all anew.")
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(f"the finished runs are in {folder}; the same command goes on from there.")
        raise
    except OtherStudyError as error:
        raise ArgumentError(
            f"{error.what}. So the source, a library or the machine has changed since, and results of both would be "
            "mixed. Nothing was removed. To compute everything anew, add --fresh, which removes what is there; to keep "
            "that, add another --output."
        ) from error
    say(f"Computed, and kept in {folder}: {_blocks(num_parts(folder) - there)}.")


def num_parts(folder: pathlib.Path) -> int:
    """Of all stores in a folder."""
    return sum(len(parts.listing(path / "parts")) for path in stores_in(folder) if not _is_removed(path))


def remove_stores(folder: pathlib.Path) -> None:
    """Remove the stores in a folder, and nothing else.

    A store is renamed first: killed while it removes one, the call leaves no store of which a half is there.
    """
    try:
        for path in stores_in(folder):
            if _is_removed(path):
                continue
            moved = beside(path, REMOVED)
            os.rename(path, moved)
            _remove(moved)
        for path in list(folder.rglob(f".*.{REMOVED}-*")):
            if _is_removed(path):
                _remove(path)
    except OSError as error:
        raise unwritable(str(folder), error) from error


def _is_removed(path: pathlib.Path) -> bool:
    """Whether somebody, who is dead now, has begun to remove it."""
    found = origin(path)
    return found is not None and found.kind == REMOVED and stale(found)


def _remove(path: pathlib.Path) -> None:
    (path / MARK).unlink(missing_ok=True)
    shutil.rmtree(path)


def _blocks(count: int) -> str:
    return f"{count} block{'' if count == 1 else 's'} of runs"
