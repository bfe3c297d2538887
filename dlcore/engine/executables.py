"""Executables: compiled once, and loaded on the other devices of a process.

All that is not public in JAX and that the engine rests on stands here; where it fails, a program is compiled for each
device, and is the same.
"""

import contextlib
import functools
import hashlib
import io
import os
import pathlib
import tempfile
import threading
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pickle import PickleError
from typing import Any

import jax
import numpy as np
from jax._src import compiler, config
from jax.experimental import serialize_executable

from dlcore.engine.setup import machine

CACHE_HIT = "/jax/compilation_cache/cache_hits"
EXECUTABLES = ("Executable", "LoadedExecutable")  # classes of jaxlib

_here = threading.local()  # hit: whether the compilation of this thread came from JAX's cache on disk


def _notice(event: str, **_: Any) -> None:
    if event == CACHE_HIT:
        _here.hit = True


jax.monitoring.register_event_listener(_notice)


def name_of(*described: str) -> str:
    """A name for a program with that text and those types on this machine, the same in every process."""
    environment = (machine(), jax.__version__, os.environ.get("XLA_FLAGS", ""), os.environ.get("PJRT_NPROC", ""))
    return hashlib.sha256("\0".join((*described, *environment)).encode()).hexdigest()


def settings() -> Hashable | None:
    """What decides how JAX lowers, besides what is lowered: precision, x64 and the like; None if it cannot be had."""
    try:
        return config.trace_context()
    except AttributeError:
        return None


def accepted(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the compiler's options that this version of XLA has; it fails on others."""
    return {name: value for name, value in options.items() if _accepts(name, value)}


@functools.cache
def _accepts(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0).lower().compile({name: value})
    except jax.errors.JaxRuntimeError:
        return False
    return True


def compiled(lowered: jax.stages.Lowered, options: dict[str, Any] | None) -> tuple[jax.stages.Compiled, bool]:
    """The compiled program, and whether it was read from JAX's cache on disk."""
    _here.hit = False
    return lowered.compile(options), _here.hit


def code_of(program: jax.stages.Compiled, name: str, from_cache: bool) -> bytes | None:
    """The machine code of a program, to be loaded on other devices; None if it cannot be had.

    What JAX has read from its cache no longer knows its own code (jaxlib 0.10.2 loads it, and fails when it runs). So
    the code is kept beside that cache by the program's name.
    """
    folder = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    file = pathlib.Path(folder, f"dlcore-{name}") if folder else None
    if from_cache:
        return _read(file) if file else None
    try:
        executable: Any = program.runtime_executable()
        code = executable.client.serialize_executable(executable)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):  # not every platform can
        return None
    if file and jax.local_device_count() > 1:
        with contextlib.suppress(OSError):  # a cache that cannot be written is none
            _write(file, code)
    return code


def loaded(program: jax.stages.Compiled, code: bytes, device: jax.Device) -> jax.stages.Compiled | None:
    """The program on another device; None where this version of JAX does not let us."""
    try:
        unloaded = program._executable._unloaded_executable  # pyright: ignore
        arguments, in_tree = jax.tree.flatten(program.args_info)
        with io.BytesIO() as file:
            _Writer(file, code).dump((unloaded, arguments, program._no_kwargs))  # pyright: ignore
            written = io.BytesIO(file.getvalue())
        unloaded, arguments, no_kwargs = _Reader(written, device).load()
        return jax.stages.Compiled(
            unloaded.load(), [], in_tree.unflatten(arguments), program.out_tree, no_kwargs=no_kwargs
        )
    except (AttributeError, ImportError, NotImplementedError, PickleError, RuntimeError, TypeError, ValueError):
        return None


def from_text(
    text: str, device: jax.Device, options: dict[str, Any] | None
) -> Callable[[Sequence[Any]], list[np.ndarray]]:
    """A function compiled from its StableHLO alone; it takes and gives flat lists of arrays, keys as their integers."""
    compile_options = compiler.get_compile_options(
        num_replicas=1,
        num_partitions=1,
        device_assignment=np.array([[device.id]]),
        env_options_overrides=options,
        backend=device.client,
    )
    executable = device.client.compile_and_load(text, [device], compile_options)

    def call(arguments):
        placed = [jax.device_put(each, device) for each in arguments]
        results = executable.execute_sharded(placed)
        return [np.asarray(shards[0]) for shards in results.disassemble_into_single_device_arrays()]

    return call


class _Writer(serialize_executable._JaxPjrtPickler):  # pyright: ignore[reportPrivateUsage]
    """Writes an executable with the code that is known of it."""

    def __init__(self, file: io.BytesIO, code: bytes):
        super().__init__(file)
        self.code = code

    def persistent_id(self, obj: Any) -> Any:
        return ("exec", self.code) if type(obj).__name__ in EXECUTABLES else super().persistent_id(obj)


class _Reader(serialize_executable._JaxPjrtUnpickler):  # pyright: ignore[reportPrivateUsage]
    """Reads, from memory, what `_Writer` wrote for one device as a program for another one.

    The public `deserialize_and_load` keeps the number of the first device in the compile options.
    """

    def __init__(self, file: io.BytesIO, device: jax.Device):
        super().__init__(file, device.client, (device,))
        self.device = device

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "device":
            return self.device
        if pid[0] != "exec":
            return super().persistent_load(pid)
        options = compiler.get_compile_options(
            num_replicas=1, num_partitions=1, device_assignment=np.array([[self.device.id]])
        )
        return self.backend.deserialize_executable(
            pid[1], executable_devices=self.execution_devices, compile_options=options
        )


def _write(file: pathlib.Path, code: bytes) -> None:
    content = hashlib.sha256(code).digest() + zlib.compress(code, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".dlcore-", delete=False) as part:
        part.write(content)
    os.replace(part.name, file)


def _read(file: pathlib.Path) -> bytes | None:
    """The code, or None if it is not there or damaged."""
    try:
        content = file.read_bytes()
        code = zlib.decompress(content[32:])
    except (OSError, zlib.error):
        return None
    return code if hashlib.sha256(code).digest() == content[:32] else None
