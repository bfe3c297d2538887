"""How far the programs of a test are optimized.

Nearly all of the time of the tests goes into compiling. The laws of bits (a lane does not see its neighbors, any number
of devices gives the same) are tested with programs compiled as users' are. The rest is compared with oracles to a
tolerance, or does the same twice, and trains tiny networks: its programs are not optimized, which compiles twice as
fast. `make verify` compiles core and engine as users do. Outside of these two packages programs stay on disk, for the
next time the tests are run.
"""

import os
import pathlib
import threading
from typing import Any

import jax
import jaxlib
from jax._src import compiler, lru_cache
from jax.experimental.compilation_cache import compilation_cache

from dlcore.engine import executables

TESTS = pathlib.Path(__file__).parent
BITS = {f"engine/{name}.py" for name in ("test_sweep", "test_devices", "test_mesh_processes")}
BITS |= {"engine/distributed/test_studies_on_workers.py"}  # other processes compile as users do
BITS |= {"docs/test_examples.py", "docs/test_guides.py", "test_readme.py"}
NOTHING = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}  # is optimized


_flags = ""  # of XLA, users' own
_options: dict[str, Any] = {}  # of programs compiled from now on
_compile, _from_text = compiler.backend_compile_and_load, executables.from_text


def begin() -> None:
    """Start JAX, with the flags that users have, and compile what comes after it as told."""
    global NOTHING, _flags
    given = os.environ.get("XLA_FLAGS", "").split()  # some of them by the process of tests that has started this one
    _flags = " ".join(flag for flag in given if flag.lstrip("-").partition("=")[0] not in NOTHING)
    os.environ["XLA_FLAGS"] = _flags
    jax.devices()  # XLA reads its flags once
    # A flag that XLA does not have (jaxlib 0.12 has lost the second) ends the process.
    NOTHING = executables.accepted(NOTHING)
    compiler.backend_compile_and_load = _compile_as_told
    executables.from_text = _from_text_as_told
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    lru_cache.LRUCache.put = _put


def as_users_do(path: pathlib.Path, core_and_engine: bool = False) -> bool:
    """Whether the programs of the tests in that file are optimized. core_and_engine: those of these packages are."""
    name = path.relative_to(TESTS).as_posix()
    return name in BITS or (core_and_engine and name.partition("/")[0] in ("core", "engine"))


def optimize(optimized: bool) -> bool:
    """Compile so what comes from now on, in processes started from now on too; whether that is a change."""
    global _options
    before, _options = _options, {} if optimized else NOTHING
    os.environ["XLA_FLAGS"] = f"{_flags} {flags()}".strip()
    return before != _options


def stay_on_disk(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Keep what comes from now on in `folder`, where the bits of the tests in that file are not the point."""
    name = path.relative_to(TESTS).as_posix()
    there = None if name in BITS or name.partition("/")[0] in ("core", "engine") else str(folder / jaxlib.__version__)
    if jax.config.jax_compilation_cache_dir != there:
        jax.config.update("jax_compilation_cache_dir", there)
        compilation_cache.reset_cache()


def flags() -> str:
    """The same as XLA's flags, for processes."""
    return " ".join(f"--{name}={str(value).lower()}" for name, value in _options.items())


def _compile_as_told(backend: Any, module: Any, devices: Any, options: Any, callbacks: Any) -> Any:
    options.env_option_overrides = list((dict(options.env_option_overrides) | _options).items())
    return _compile(backend, module, devices, options, callbacks)


def _from_text_as_told(text: Any, device: Any, options: dict[str, Any] | None) -> Any:
    return _from_text(text, device, {**(options or {}), **_options})


def _put(cache: Any, key: str, program: bytes) -> None:
    """Write it whole: two processes share the folder, and JAX locks it only where it makes room."""
    path = cache.path / f"{key}{lru_cache._CACHE_SUFFIX}"
    if not path.exists():
        part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        part.write_bytes(program)
        part.replace(path)
