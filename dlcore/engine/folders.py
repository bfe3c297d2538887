"""Writing a folder whole or not at all: beside its place first, then in with one rename."""

import contextlib
import errno
import os
import pathlib
import shutil
import time
from collections.abc import Iterator

from dlcore.core.errors import ArgumentError, DataError
from dlcore.engine.leftovers import Origin, beside, origin, stale
from dlcore.engine.manifest import NAME, foreign, read_manifest, sync, write_manifest

LOOKS, SECONDS_BETWEEN_LOOKS = 40, 0.05  # whether a folder stays removed
TRIES = 200  # of a swap, against other processes that swap at the same moment


def check_output(path: str | os.PathLike) -> pathlib.Path:
    """The absolute path, if a result can be written there: to be called before anything is measured.

    Raises:
      ArgumentError: the folder cannot be made or written to, or holds what dlcore did not write.
    """
    given, path = str(os.fspath(path)), pathlib.Path(os.path.abspath(os.fspath(path)))
    try:
        _check_nothing_foreign(given, path)
        check_parent(path)
        with contextlib.suppress(FileNotFoundError):
            beside(path, "new").lstat()  # a name that is too long, or that the file system does not encode
        if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise ArgumentError(f"{given!r} is read-only; choose another path, or change its permissions.")
    except (OSError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise unwritable(given, error) from None
    return path


def check_parent(path: pathlib.Path) -> None:
    """Raise `ArgumentError` unless the folder that `path` lies in is there, or can be made, and can be written to."""
    there = next(folder for folder in path.parents if os.path.lexists(folder))
    if not there.is_dir():
        raise ArgumentError(f"{str(path)!r} lies below {str(there)!r}, which is no folder; choose another path.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ArgumentError(f"{str(path)!r} lies in {str(there)!r}, which is read-only; choose another path.")


def unwritable(path: str, error: Exception) -> ArgumentError:
    """The system's reason in an error of ours."""
    reason = getattr(error, "strerror", None) or str(error)
    number = getattr(error, "errno", None)
    advice = "choose another path"
    if number in (errno.ENOSPC, errno.EDQUOT):
        advice = "make room there and call again, or choose another path"
    if number == errno.ENOENT:
        advice = f"make the folder {os.path.dirname(path)!r}, or choose another path"
    return ArgumentError(f"cannot write {path!r}: {reason}. Nothing there has changed; {advice}.")


def _check_nothing_foreign(given: str, path: pathlib.Path) -> None:
    advice = "Results replace only results; choose another path, or remove it first."
    if not path.name or path in (here := pathlib.Path.cwd(), *here.parents):
        raise ArgumentError(f"{given!r} is the current folder or one above it; choose the path of a folder of its own.")
    if path.is_symlink():
        raise ArgumentError(f"{given!r} is a symbolic link; pass the path it points to, {os.readlink(path)!r}.")
    if not path.exists():
        return
    if not path.is_dir():
        raise ArgumentError(f"{given!r} is a file. {advice}")
    if not any(path.iterdir()):
        return
    try:
        other = foreign(path, read_manifest(path))
    except FileNotFoundError:
        raise ArgumentError(f"{given!r} is a folder that dlcore did not write: it has no {NAME}. {advice}") from None
    except DataError as error:
        raise ArgumentError(f"{given!r} may not be replaced: {error}") from None
    if other is not None:
        raise ArgumentError(f"{given!r} holds {other!r}, which dlcore did not write. {advice}")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A new folder to fill; it takes the place of `path` once the block ends, listed in a manifest and on the disk.

    A crash at any moment leaves the old folder or the new one, under its name or beside it (see `left_beside`).
    """
    given = str(os.fspath(path))
    path = check_output(path)
    new = beside(path, "new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
        yield new
        write_manifest(new)
        _swap(given, new, path)
    except OSError as error:
        raise unwritable(given, error) from error
    finally:
        _remove_unfinished(new)
    _remove_stale(path)


def _remove_unfinished(folder: pathlib.Path) -> None:
    """Remove a folder that did not take its place; Zarr's threads may write on after one of them has failed."""
    for _ in range(LOOKS):
        if not folder.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def left_beside(path: pathlib.Path) -> pathlib.Path | None:
    """The folder that a crash between two renames left beside `path`: the newest that was moved away, or None."""
    old = [folder for folder in _leftovers(path) if ".old-" in folder.name and (folder / NAME).is_file()]
    return max(old, key=_began, default=None)


def _began(folder: pathlib.Path) -> int:
    found = origin(folder)
    return found.began if found else 0


def _swap(given: str, new: pathlib.Path, path: pathlib.Path) -> None:
    """Rename `new` to `path`, and what was there away; other processes may do the same."""
    moved: list[pathlib.Path] = []
    try:
        for attempt in range(TRIES):
            try:
                new.rename(path)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) or attempt == TRIES - 1:
                    raise
            _check_nothing_foreign(given, path)
            old = beside(path, "old")
            with contextlib.suppress(FileNotFoundError):  # another process has just moved it
                path.rename(old)
                moved.append(old)
        sync(path.parent)
    except BaseException:  # Ctrl-C too: the old one goes back
        for old in reversed(moved):
            with contextlib.suppress(OSError):
                os.rename(old, path)
        raise
    finally:
        if path.exists():
            for old in moved:
                shutil.rmtree(old, ignore_errors=True)


def _leftovers(path: pathlib.Path) -> list[pathlib.Path]:
    try:
        return [folder for folder in path.parent.iterdir() if _left_by(path, folder)]
    except OSError:
        return []


def _left_by(path: pathlib.Path, folder: pathlib.Path) -> Origin | None:
    found = origin(folder)
    return found if found and found.name == path.name and found.kind in ("new", "old") else None


def _remove_stale(path: pathlib.Path) -> None:
    """Remove what processes that are dead left beside `path`."""
    for folder in _leftovers(path):
        found = _left_by(path, folder)
        if found and stale(found):
            shutil.rmtree(folder, ignore_errors=True)
