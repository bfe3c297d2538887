"""What lies in a folder or a zip file: names of files, and of folders, with those left out that are no data."""

import fnmatch
import functools
import itertools
import os
import pathlib
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dlcore.core.arguments import Constraint, RefusedError, sequence
from dlcore.core.errors import ArgumentError, DataError, suggest
from dlcore.data.read import archives

# Folders and files that systems leave behind; those whose names begin with a dot are left out as well.
LITTER = ("__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information")


class Listing(NamedTuple):
    """readers: name to a function that gives a file's bytes; folders: names of all folders; paths: what is read."""

    readers: dict[str, Callable[[], bytes]]
    folders: list[str]
    paths: list[str]


def _accept_name(value: object) -> str:
    if not isinstance(value, str) or not value.strip("/"):
        raise RefusedError
    return value


IGNORE = sequence(Constraint("a name", _accept_name), text="names of folders or files, e.g. ('unlabelled', '*.txt')")


def folder_listing(root: pathlib.Path, ignore: Sequence[str]) -> Listing:
    """A folder and those below it, through links.

    Raises:
      DataError: a link that points nowhere or back, what is neither file nor folder, a folder that may not be read.
    """
    skip = _Skip(root, ignore)
    listing = Listing({}, [], [])
    pending: list[tuple[str, str, tuple[str, ...]]] = [(str(root.absolute()), "", (os.path.realpath(root),))]
    while pending:
        folder, prefix, around = pending.pop()
        for entry in _entries(folder):
            name = prefix + entry.name
            if skip(name):
                continue
            if entry.is_symlink() and not os.path.exists(entry.path):
                raise DataError(
                    f"{root}: {name} is a link to {os.readlink(entry.path)}, which is not there. Remove it."
                )
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if real in around:
                    raise DataError(f"{root}: the link {name} leads back to {real}, around it; remove the link.")
                listing.folders.append(name)
                pending.append((entry.path, f"{name}/", (*around, real)))
            elif entry.is_file():
                listing.readers[name] = functools.partial(_content, entry.path)
                listing.paths.append(os.path.join(around[-1], entry.name))
            else:
                raise DataError(f"{root}: {name} is a device or pipe; expects files. Remove it.")
    skip.check_used()
    return listing._replace(paths=sorted(listing.paths))


def zip_listing(path: pathlib.Path, ignore: Sequence[str], *, max_bytes: int) -> Listing:
    """A zip file; as `archives.open_zip`, and two members of one name are refused."""
    skip = _Skip(path, ignore)
    archive, _ = archives.open_zip(path, max_bytes=max_bytes)
    listing = Listing({}, [], [str(path)])
    folders: dict[str, None] = {}
    for member in archive.infolist():
        parts = [part for part in member.filename.replace("\\", "/").split("/") if part not in ("", ".")]
        names = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]  # of the folders around it, and its own
        kept = list(itertools.takewhile(lambda name: not skip(name), names))
        is_folder = member.is_dir() or (member.filename.endswith("\\") and not member.file_size)
        folders |= dict.fromkeys(kept if is_folder else names[:-1][: len(kept)])
        if is_folder or not names or len(kept) < len(names):
            continue
        if names[-1] in listing.readers:
            raise DataError(f"{path} holds two members called {names[-1]}; expects one. Pack it again.")
        listing.readers[names[-1]] = _reader(archive, member)
    skip.check_used()
    return listing._replace(folders=list(folders))


class _Skip:
    """Whether a file or folder is to be left out, by its name below the root; remembers which patterns were met."""

    def __init__(self, root: pathlib.Path, ignore: Sequence[str]):
        self.root = root
        self.patterns = {pattern: unicodedata.normalize("NFC", pattern.strip("/")) for pattern in ignore}
        self.met: set[str] = set()
        self.seen: set[str] = set()

    def __call__(self, name: str) -> bool:
        own = name.rsplit("/", 1)[-1]
        litter = own.startswith(".") or own.lower() in LITTER
        if not self.patterns:
            return litter
        composed = unicodedata.normalize("NFC", name)
        last = composed.rsplit("/", 1)[-1]
        self.seen.add(last)
        met = {
            given
            for given, pattern in self.patterns.items()
            if fnmatch.fnmatchcase(composed if "/" in pattern else last, pattern)
        }
        self.met |= met
        return bool(met) or litter

    def check_used(self) -> None:
        """Raise `ArgumentError` for a pattern that nothing is called like."""
        for pattern in self.patterns:
            if pattern not in self.met:
                near = suggest(pattern, self.seen)
                hint = near if near.startswith("did") else "give the name of a folder or file, with its ending."
                raise ArgumentError(f"ignore: nothing in {self.root} is called {pattern!r}; {hint}")


def _entries(folder: str) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error}. Check that it is a folder you may read.") from error


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    return lambda: archives.read_member(archive, member)
