"""`verify`: cells of a store computed once more, from the programs and arrays in it, and compared bit for bit.

Nothing is needed but the store: the function that it comes from may be gone.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dlcore.core.arguments import arguments, integer, number
from dlcore.core.arguments import path as a_path
from dlcore.core.errors import ArgumentError, DataError
from dlcore.engine import executables
from dlcore.engine.durable.folder import Store
from dlcore.engine.durable.identity import COMPILER, environment, environment_words
from dlcore.engine.durable.npy import distance, raw
from dlcore.engine.durable.parts import Part
from dlcore.engine.durable.pieces import Piece
from dlcore.engine.durable.reading import opened
from dlcore.engine.program import ENDED
from dlcore.engine.results import FINAL_STATE


class Audit(NamedTuple):
    """What `verify` did: all of it agreed. cells: how many were computed again. of: how many are in the store.

    arrays: how many arrays of them were compared.
    """

    cells: int
    of: int
    arrays: int

    def __repr__(self) -> str:
        return f"{self.cells} of {self.of} cells computed again, {self.arrays} arrays compared: all bits agree"


@arguments(store=a_path, fraction=number(0, 1, open_low=True), seed=integer(0))
def verify(store: str | os.PathLike, fraction: float = 0.1, *, seed: int = 0) -> Audit:
    """Compute some cells of a store again and compare them bit for bit, on a machine like the one that computed them.

    Args:
      store: a folder given as `store` to `dlcore.sweep` or `dlcore.run`.
      fraction: of the cells, above 0, at most 1; at least one is computed.
      seed: of the choice.

    Raises:
      ArgumentError: no such store; nothing finished in it; another kind of device, version or flag than it was computed
        with, so that bits may differ.
      DataError: bits differ: the message names cells and arrays.

    Example:
      >>> def fit(start):
      ...     return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2}), num_records=2)
      >>> runs = dl.sweep(fit, start=np.arange(20.0), store="runs/halves")
      >>> dl.verify("runs/halves", fraction=0.1)
      2 of 20 cells computed again, 4 arrays compared: all bits agree
    """
    folder, _, _ = opened(store)
    there = [key for key in folder.cells() if any(piece.end > 0 for piece in folder.pieces(*key))]
    if not there:
        raise ArgumentError(f"the store {folder.given!r} holds nothing finished yet; verify it later.")
    count = max(1, round(fraction * len(there)))
    chosen = np.random.default_rng(seed).choice(len(there), count, replace=False)
    by_program: dict[str, list[str]] = {}
    for i in sorted(chosen):
        by_program.setdefault(there[i][0], []).append(there[i][1])
    compared, wrong = 0, []
    for name, keys in by_program.items():
        program = _Again(folder, name)
        for begin in range(0, len(keys), program.num_lanes):
            lanes = keys[begin : begin + program.num_lanes]
            for key, differences in program.compare(lanes):
                compared += len(differences)
                wrong += [f"{key or 'the run'}: {each}" for each in differences if each]
    if wrong:
        listed = "\n  ".join(wrong[:10])
        raise DataError(
            f"{len(wrong)} arrays of the store {folder.given!r} are not what their programs compute now:\n  {listed}\n"
            "Either they were changed, or this machine, or the one that computed them, does not compute reliably. "
            "Verify on another machine of this kind; remove the parts that are wrong, and the same call computes them "
            "again."
        )
    return Audit(count, len(there), compared)


class _Again:
    """A program out of a store, on this machine."""

    def __init__(self, store: Store, name: str):
        self._store, self._name = store, name
        self._identity, texts, self._header = store.program(name)
        self._device = jax.devices()[0]
        if "mesh" in self._identity.environment:
            raise ArgumentError(
                f"the store {store.given!r} holds a run over a mesh, which is not verified. Run it again into another "
                "store, and compare: dl.load(one).equals(dl.load(other))."
            )
        if self._identity.python:
            raise ArgumentError(
                f"the store {store.given!r} holds runs on streamed data, whose programs call the process that made "
                "them; they are not verified. Run some of their cells again into another store, and compare."
            )
        there = {name: value for name, value in self._identity.environment.items() if name != COMPILER}  # used again
        if differs := environment_words(there, environment(self._device)):
            raise ArgumentError(
                f"the store {store.given!r} was computed elsewhere, so bits may differ: {'; '.join(differs)}. Verify "
                "it in an environment like that one."
            )
        self.num_lanes = max(self._identity.lanes, 1)
        self._texts, self._compiled = texts, dict[str, Any]()
        held = self._header["constants"]
        constants = {digest: store.constant(digest) for digests in held.values() for digest in digests}
        self._held = {key: [constants[digest] for digest in digests] for key, digests in held.items()}

    def compare(self, keys: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Compute the cells of a block; of each what differs in each of its arrays, "" for those that agree."""
        pieces = {key: [piece for piece in self._store.pieces(self._name, key) if piece.end > 0] for key in keys}
        ends = {piece.end for each in pieces.values() for piece in each}
        records, states, finals = self._computed(keys, ends)
        for lane, key in enumerate(keys):
            differences = []
            for piece in pieces[key]:
                part = self._store.part(piece.name)
                for name, values in part.arrays.items():
                    kind, _, own = name.partition("/")
                    there = values[piece.index]
                    if kind == "records":
                        again = np.stack([each[own][lane] for each in records[: piece.end + 1] if own in each])
                        again = again[len(again) - len(there) :]
                        there, again = self._until_end(piece, part, there, again)
                    else:
                        again = finals[piece.end][own][lane]
                    differences.append(_difference(f"{piece.name}, {name}", there, again))
                if self._store.has_state(piece.name):
                    for name, there in self._store.state_of(piece).items():
                        differences.append(_difference(f"state, {name}", there, states[piece.end][name][lane]))
            yield key, differences

    def _until_end(
        self, piece: Piece, part: Part, there: np.ndarray, again: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both up to the record at which a run ended early: its neighbors in the block may have gone on."""
        ended = part.arrays[f"records/{ENDED}"][piece.index] if piece.ended else np.zeros(1, bool)
        count = int(np.argmax(ended)) + 1 - (len(ended) - len(there)) if ended.any() else len(there)
        return there[:count], again[:count]

    def _computed(self, keys: Sequence[str], ends: set[int]) -> tuple[list[Any], dict[int, Any], dict[int, Any]]:
        """Each record, name to [lanes, ...], that at step 0 first; at each end the states, and what is kept."""
        header = self._header
        lanes = [*keys, *([keys[-1]] * (self.num_lanes - len(keys)))]
        cells = [
            np.array([np.frombuffer(bytes.fromhex(_value(key, name)), dtype)[0] for key in lanes])
            for name, dtype in header["cells"]
        ]
        num_states = len(header["state"]) + header["ends"]
        (*found,) = self._call("start", cells)
        states, first = found[:num_states], dict(zip(header["first"], found[num_states:], strict=True))
        records: list[dict[str, np.ndarray]] = [first]
        at_ends, finals = {}, {}
        for record in range(1, max(ends) + 1):
            function = "last" if record == self._identity.length else "advance"
            found = self._call(function, [*cells, *states, np.int32(1)])
            states = found[:num_states]
            rows = [values[0] for values in found[num_states:]]
            records.append(dict(zip(header["records"], rows, strict=True)))
            if record in ends:
                at_ends[record] = dict(zip(header["state"], states[: len(header["state"])], strict=True))
                finals[record] = self._kept(cells, states, at_ends[record])
        return records, at_ends, finals

    def _kept(self, cells: list[Any], states: list[Any], at_end: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What is kept of runs that end here: whole states, and parameters by the program's function or out of them."""
        kept = {f"{FINAL_STATE}.{name}" if name else FINAL_STATE: values for name, values in at_end.items()}
        if "final" in self._texts:
            return kept | dict(zip(self._header["final"], self._call("final", [*cells, *states]), strict=True))
        return kept | {name: at_end[source] for name, source in self._header["sources"].items()}

    def _call(self, function: str, arguments: list[Any]) -> list[np.ndarray]:
        if function not in self._compiled:
            options = self._header["options"] or {}
            options = options.get(function, options)  # stores from before have the same ones for all functions
            self._compiled[function] = executables.from_text(self._texts[function], self._device, options)
        return self._compiled[function]([*self._held[function], *arguments])


def _value(key: str, name: str) -> str:
    """The bits of a traced value, in hexadecimal digits, out of a cell's key."""
    return next(part.removeprefix(f"{name}=") for part in key.split(" ") if part.startswith(f"{name}="))


def _difference(name: str, there: np.ndarray, again: np.ndarray) -> str:
    """What differs, in words; "" if nothing does."""
    if (there.dtype, there.shape) == (again.dtype, again.shape) and np.array_equal(raw(there), raw(again)):
        return ""
    return f"{name}: {distance(there, again)}"
