"""`dlcore.json`, the list of all files of a folder that dlcore wrote."""

import contextlib
import hashlib
import json
import os
import pathlib
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from dlcore.core.errors import ArgumentError, DataError

NAME = "dlcore.json"
FORMAT = 1
WAITS = 10  # for another process that is between the two renames of its swap
SECONDS_OF_A_SWAP = 0.01
CODECS = {"bytes", "vlen-utf8", "zstd", "crc32c"}  # none of them runs code that a store brings along
DTYPES = {
    *("bool", "string", "complex64", "complex128", "float16", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


class Manifest(NamedTuple):
    """What a folder holds. files: relative path to size in bytes and SHA-256."""

    files: dict[str, tuple[int, str]]
    identity: str


def write_manifest(folder: pathlib.Path) -> None:
    """List the files of `folder` in it, and see to it that all of them are on the disk, not in memory."""
    files = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            file = pathlib.Path(parent, name)
            content = file.read_bytes()
            files[file.relative_to(folder).as_posix()] = (len(content), hashlib.sha256(content).hexdigest())
            sync(file)
    text = json.dumps({"format": FORMAT, "sha256": _identity(files), "files": files}, indent=0)
    (folder / NAME).write_text(text, encoding="utf-8")
    sync(folder / NAME)
    for parent, _, _ in os.walk(folder, topdown=False):
        sync(pathlib.Path(parent))


def sync(path: pathlib.Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_manifest(folder: pathlib.Path) -> Manifest:
    """The manifest of a folder.

    Raises:
      FileNotFoundError, NotADirectoryError: there is none, so that dlcore did not write the folder.
      DataError: it is damaged, or of another version.
    """
    file = folder / NAME
    advice = "Measure again, or restore the folder from a copy."
    try:
        found = json.loads(read_regular(file))
        version, identity = found["format"], found["sha256"]
        if version != FORMAT:
            raise DataError(f"{file} has format {version!r}; expects {FORMAT}. Read it with the dlcore that wrote it.")
        files = {str(key): (int(size), str(digest)) for key, (size, digest) in found["files"].items()}
    except (FileNotFoundError, NotADirectoryError, DataError):
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{file} is damaged: it is no list of files ({error}). {advice}") from None
    inside = all(key and not {"", ".", ".."} & set(key.split("/")) and not set(key) & set("\0\\") for key in files)
    if _identity(files) != identity or not inside:
        raise DataError(f"{file} is damaged: its checksum is not that of its content. {advice}")
    return Manifest(files, identity)


def _identity(files: dict[str, tuple[int, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


@contextlib.contextmanager
def open_regular(file: pathlib.Path) -> Iterator[int]:
    """Descriptor of a file to read from, no link, device or folder."""
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{file} is no regular file")
        yield handle
    finally:
        os.close(handle)


def read_regular(file: pathlib.Path) -> bytes:
    """Bytes of a file, no link, device or folder."""
    with open_regular(file) as handle, os.fdopen(handle, "rb", closefd=False) as stream:
        return stream.read()


def foreign(folder: pathlib.Path, manifest: Manifest) -> str | None:
    """A file in `folder` that the manifest does not list, or None."""
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if pathlib.Path(parent, name).is_symlink()]
        for name in (*names, *links):
            path = pathlib.Path(parent, name).relative_to(folder).as_posix()
            if path != NAME and path not in manifest.files:
                return path
    return None


def check_files(folder: pathlib.Path, manifest: Manifest) -> None:
    """Raise `DataError` for a file that is missing or of another size, and for metadata that Zarr may not be given."""
    folders = tuple(f"{key.removesuffix('zarr.json')}c" for key in manifest.files if key.endswith("zarr.json"))
    for key, (size, _) in manifest.files.items():
        if not key.endswith("zarr.json") and not key.startswith(folders):
            raise DataError(f"{folder / key} is no file that dlcore.save writes; there is no zarr.json beside it.")
        try:
            found = (folder / key).lstat()
        except OSError:
            raise failure(folder, manifest, key, "is missing") from None
        if not stat.S_ISREG(found.st_mode):
            raise failure(folder, manifest, key, "is no regular file")
        if found.st_size != size:
            raise failure(folder, manifest, key, f"has {found.st_size} bytes; expects {size}")
        if key.split("/")[-1] == "zarr.json":
            _check_metadata(folder / key, verified(folder, manifest, key))


def verified(folder: pathlib.Path, manifest: Manifest, key: str) -> bytes:
    """Bytes of a file that are those which were written."""
    try:
        content = _read_if_there(folder, manifest, key)
    except OSError as error:
        raise failure(folder, manifest, key, f"cannot be read: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != manifest.files[key][1]:
        raise failure(folder, manifest, key, "is damaged: its checksum is not the one it was written with")
    return content


def _read_if_there(folder: pathlib.Path, manifest: Manifest, key: str) -> bytes:
    """Bytes of a file; where another process is just replacing the results by equal ones, it is back in a moment."""
    for attempt in range(WAITS):
        try:
            return read_regular(folder / key)
        except FileNotFoundError:
            error = failure(folder, manifest, key, "is missing")
            if isinstance(error, StaleError) or attempt == WAITS - 1:
                raise error from None
        time.sleep(SECONDS_OF_A_SWAP)
    raise AssertionError("unreachable")


def failure(folder: pathlib.Path, manifest: Manifest, key: str, reason: str) -> DataError:
    """Why a file is not as it was: the whole store is gone, is another one, or this file is damaged."""
    try:
        replaced, gone = read_manifest(folder).identity != manifest.identity, False
    except FileNotFoundError:  # or another process is just replacing it
        replaced, gone = False, True
    except (NotADirectoryError, DataError):
        replaced, gone = False, False
    if replaced:
        return StaleError(
            f"the results at {folder} were replaced since they were loaded; their values are read when used. "
            "Load them again, or read all at once: dlcore.load(path).load()."
        )
    if gone:
        return StaleError(
            f"the results at {folder} were removed since they were loaded; their values are read when used. "
            "Read all at once before: dlcore.load(path).load()."
        )
    kind = MissingError if reason == "is missing" else DataError
    return kind(f"{folder / key} {reason}. Measure again, or restore the folder from a copy.")


class MissingError(DataError):
    """A file of the store is not there."""


class StaleError(DataError):
    """The store is no longer the one that was opened."""


def _check_metadata(file: pathlib.Path, content: bytes) -> None:
    try:
        found = json.loads(content)
        array = found["node_type"] == "array"
        codecs = {codec["name"] for codec in found["codecs"]} if array else set()
        allowed = (
            found["zarr_format"] == 3
            and found["node_type"] in ("array", "group")
            and not found.get("storage_transformers")
            and codecs <= CODECS
            and (not array or (isinstance(found["data_type"], str) and found["data_type"] in DTYPES))
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        allowed = False
    if not allowed:
        raise DataError(
            f"{file} is no metadata that dlcore.save writes; expects Zarr format 3, types {', '.join(sorted(DTYPES))}, "
            f"codecs {', '.join(sorted(CODECS))}. Open a store of other origin with xarray.open_zarr, if you trust it."
        )


def no_results(path: pathlib.Path) -> ArgumentError:
    """What to say where there is no store."""
    if (path / "zarr.json").is_file():
        return ArgumentError(
            f"no results at {str(path)!r}: a Zarr store without {NAME}, so dlcore.save of this version did not write "
            "it; open it with xarray.open_zarr, if you trust its origin."
        )
    return ArgumentError(
        f"there are no results at {str(path)!r}; dlcore.save(results, path) or dlcore.sweep(store=path) writes them."
    )
