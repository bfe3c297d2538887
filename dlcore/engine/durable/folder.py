"""The folder of a study: what is there is what was computed. Its listing is its index, and nothing in it changes.

store.json      that it is a store, and its format
studies/        what calls asked for, see `outline`
programs/       identities, and the texts of the programs
constants/      the arrays that programs close over, and large ones that travel to workers
code/           functions on their way to workers, as long as their call lasts
parts/          records of some cells from one record to another, and what was kept at their end
states/         where these cells stood then, to go on from; may be removed
claims/         which cells somebody is computing, see `claims`
failed/         cells that failed, with their errors
"""

import contextlib
import json
import os
import pathlib
import re
import threading
import time
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dlcore.core.errors import ArgumentError, DataError
from dlcore.engine.durable import constants, outline, parts
from dlcore.engine.durable.identity import Identity, sha256
from dlcore.engine.durable.outline import Outline
from dlcore.engine.durable.parts import DamagedError, MissingError
from dlcore.engine.durable.pieces import Piece, Written, check_name
from dlcore.engine.folders import check_parent, unwritable
from dlcore.engine.manifest import NAME as OF_RESULTS
from dlcore.engine.results import FINAL_STATE, Kept, Rows

FORMAT = 1
MARK = "store.json"
OF_PARTS = re.compile(r"[0-9a-f]{16}-[0-9a-f]{24}\.npz")
FOLDERS = ("studies", "programs", "constants", "code", "parts", "states", "claims", "failed")


