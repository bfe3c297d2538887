"""Parts of a store: immutable files of arrays, written whole or not at all, checked when they are read."""

import contextlib
import errno
import json
import os
import pathlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from dlcore.core.errors import ArgumentError, DataError, shown
from dlcore.engine.durable.npy import as_kept, as_npy, distance, kind_of, raw, restored
from dlcore.engine.durable.zipped import DamageError, Member, frame, read_directory, read_member
from dlcore.engine.folders import unwritable
from dlcore.engine.leftovers import beside, host, origin, stale
from dlcore.engine.manifest import open_regular, read_regular, sync

FORMAT = 1
MOST_BYTES = 65_535  # of a name in a zip
HEADER = b"header.json"
DAMAGED = ".damaged"  # of a file that was set aside
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
TWICE = "The same program gave different bits twice: a computer or a library is not what it was."
MIXED = "Two different things have one name."
KEEP = "Compare the two, remove the one that is wrong, and leave the right one under the first name."
ADVICE = "Remove it; the same call computes its cells again."
ELSEWHERE = {  # advice for files of other folders of a store
    "studies": "Remove it; the call that it is of, made again, writes it anew and computes nothing.",
    **dict.fromkeys(("programs", "constants"), "Remove it; the same call writes it anew and computes nothing."),
    "states": "Remove it; the same call computes its cells from their start.",
}
_AWKWARD = re.compile(r"[\x00-\x1f\x7f%\\\ud800-\udfff]|^/|(?<![^/])\.\.?(?![^/])")  # in the name of a file in a zip


class DamagedError(DataError):
    """A file is not as it was written; `file` is which."""

    def __init__(self, file: pathlib.Path, reason: str):
        super().__init__(f"{file} is damaged: {reason}. {_advice(file)}")
        self.file = file


class MissingError(DataError):
    """A file is not there; `file` is which."""

    def __init__(self, file: pathlib.Path):
        self.file, again = file, "The same call writes it" if file.parent.name in ELSEWHERE else "Call again, to list"
        super().__init__(f"{file} is missing: it was removed since it was listed. {again} anew.")


class Part(NamedTuple):
    """A file of arrays. header: as JSON keeps it; arrays: each is read, and checked, when it is asked for."""

    file: pathlib.Path
    header: dict[str, Any]
    arrays: Mapping[str, np.ndarray]


