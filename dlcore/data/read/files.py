"""Files as bytes and text: found, unpacked and decoded, with what is wrong in words."""

import gzip
import importlib
import os
import pathlib
import zlib
from typing import IO, Any

import platformdirs

from dlcore.core.errors import DataError, DlcoreError, install_advice, shown, suggest

PathLike = str | os.PathLike[str]
MAX_BYTES = 4 << 30  # of unpacked data in memory; a small file can unpack to far more
_CHUNK = 1 << 24


def data_folders() -> tuple[pathlib.Path, ...]:
    """Where named data sets are looked for: the folder in the variable `DLCORE_DATA` if set, then the user's cache."""
    given = os.environ.get("DLCORE_DATA")
    return (*([pathlib.Path(given)] if given else []), cache_folder() / "data")


def cache_folder() -> pathlib.Path:
    """The folder in the variable `DLCORE_CACHE`, else the user's cache folder of the platform."""
    return pathlib.Path(os.environ.get("DLCORE_CACHE") or platformdirs.user_cache_dir("dlcore"))


def existing(path: PathLike) -> pathlib.Path:
    """`path` as a Path; raises `DataError` with near names where there is no such file or folder."""
    try:
        path = pathlib.Path(path).expanduser()
        if path.exists():
            return path
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    # Too long a name, no permission; a lone surrogate; "~nobody/x".
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{shown(str(path))} names no file: {shown(error)}. Check the path.") from None
    hint = suggest(path.name, names) if names else f"the folder {path.parent} is missing or empty."
    raise DataError(f"there is no {path}; {hint}")


def existing_file(path: PathLike) -> pathlib.Path:
    """`existing`, and not a folder."""
    path = existing(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder; expects a file. Check that it is a file in that folder you mean.")
    return path


def read_bytes(path: PathLike, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Contents of a file, unpacked if it is gzip (told by its first bytes, not its name).

    Raises:
      DataError: no such file, a damaged or truncated gzip, more than `max_bytes` when unpacked.
    """
    path = existing_file(path)
    with unpacked(path) as stream:
        data = read_at_most(stream, max_bytes + 1, path)
    if len(data) > max_bytes:
        raise DataError(f"{path} holds more than {max_bytes} bytes when unpacked; raise max_bytes if that is expected.")
    return data


def unpacked(path: pathlib.Path) -> Any:
    """`path` opened for reading bytes, through gzip if it is gzip."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        return gzip.open(path) if packed else path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Check that it is a file you may read.") from error


def read_at_most(stream: IO[bytes], num_bytes: int, path: object) -> bytes:
    """Up to `num_bytes` bytes; memory grows with what is there, not with what a header claims."""
    parts = []
    try:
        while num_bytes > 0 and (part := stream.read(min(num_bytes, _CHUNK))):
            parts.append(part)
            num_bytes -= len(part)
    except EOFError as error:
        raise DataError(f"{path} is a truncated gzip file: {error}. Copy or download it again.") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. Copy or download it again.") from error
    return b"".join(parts)


def decoded(data: bytes, path: object) -> str:
    """UTF-8 text, not empty; a byte order mark is dropped."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from after the byte order mark.
        offset = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        raise DataError(
            f"{path} is not UTF-8: byte {data[offset]:#04x} at offset {offset} ({error.reason}). "
            "Convert it, e.g. iconv -f latin1 -t utf-8."
        ) from error
    if not text.strip():
        raise DataError(f"{path} is empty; expects text.")
    return text


def library(name: str, purpose: str) -> Any:
    """Import an optional dependency; it is slow to import or comes with the extra `data`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DlcoreError(f"{purpose} needs {name.split('.')[0]}. {install_advice('data')}") from error