class Store:
    """The folder of a study, open.

    Args:
      path: of the folder. create: make it where there is none.

    Raises:
      ArgumentError: something else is there, or nothing where it has to be; it cannot be written.
    """

    def __init__(self, path: str | os.PathLike, *, create: bool):
        self.given = os.fspath(path)
        self.path = pathlib.Path(os.path.abspath(self.given))
        if not is_store(self.path):
            self._make(create)
        self._check_format()
        self._pieces: dict[tuple[str, str], list[Piece]] = {}
        self._files: set[str] = set()  # names of the parts that are known
        self._newest = self._next_look = 0.0
        self.written: list[Written] = []
        self._lock = threading.Lock()

    def _make(self, create: bool) -> None:
        if not create:
            raise ArgumentError(f"there is no store at {self.given!r}; dl.sweep(..., store={self.given!r}) makes it.")
        if os.path.lexists(self.path) and not self._is_being_made():
            results = (self.path / OF_RESULTS).is_file()
            kind = "results that dlcore.save wrote" if results else "something that dlcore did not write"
            raise ArgumentError(f"{self.given!r} holds {kind}; expects a store, or nothing. Choose another path.")
        if outer := next((each for each in self.path.parents if is_store(each)), None):
            raise ArgumentError(f"{self.given!r} lies in the store {str(outer)!r}; choose a path beside it.")
        try:
            check_parent(self.path)
            for folder in FOLDERS:
                (self.path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.given, error) from error
        parts.commit_text(self.path / MARK, json.dumps({"format": FORMAT, "kind": "study"}))

    def _is_being_made(self) -> bool:
        """Whether it is empty, or another process is just making a store of it, or has died while it did."""
        if not self.path.is_dir():
            return False
        names = [name for name in os.listdir(self.path) if not name.startswith(f".{MARK}.") and name != MARK]
        return set(names) <= set(FOLDERS) and not any(os.listdir(self.path / name) for name in names)

    def _check_format(self) -> None:
        try:
            version = json.loads((self.path / MARK).read_text())["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'{self.path / MARK} is damaged ({error}); expects {{"format": {FORMAT}}}. Write that into it: the '
                "parts are checked on their own."
            ) from None
        if version != FORMAT:
            raise DataError(f"{self.given!r} has format {version!r}; expects {FORMAT}. Use the dlcore that wrote it.")

    # What is there.

    def refresh(self, *, strict: bool = False, seldom: bool = False) -> None:
        """Look what parts there are; other processes may have written some.

        Args:
          strict: raise `DamagedError` for a damaged part, in place of setting it aside.
          seldom: not where looking would take more than a twentieth of the time, as in a folder of thousands.
        """
        began = time.monotonic()
        if seldom and began < self._next_look:
            return
        self.look_for(sorted(self.names("parts", self._files)), strict=strict)
        now = time.monotonic()
        self._next_look = now + 20 * (now - began)

    def look_for(self, names: Iterable[str], *, strict: bool = False) -> None:
        """Note what is in parts, unless that is known; a network disk may have some that it does not list yet."""
        for name in names:
            if f"{name}.npz" in self._files:
                continue
            try:
                part = parts.read(self._file("parts", name))
                check_name(part)
                self._note(name, part.header)
            except MissingError:  # removed since it was listed
                continue
            except DamagedError as error:
                if strict:
                    raise
                self.set_aside(error)

    def names(self, folder: str, known: Collection[str] = ()) -> list[str]:
        """Of the parts or states there are; what others put there is none of ours.

        Args:
          known: file names to leave out, quickly: each block looks here.
        """
        try:
            new = set(os.listdir(self.path / folder)).difference(known)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"cannot read {str(self.path / folder)!r}: {error.strerror}.") from None
        return [name[: -len(".npz")] for name in new if OF_PARTS.fullmatch(name)]

    def has_state(self, name: str) -> bool:
        """Whether there are the states at the end of a part."""
        return self._file("states", name).exists()

    def _note(self, name: str, header: Mapping[str, Any]) -> None:
        with self._lock:
            if f"{name}.npz" in self._files:
                return
            self._files.add(f"{name}.npz")
            self.written.append(Written(*(header[field] for field in Written._fields)))
            for index, (key, ended) in enumerate(zip(header["cells"], header["ended"], strict=True)):
                piece = Piece(name, index, header["begin"], header["end"], header["measured"], ended, header["final"])
                self._pieces.setdefault((header["program"], key), []).append(piece)

    def cells(self) -> list[tuple[str, str]]:
        """Program and key of each cell of which something is there."""
        return sorted(self._pieces)

    def pieces_by_part(self) -> dict[str, list[tuple[Piece, list[Piece]]]]:
        """Name of each part to the pieces in it, each with all pieces of its cell."""
        found: dict[str, list[tuple[Piece, list[Piece]]]] = {}
        for pieces in self._pieces.values():
            for piece in pieces:
                found.setdefault(piece.name, []).append((piece, pieces))
        return found

    def pieces(self, program: str, key: str) -> list[Piece]:
        """What is there of a cell, as of the last `refresh`."""
        return self._pieces.get((program, key), [])

    def part(self, name: str) -> parts.Part:
        """A part."""
        return parts.read(self._file("parts", name))

    def records(self, name: str, position: int, pairs: Sequence[tuple[int, int]], first: int, last: int) -> list[Rows]:
        """Records number `first` to `last` of cells in a part.

        Args:
          position: of the program. pairs: rows in the study, indices in the part.
        """
        part = self.part(name)
        rows, indices = np.array([row for row, _ in pairs]), [index for _, index in pairs]
        end, found = part.header["end"], []
        for begin, until in ((0, 0), (1, last)) if first == 0 else ((first, last),):
            records = {}
            for key, values in part.arrays.items():
                if key.startswith("records/") and values.shape[1] > end - begin:  # at step 0 some may be lacking
                    start = values.shape[1] - 1 - (end - begin)
                    records[key.removeprefix("records/")] = values[indices, start : start + until - begin + 1]
            if until >= begin:
                found.append(Rows(position, rows, begin, until - begin + 1, records, None))
        return found

    def ends(
        self, wanted: Mapping[str, Sequence[tuple[int, int]]], keeps: Kept
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """What was kept at the ends of runs: rows, [n], and name to array [n, ...].

        Args:
          wanted: name of a part to rows in the study and indices in it.
        """
        for name, pairs in wanted.items():
            part = self.part(name)
            indices = [index for _, index in pairs]
            roots = ("params", "state") * keeps.params + (FINAL_STATE,) * keeps.state
            found = {key.removeprefix("final/"): key for key in part.arrays if key.startswith("final/")}
            kept = {key: part.arrays[full][indices] for key, full in found.items() if key.split(".")[0] in roots}
            yield np.array([row for row, _ in pairs]), kept

    def state_of(self, piece: Piece) -> dict[str, np.ndarray]:
        """The state of a cell at the end of a piece."""
        part = parts.read(self._file("states", piece.name))
        return {name: values[piece.index] for name, values in part.arrays.items()}

    def set_aside(self, error: DamagedError | MissingError) -> None:
        """Rename a damaged file, and count what it held as missing."""
        file = error.file
        if isinstance(error, DamagedError):
            warnings.warn(f"{error} It is now {file.name}{parts.DAMAGED}; its cells are computed anew.", stacklevel=2)
            try:
                os.replace(file, file.with_name(f"{file.name}{parts.DAMAGED}"))
            except OSError as reason:
                raise unwritable(self.given, reason) from reason
        if file.parent.name == "parts":
            self._files.discard(file.name)  # which somebody may write anew
            for key, known in list(self._pieces.items()):
                self._pieces[key] = [piece for piece in known if piece.name != file.stem]

    def _file(self, folder: str, name: str) -> pathlib.Path:
        return self.path / folder / f"{name}.npz"

    def outlines(self) -> list[Outline]:
        """What calls asked for, oldest first."""
        read = sorted(
            map(parts.read, parts.listing(self.path / "studies")),
            key=lambda part: (part.header["when"], part.file.name),
        )
        self._newest = read[-1].header["when"] if read else 0.0
        return [outline.restored(part.arrays, part.header) for part in read]

    def programs(self) -> set[str]:
        """Names of the programs that something was computed by, as of the last `refresh`."""
        return {program for (program, _), pieces in list(self._pieces.items()) if pieces}

    def names_of_programs(self) -> set[str]:
        """Of those that are kept."""
        return {file.stem for file in parts.listing(self.path / "programs")}

    def program(self, name: str) -> tuple[Identity, dict[str, str], Mapping[str, Any]]:
        """A program's identity, the texts of its functions, and what else its file says."""
        part = parts.read(self._file("programs", name))
        texts = {key: bytes(part.arrays[f"text/{key}"]).decode() for key in part.header["texts"]}
        return Identity.restored(part.header["identity"]), texts, part.header

    # What is added.

    def add_outline(self, asked: Outline) -> None:
        """Note what a call asks for, after `outlines`; once, if it is asked for again."""
        arrays, header = outline.written(asked)
        facts = {name: header[name] for name in header["facts"]}
        digest = sha256(json.dumps(facts, sort_keys=True).encode() + b"".join(a.tobytes() for a in arrays.values()))
        file = self.path / "studies" / f"{digest[:32]}.npz"
        if not file.exists():
            when = max(time.time(), self._newest + 1e-6)  # after those there are, whatever the clock says
            parts.commit(file, arrays, {**header, "when": when})

    def add_program(self, identity: Identity, texts: Mapping[str, str], header: Mapping[str, Any]) -> None:
        """Keep a program, so that results can be computed again without the function."""
        file = self.path / "programs" / f"{identity.name}.npz"
        if not file.exists():
            arrays = {f"text/{key}": np.frombuffer(text.encode(), np.uint8) for key, text in texts.items()}
            described = {"identity": identity.described(), "texts": list(texts), "facts": ["identity"]}
            parts.commit(file, arrays, {**header, **described})

    def add_constant(self, value: np.ndarray) -> None:
        """Keep an array that programs close over."""
        constants.keep(self.path, value)

    def constant(self, digest: str) -> np.ndarray:
        """An array that programs close over."""
        return constants.kept(self.path, digest)

    def add_part(self, name: str, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
        """Write what was computed of some cells."""
        parts.commit(self._file("parts", name), arrays, header)
        self._note(name, header)

    def add_state(self, name: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write where cells stand at the end of the part of that name; before the part."""
        parts.commit(self._file("states", name), arrays, {"part": dict(facts), "facts": ["part"]})

    def drop_state(self, name: str) -> None:
        """Remove states that nobody will go on from."""
        with contextlib.suppress(OSError):
            self._file("states", name).unlink()

    def add_failure(self, name: str, content: Mapping[str, Any]) -> None:
        """Note that a cell failed, and how."""
        parts.commit_text(self.path / "failed" / f"{name}-{time.time_ns()}.json", json.dumps(content, indent=1))


def is_store(path: pathlib.Path) -> bool:
    """Whether there is a store."""
    return (path / MARK).is_file()
