"""Zip files of which every byte is either checked by a CRC or known beforehand.

The CRC of a zip covers what its members hold, not what lies around: names, sizes, offsets. But in a file written here
all that follows from the members' names, sizes and CRCs, so a reader builds it anew and compares. Members are stored
as they are (nothing unpacks, so nothing swells), all sizes have 64 bits, dates are those of a zip's first day.
Layout: PKWARE, .ZIP File Format Specification 6.3.10, sec. 4.3 and 4.5.3. numpy.load and unzip read such files.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

ALIGNED = 64  # bytes; where what a member holds begins in memory
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_SIZES = struct.Struct("<HHQQ")  # in a local header
_PLACE = struct.Struct("<HHQQQ")  # in the central directory
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")
_END = struct.Struct("<IHHHHIIH")
_LAST = _END64.size + _LOCATOR.size + _END.size
_VERSION, _UTF8, _STORED, _DATE, _FILE = 45, 0x800, 0, 0x21, 0o100644 << 16
_ELSEWHERE = 0xFFFFFFFF  # in a field of 32 bits: see the one of 64


class Member(NamedTuple):
    """A file in the zip. size: in bytes."""

    name: bytes
    size: int
    crc: int


class DamageError(Exception):
    """The bytes are not those that were written; says what is wrong, to be worded by whoever knows the file."""


def frame(members: Iterable[Member]) -> tuple[list[bytes], bytes]:
    """What stands before each member, and after the last."""
    before, directory, offset = [], [], 0
    for name, size, crc in members:
        common = (_VERSION, _UTF8, _STORED, 0, _DATE, crc, _ELSEWHERE, _ELSEWHERE, len(name))
        local = _LOCAL.pack(0x04034B50, *common, _SIZES.size) + name + _SIZES.pack(1, 16, size, size)
        central = _CENTRAL.pack(0x02014B50, 3 << 8 | _VERSION, *common, _PLACE.size, 0, 0, 0, _FILE, _ELSEWHERE)
        directory.append(central + name + _PLACE.pack(1, 24, size, size, offset))
        before.append(local)
        offset += len(local) + size
    listed = b"".join(directory)
    end64 = _END64.pack(
        0x06064B50, 44, 3 << 8 | _VERSION, _VERSION, 0, 0, len(before), len(before), len(listed), offset
    )
    locator = _LOCATOR.pack(0x07064B50, 0, offset + len(listed), 1)
    end = _END.pack(0x06054B50, 0, 0, 0xFFFF, 0xFFFF, _ELSEWHERE, _ELSEWHERE, 0)
    return before, listed + end64 + locator + end


def read_directory(handle: int) -> dict[bytes, tuple[Member, int]]:
    """Members of the zip that a descriptor is of, by name, each with its offset.

    Raises:
      DamageError: the directory is not one that `frame` makes for a file of this size.
    """
    size = os.fstat(handle).st_size
    last = read_at(handle, size - _LAST, _LAST) if size >= _LAST else b""
    if not last:
        raise DamageError(f"it has {size} bytes; a part has at least {_LAST}")
    *_, count, length, begin = _END64.unpack_from(last)
    if begin + length + _LAST != size:
        raise DamageError("its end is not that of a part: it is cut short, or another program wrote it")
    tail = read_at(handle, begin, length) + last
    members = list(_listed(tail[:length]))
    before, expected = frame(members)
    if tail != expected or len({member.name for member in members}) != count:
        raise DamageError("the list of what it holds has other bytes than it was written with")
    found, offset = {}, 0
    for member, head in zip(members, before, strict=True):
        found[member.name] = (member, offset)
        offset += len(head) + member.size
    return found


def _listed(directory: bytes) -> Iterator[Member]:
    at = 0
    while at + _CENTRAL.size + _PLACE.size <= len(directory):
        fields = _CENTRAL.unpack_from(directory, at)
        crc, length = fields[7], fields[10]
        name = directory[at + _CENTRAL.size :][:length]
        at += _CENTRAL.size + length
        if at + _PLACE.size > len(directory):
            return
        yield Member(name, _PLACE.unpack_from(directory, at)[2], crc)
        at += _PLACE.size


def read_member(handle: int, member: Member, offset: int) -> np.ndarray:
    """What a member holds: bytes that begin at an address which suits numbers of any type.

    Raises:
      DamageError: its bytes, or those before it, are not those that were written.
    """
    head = frame([member])[0][0]
    pad = -len(head) % ALIGNED
    content = np.empty(pad + len(head) + member.size, np.uint8)
    _read_into(handle, content.data[pad:], offset)
    if content[pad : pad + len(head)].tobytes() != head:
        raise DamageError(f"what stands before {member.name.decode(errors='replace')!r} has other bytes than written")
    content = content[pad + len(head) :]
    if zlib.crc32(content.data) != member.crc:
        raise DamageError(
            f"the checksum of {member.name.decode(errors='replace')!r} is not the one it was written with"
        )
    return content


def read_at(handle: int, offset: int, size: int) -> bytes:
    """Some bytes of a file.

    Raises:
      DamageError: it ends before.
    """
    content = bytearray(size)
    _read_into(handle, memoryview(content), offset)
    return bytes(content)


def _read_into(handle: int, view: memoryview, offset: int) -> None:
    while view:
        count = os.preadv(handle, [view], offset)
        if not count:
            raise DamageError("it is cut short")
        view, offset = view[count:], offset + count