def commit(file: str | os.PathLike, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bool:
    """Write a part in its place, on the disk; whether it was not there already.

    Args:
      file: path of the part, in a folder that is there.
      arrays: of numbers, truth values or strings, those of ml_dtypes among them.
      header: what JSON can hold. `header["facts"]` lists keys whose values must be those of a part that is there.

    Raises:
      ArgumentError: an array or the header cannot be kept, or the system refuses to write; nothing has changed then.
      DataError: a part of that name is there with other values; it stays, and this one lies beside it.
    """
    file = pathlib.Path(file)
    kept = {name: as_kept(name, array) for name, array in arrays.items()}
    long = [name for name in kept if len(_member(name)) > MOST_BYTES]
    if long:
        raise ArgumentError(
            f"the name {shown(long[0])} of an array is too long: a zip keeps {MOST_BYTES} bytes. Shorten it."
        )
    return _place(file, _buffers(kept, header), lambda: _difference(read(file), kept, header))


def commit_text(file: str | os.PathLike, content: str | bytes) -> bool:
    """Write a small file by the protocol of `commit`; whether it was not there already.

    Raises:
      ArgumentError: the system refuses to write; nothing has changed then.
      DataError: a file of that name is there with other content; it stays, and this one lies beside it.
    """
    file, mine = pathlib.Path(file), content.encode() if isinstance(content, str) else content

    def difference() -> str | None:
        theirs = read_bytes(file)
        at = next((at for at, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
        at = min(len(mine), len(theirs)) if at is None else at
        return None if mine == theirs else f"from byte {at} on ({len(theirs)} bytes there, {len(mine)} here). {MIXED}"

    return _place(file, [mine], difference)


def listing(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Committed files of a folder, sorted by name; none where there is no folder.

    Raises:
      DataError: the folder cannot be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"cannot read {str(folder)!r}: {error.strerror}. Choose the path of a folder.") from None
    committed = [name for name in names if name[0] != "." and ".conflict-" not in name and not name.endswith(DAMAGED)]
    return [pathlib.Path(folder, name) for name in committed]


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Remove what processes that are dead were just writing into a folder, or taking out of it."""
    with contextlib.suppress(OSError):
        for path in list(pathlib.Path(folder).iterdir()):
            found = origin(path)
            if found and found.kind in ("partial", "stale") and stale(found):
                with contextlib.suppress(OSError):  # another process removes it too, or the folder is read-only
                    path.unlink()


def read_bytes(file: str | os.PathLike) -> bytes:
    """Content of a small file.

    Raises:
      MissingError: it is not there.
      DataError: it cannot be read, or is no regular file.
    """
    with _words(pathlib.Path(file)):
        return read_regular(pathlib.Path(file))


def read(file: str | os.PathLike) -> Part:
    """A part. Its header and the list of its arrays are checked at once, an array when it is asked for.

    Raises:
      MissingError: it is not there.
      DataError: it is damaged, or no part, or of another version.
    """
    file = pathlib.Path(file)
    with _words(file), open_regular(file) as handle:
        members = read_directory(handle)
        if HEADER not in members:
            raise DamageError("it is no part: it has no header")
        found = _parsed(read_member(handle, *members[HEADER]).tobytes())
        header, kinds = found["header"], found["arrays"]
        if list(members) != [HEADER, *map(_member, kinds)]:
            raise DamageError("its header lists other arrays than it holds")
        return Part(file, header, _Arrays(file, kinds, members))


class _Arrays(Mapping[str, np.ndarray]):
    """Arrays of a part by name. kinds: name to dtype and shape, as the header has them."""

    def __init__(self, file: pathlib.Path, kinds: dict[str, Any], members: dict[bytes, tuple[Member, int]]) -> None:
        self._file, self._kinds, self._members = file, kinds, members

    def __getitem__(self, name: str) -> np.ndarray:
        kind, shape = self._kinds[name]
        with _words(self._file), open_regular(self._file) as handle:
            content = read_member(handle, *self._members[_member(name)])
            return restored(name, content, kind, shape)

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def _parsed(content: bytes) -> dict[str, Any]:
    """The header of a part, its two fields checked for being what they are called."""
    try:
        found = json.loads(content)
        version = found["format"]
        if version != FORMAT:
            raise DamageError(f"it has format {version!r} where this dlcore reads {FORMAT}, so another one wrote it")
        named = all(isinstance(dtype, str) and isinstance(shape, list) for dtype, shape in found["arrays"].values())
        if not named or not isinstance(found["header"], dict):
            raise DamageError("its header is no header of a part")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamageError(f"its header is no header of a part ({error})") from None
    return found


def _buffers(kept: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Iterable[bytes | memoryview]:
    """What the file of a part consists of, in order."""
    kinds = {name: (kind_of(array.dtype), array.shape) for name, array in kept.items()}
    try:
        text = json.dumps({"format": FORMAT, "header": dict(header), "arrays": kinds}).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(
            f"the header of a part holds what JSON cannot: {error}. Pass numbers, text, lists."
        ) from None
    contents: list[list[bytes | memoryview]] = [[text]]
    members = [Member(HEADER, len(text), zlib.crc32(text))]
    for name, array in kept.items():
        head, values = as_npy(array)
        contents.append([head, values])
        members.append(Member(_member(name), len(head) + len(values), zlib.crc32(values, zlib.crc32(head))))
    before, after = frame(members)
    return [each for pair in zip(before, contents, strict=True) for each in (pair[0], *pair[1])] + [after]


def _place(file: pathlib.Path, buffers: Iterable[bytes | memoryview], difference: Callable[[], str | None]) -> bool:
    """Write `buffers` as `file`, unless it is there; then see that there is no difference."""
    temporary = beside(file, "partial")
    try:
        with open(temporary, "xb") as stream:
            stream.writelines(buffers)
            stream.flush()
            os.fsync(stream.fileno())
        placed = _link(temporary, file)
        sync(file.parent)
        differs = None if placed else difference()
        if differs is None:
            return placed
        other = file.with_name(f"{file.stem}.conflict-{host()}-{os.getpid()}{file.suffix}")
        os.replace(temporary, other)
    except (OSError, ValueError) as error:
        if isinstance(error, (ArgumentError, DataError)):
            raise
        raise unwritable(str(file), error) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.unlink(temporary)
    raise DataError(
        f"{file} is there already, and what was to be written differs {differs} The new one is kept as {other}. {KEEP}"
    )


def _link(temporary: pathlib.Path, file: pathlib.Path) -> bool:
    """Give a file its name, unless that is taken; whether it was free. Links are what no race can fool."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(file):
            return False
        os.replace(temporary, file)
        return True
    os.unlink(temporary)  # now already, so that one sync of the folder covers both
    return True


@contextlib.contextmanager
def _words(file: pathlib.Path) -> Iterator[None]:
    """What is wrong with a file that is read, in an error that names it."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(file) from None
    except DamageError as error:
        raise DamagedError(file, str(error)) from None
    except (OSError, ValueError) as error:
        reason = "it is a link, no file" if getattr(error, "errno", None) == errno.ELOOP else error
        raise DataError(f"{file} cannot be read: {reason}. {_advice(file)}") from None


def _advice(file: pathlib.Path) -> str:
    return ELSEWHERE.get(file.parent.name, ADVICE)


def _difference(theirs: Part, mine: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str | None:
    """How a part that is there differs from one that was to be written; None if it does not."""
    for fact in header.get("facts", ()):
        there, here = (json.dumps(each.get(fact), sort_keys=True) for each in (theirs.header, header))
        if there != here:
            return f"in {fact!r} of its header: {shown(there)} there, {shown(here)} here. {MIXED}"
    if set(theirs.arrays) != set(mine):
        return f"in the names of its arrays: {sorted(set(theirs.arrays) ^ set(mine))} are not in both. {MIXED}"
    for name, here in mine.items():
        there = theirs.arrays[name]
        if (there.dtype, there.shape) != (here.dtype, here.shape):
            return f"in {name!r}: {there.dtype} {there.shape} there, {here.dtype} {here.shape} here. {MIXED}"
        if not np.array_equal(raw(there), raw(here)):
            return f"in {name!r}: {distance(there, here)}. {TWICE}"
    return None


def _member(name: str) -> bytes:
    """Name of an array's file in the zip; what a zip does not keep is percent-encoded."""
    return _AWKWARD.sub(_encoded, name).encode() + b".npy"


def _encoded(match: re.Match) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
