"""Archives from strangers: what a zip or tar file may hold, and how much."""

import pathlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from dlcore.core.errors import DataError
from dlcore.data.read.files import MAX_BYTES, first_bytes, looks_like, unpacked

# Deflate cannot shrink more than this; an archive that claims to lies, or its members overlap.
MOST_SHRINKING = 1032
ANY = 1 << 62  # bytes


def open_zip(path: pathlib.Path, *, max_bytes: int = MAX_BYTES) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """A zip file and its members that are files; nothing is ever unpacked to disk.

    Raises:
      DataError: not a zip file, a member that leaves the archive or is a link or encrypted, too much when unpacked.
    """
    try:
        archive = zipfile.ZipFile(path)
    # zipfile raises a dozen kinds on damaged directories: BadZipFile, struct.error, UnicodeDecodeError, ...
    except Exception as error:
        fix = looks_like(first_bytes(path)) or "Copy or download it again."
        raise DataError(f"{path} is no readable zip file: {error}. {fix}") from error
    try:
        _check_count(len(archive.infolist()), path)
        for member in archive.infolist():
            check_name(member.filename, path)
            # zipfile turns backslashes into slashes on Windows only, and cuts names at a zero byte.
            check_name(member.orig_filename, path)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{path}: member {member.filename!r} is a link; expects files. Pack it without links.")
            if member.flag_bits & 0x1:
                raise DataError(f"{path}: member {member.filename!r} is encrypted; pack it without a password.")
        files = [member for member in archive.infolist() if not member.is_dir()]
        _check_size(sum(member.file_size for member in files), path.stat().st_size, max_bytes, path)
    except BaseException:
        archive.close()
        raise
    return archive, files


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Contents of a member, checked against its declared size and checksum.

    zipfile stops at the declared size, so that a member which unpacks to more fails its checksum, in bounded memory.
    """
    try:
        with archive.open(member) as stream:
            data = stream.read(member.file_size + 1)
        if len(data) != member.file_size:
            raise EOFError(f"it ends after {len(data)} bytes")
    # zipfile raises BadZipFile, NotImplementedError, zlib.error, EOFError, RuntimeError, LZMAError, ...
    except Exception as error:
        raise DataError(
            f"{archive.filename}: member {member.filename!r} is damaged or not of the {member.file_size} bytes it "
            f"declares: {error or type(error).__name__}. Copy or download the archive again."
        ) from error
    return data


def tar_members(path: pathlib.Path, *, max_bytes: int = MAX_BYTES) -> Iterator[tuple[str, bytes]]:
    """Name and contents of each file of a tar archive, plain or gzip, in order; nothing is unpacked to disk.

    Raises:
      DataError: not a tar file, damaged, a member that leaves the archive or is a link or device, more than `max_bytes`
        declared or found.
    """
    try:
        with unpacked(path) as packed, _open_tar(_Limited(packed, max_bytes, path)) as archive:
            for member in archive:
                check_name(member.name, path)
                if member.isdir():
                    continue
                if not member.isreg():
                    raise DataError(f"{path}: member {member.name!r} is a link or device; expects files.")
                if member.size > max_bytes:
                    raise DataError(_too_large(path, f"member {member.name!r} declares {member.size} bytes", max_bytes))
                stream = archive.extractfile(member)
                yield member.name, b"" if stream is None else stream.read()
            # tarfile takes a damaged header for the end, and does not get to the checksum at the end of a gzip.
            while rest := archive.fileobj.read(1 << 20):  # pyright: ignore[reportOptionalMemberAccess]
                if rest.strip(b"\0"):
                    raise DataError(f"{path} is damaged: there is data after its end. Copy or download it again.")
    except DataError:
        raise
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        fix = looks_like(first_bytes(path), besides=b"\x1f\x8b") or "Copy or download it again."
        raise DataError(f"{path} is no readable tar file: {error}. {fix}") from error


def _open_tar(stream: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|")


class _Limited:
    """A stream that gives at most `max_bytes` in all; what a header declares may be a lie."""

    def __init__(self, stream: IO[bytes], max_bytes: int, path: pathlib.Path):
        self.stream, self.left, self.max_bytes, self.path = stream, max_bytes, max_bytes, path

    def read(self, num_bytes: int) -> bytes:
        data = self.stream.read(num_bytes)
        self.left -= len(data)
        if self.left < 0:
            raise DataError(_too_large(self.path, "the archive unpacks to more", self.max_bytes))
        return data


def check_name(name: str, path: object) -> None:
    """Refuse names that would lie outside the archive."""
    parts = name.replace("\\", "/").split("/")
    absolute = name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":")
    if absolute or ".." in parts or "\0" in name:
        raise DataError(f"{path}: member {name!r} points outside the archive; refused. Pack it with relative names.")


def _check_count(found: int, path: pathlib.Path) -> None:
    """As many members as the end of the file says: a damaged length in the directory hides those after it."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - (1 << 16) - 22))  # the end record, and a comment as long as can be
        tail = stream.read()
    record = tail[tail.rfind(b"PK\5\6") :]
    declared = int.from_bytes(record[10:12], "little")
    if declared not in (found, 0xFFFF):  # 0xFFFF: the count is elsewhere, in the format for more than 65 534
        raise DataError(f"{path} is damaged: it lists {found} members and says it has {declared}. Copy it again.")


def _check_size(declared: int, packed: int, max_bytes: int, path: object) -> None:
    if declared > max_bytes:
        raise DataError(_too_large(path, f"its members declare {declared} bytes", max_bytes))
    if declared > MOST_SHRINKING * packed:
        raise DataError(
            f"{path}: {packed} bytes cannot unpack to the {declared} that its members declare (at most "
            f"{MOST_SHRINKING} times as much): they overlap or lie, a zip bomb; refused."
        )


def _too_large(path: object, what: str, max_bytes: int) -> str:
    return f"{path}: {what}; expects at most max_bytes={max_bytes}. A bomb? If the archive is yours, raise max_bytes."
