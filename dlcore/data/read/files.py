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
MAX_TABLE = 1 << 30  # of a table, which pandas holds a few times over while it is read
_CHUNK = 1 << 24
_STARTS = (  # how files of other formats start, and what reads them
    (b"\x93NUMPY", "a NumPy array: np.load, then dl.data.from_arrays"),
    (b"PK\x03\x04", "a zip archive: unzip it if a text or table is in it; .npz files go to from_npz, zipped images to "
     "from_image_folder, Excel's .xlsx to pandas.read_excel, then dl.data.from_frame"),
    (b"\x1f\x8b", "packed by gzip: gunzip it first, if it is to be read as it is"),
    (b"BZh", "packed by bzip2: bunzip2 it first"),
    (b"\xfd7zXZ", "packed by xz: unxz it first"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: unzstd it first"),
    (b"PAR1", "a Parquet file: dl.data.from_parquet"),
    (b"ARROW1", "an Arrow file: pandas.read_feather, then dl.data.from_frame"),
    (b"\x89HDF", "an HDF5 file: read its arrays with h5py, then dl.data.from_arrays"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file: pandas.read_excel, then dl.data.from_frame"),
    (b"\x89PNG", "a PNG image: dl.data.from_image_folder takes the folders of such"),
    (b"\xff\xd8\xff", "a JPEG image: dl.data.from_image_folder takes the folders of such"),
    (b"%PDF", "a PDF document, which is not read"),
)  # fmt: skip
_UNICODE = (  # byte order marks, longest first
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


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
        usable, exists = path.is_file() or path.is_dir(), path.exists()
        goal = path.readlink() if path.is_symlink() and not exists else None
        names = [entry.name for entry in path.parent.iterdir()] if not exists and path.parent.is_dir() else []
    # Too long a name, no permission; a lone surrogate; "~nobody/x".
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{shown(str(path))} names no file: {shown(error)}. Check the path.") from None
    if usable:
        return path
    if exists:  # a pipe would wait for what may never come
        raise DataError(
            f"{path} is a pipe, a socket or a device; expects a file or folder. Write what comes out of it to a file "
            "first."
        )
    if goal is not None:
        raise DataError(f"{path} is a link to {goal}, which is not there. Correct the link.")
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
        packed = isinstance(stream, gzip.GzipFile)
        size = _count(stream, max_bytes + 1, path) if packed else path.stat().st_size
    if size > max_bytes:
        raise DataError(
            f"{path} holds more than max_bytes={max_bytes} bytes{' when unpacked' * packed}; raise it if that is "
            "expected."
        )
    with unpacked(path) as stream:
        return read_at_most(stream, max_bytes, path)


def _count(stream: Any, most: int, path: object) -> int:
    """How many bytes there are, up to `most`, in little memory."""
    found = 0
    while found < most and (part := read_at_most(stream, _CHUNK, path)):
        found += len(part)
    return found


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
        code = next((name for mark, name in _UNICODE if data.startswith(mark)), "latin1")
        fix = looks_like(data, besides=b"none") or (
            f"Convert it, e.g. iconv -f {code} -t utf-8 {path} > converted"
            f"{', if it is Western European' * (code == 'latin1')}."
        )
        raise DataError(
            f"{path} is not UTF-8: byte {data[offset]:#04x} at offset {offset} ({error.reason}). {fix}"
        ) from error
    if (offset := data.find(b"\0")) >= 0:
        code = "utf-16le" if offset % 2 else "utf-16be"
        fix = looks_like(data, besides=b"none") or (
            f"If it is UTF-16, iconv -f {code} -t utf-8 {path} > converted; else take these bytes out, tr -d '\\000' < "
            f"{path} > converted."
        )
        raise DataError(f"{path} holds a NUL byte at offset {offset}; expects text. {fix}")
    if not text.strip():
        raise DataError(f"{path} is empty; expects text.")
    return text


def looks_like(data: bytes, *, besides: bytes = b"PK") -> str:
    """A sentence on the format that these bytes start as, and what reads it; "" if they tell none, or the one "
    "besides.
    """
    kind = next((what for start, what in _STARTS if data.startswith(start) and not start.startswith(besides)), "")
    return f"It looks like {kind}." if kind else ""


def first_bytes(path: pathlib.Path) -> bytes:
    """A few, to tell the format by."""
    with path.open("rb") as stream:
        return stream.read(16)


def library(name: str, purpose: str) -> Any:
    """Import an optional dependency; it is slow to import or comes with the extra `data`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DlcoreError(f"{purpose} needs {name.split('.')[0]}. {install_advice('data')}") from error
