"""What the bits of a program's results depend on, and a name for it: the same name, the same bits.

That is the text that is compiled (StableHLO, for one device and so many lanes), the arrays it closes over, and where it
runs. Not the function that it was made from: who rewrites a function, or moves it, has the same program still.
"""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jaxlib
from jax.sharding import Mesh

from dlcore.core.labeled import by_path
from dlcore.engine.devices import Constants
from dlcore.engine.places import Place, first_device, mesh_words
from dlcore.engine.program import Program
from dlcore.engine.setup import machine
from dlcore.engine.traced import Traced

RECORDING = ("start", "advance", "last")  # the functions that records and states come from
COMPILER = "compiler"  # the entry of the environment that has the compiler's options, by function
WITHOUT_EFFECT = ("--xla_force_host_platform_device_count", "--xla_dump")  # XLA flags that change no bits


class Identity(NamedTuple):
    """What the bits of a program's results depend on.

    texts: hash of each function's text. constants: hash, dtype and shape of each array. outputs: name, dtype and shape
    of each record and of each array of the state. environment: name to value. lanes: runs side by side, 0 for one that
    is not vectorized. length: number of records after step 0 where the last comes after fewer steps than the others, so
    that a longer run has other records; else 0. python: fingerprints of streamed data.
    """

    texts: Mapping[str, str]
    constants: Sequence[tuple[str, str, tuple[int, ...]]]
    outputs: Mapping[str, Mapping[str, str]]
    environment: Mapping[str, str]
    lanes: int
    length: int
    python: Sequence[str]

    @property
    def name(self) -> str:
        """SHA-256 of all of it."""
        return sha256(json.dumps(self.described(), sort_keys=True).encode())

    def described(self) -> dict[str, Any]:
        """As JSON."""
        return {**self._asdict(), "constants": [[sha, dtype, list(shape)] for sha, dtype, shape in self.constants]}

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> "Identity":
        """Back from JSON."""
        constants = [(sha, dtype, tuple(shape)) for sha, dtype, shape in described["constants"]]
        return cls(**{**{field: described[field] for field in cls._fields}, "constants": constants})


def identity_of(
    program: Program, traced: Traced, lane_width: int | None, constants: Constants, place: Place
) -> Identity:
    """The identity of a program on devices of this kind, or on meshes like this one."""
    functions = {name: function for name, function in program.functions.items() if name in RECORDING}
    texts = {name: text_hash(function.text, function.types) for name, function in functions.items()}
    held = [value for function in functions.values() for value in function.held]
    digests = [(constants.digest(value), str(value.dtype), tuple(value.shape)) for value in held]
    outputs = {
        "records": {name: _described(leaf) for name, leaf in traced.record.items()},
        "first": {name: _described(leaf) for name, leaf in traced.first_record.items()},
        "state": {name: _described(leaf) for name, leaf in by_path(traced.state).items()},
    }
    length = program.num_records if "last" in functions else 0
    options = {name: function.options for name, function in functions.items() if function.options}
    where = environment(place) | ({COMPILER: json.dumps(options, sort_keys=True)} if options else {})
    return Identity(texts, digests, outputs, where, lane_width or 0, length, [str(each) for each in traced.python])


def text_hash(text: str, types: str) -> str:
    """SHA-256 of a program's text and of the types of its arguments."""
    return sha256(f"{renumbered(text)}\0{types}".encode())


def renumbered(text: str) -> str:
    """StableHLO whose private functions are numbered in order: JAX's numbers depend on what was lowered before."""
    names = re.findall(r"func\.func private @(\"[^\"]*\"|[\w$.]+)", text)
    numbers = {name: f"f{number}" for number, name in enumerate(dict.fromkeys(names))}
    return re.sub(r"@(\"[^\"]*\"|[\w$.]+)", lambda found: f"@{numbers.get(found[1], found[1])}", text)


def environment(place: Place) -> dict[str, str]:
    """Where a program runs, as far as bits depend on it."""
    config: Any = jax.config
    device, mesh = first_device(place), {"mesh": mesh_words(place)} if isinstance(place, Mesh) else {}
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(WITHOUT_EFFECT)]
    of_cpu = {"cpu": machine(), "cpu_threads": os.environ.get("PJRT_NPROC", "default")}
    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "device": f"{device.platform} {device.device_kind}",
        **mesh,
        **({} if device.platform == "cpu" else {"backend": device.client.platform_version.replace("\n", ", ")}),
        **(of_cpu if device.platform == "cpu" else {}),
        "XLA_FLAGS": " ".join(sorted(set(flags))),
        "x64": str(bool(config.jax_enable_x64)),
        "matmul_precision": str(config.jax_default_matmul_precision or "default"),
        "prng": f"{config.jax_default_prng_impl}, partitionable={bool(config.jax_threefry_partitionable)}",
    }


def difference(there: Identity, now: Identity, old_texts: Mapping[str, str], new_texts: Mapping[str, str]) -> str:
    """What differs between two programs that should be one, in words; the texts are those of their functions."""
    found = environment_words(there.environment, now.environment)
    if there.lanes != now.lanes:
        was = there.lanes or "none"
        return "; ".join([*found, f"lane width: it was {was}, now it is {now.lanes or 'none'} (pass lane_width={was})"])
    if there.length != now.length:
        old, new = (
            f"{each.length} records, the last after fewer steps" if each.length else "" for each in (there, now)
        )
        found.append(f"length: it was {old or 'a multiple of record_every'}, now it is {new or 'one'}")
    if len(there.constants) == len(now.constants):
        changed = [(a, b) for a, b in zip(there.constants, now.constants, strict=True) if a != b]
        if changed:
            was, is_ = (f"{dtype}[{', '.join(map(str, shape))}]" for _, dtype, shape in changed[0])
            kind = f"from {was} to {is_}" if was != is_ else f"the values of {was}"
            found.append(f"constants (data that the function uses): {len(changed)} changed, the first {kind}")
    if there.python != now.python:
        found.append("the streamed data")
    if not found or there.texts != now.texts or there.outputs != now.outputs:
        changed = _changed_line(old_texts, new_texts)
        if changed or not found:
            found.append(f"program: the function, or a library that it calls, computes something else{changed}")
    return "; ".join(found)


def environment_words(there: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two environments."""
    pairs = [(name, there.get(name, "not set"), now.get(name, "not set")) for name in {**there, **now}]
    changed = [(name, old, new) for name, old, new in pairs if old != new]
    by_setup = " (dl.setup() sets it; workers of an executor call that)"
    return [
        f"environment: {name} was {old!r}, now it is {new!r}{by_setup * (name in ('XLA_FLAGS', 'cpu_threads'))}"
        for name, old, new in changed
    ]


def _changed_line(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The first line of a text that changed."""
    for name in old:
        lines = (renumbered(texts.get(name, "")).splitlines() for texts in (old, new))
        for was, now in itertools.zip_longest(*lines, fillvalue=""):
            if was != now:
                return f" (in {name}, `{was.strip()[:90]}` became `{now.strip()[:90]}`)"
    return ""


def sha256(content: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _described(leaf: Any) -> str:
    return f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]"
