"""How far the programs of a test are optimized.

Nearly all of the time of the tests goes into compiling. The laws of bits (a lane does not see its neighbors, any number
of devices gives the same) are tested with programs compiled as users' are. The rest is compared with oracles to a
tolerance, or does the same twice, and trains tiny networks: its programs are not optimized, which compiles several
times as fast. `make verify` compiles core and engine as users do.
"""

import os
import pathlib
from typing import Any

from jax._src import compiler

from dlcore.engine import executables

TESTS = pathlib.Path(__file__).parent
BITS = {f"engine/{name}.py" for name in ("test_sweep", "test_devices", "test_mesh_processes")}
BITS |= {"engine/distributed/test_studies_on_workers.py"}  # other processes compile as users do
BITS |= {"docs/test_examples.py", "docs/test_guides.py", "test_readme.py"}
QUICK = 0
_level: int | None = None  # of programs compiled from now on
_compile = compiler.backend_compile_and_load
_from_text = executables.from_text


def level_of(path: pathlib.Path, as_users: bool = False) -> int | None:
    """XLA's level of optimization for the tests of that file; None for users' own. as_users: so in core and engine."""
    name = path.relative_to(TESTS).as_posix()
    folder = name.partition("/")[0]
    return None if name in BITS or (as_users and folder in ("core", "engine")) else QUICK


def optimize(level: int | None) -> bool:
    """Compile what comes from now on at that level, in processes started from now on too; whether that is a change."""
    global _level
    before, _level = _level, level
    os.environ["XLA_FLAGS"] = f"{_flags} {flags()}".strip()
    return before != level


def flags() -> str:
    """The same as XLA's flags, for processes."""
    return " ".join(f"--{name}={str(value).lower()}" for name, value in _options().items())


def _options() -> dict[str, Any]:
    return {} if _level is None else _quick(_level)


def _users_flags() -> str:
    """Without those that a process that started this one has added."""
    ours = {f"--{name}={str(value).lower()}" for name, value in _quick(QUICK).items()}
    return " ".join(flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag not in ours)


def _quick(level: int) -> dict[str, Any]:
    # A flag that XLA does not have (jaxlib 0.12 has lost the second) ends the process.
    return executables.accepted({"xla_backend_optimization_level": level, "xla_cpu_use_fusion_emitters": False})


def _compile_as_told(backend: Any, module: Any, devices: Any, options: Any, callbacks: Any) -> Any:
    options.env_option_overrides = list((dict(options.env_option_overrides) | _options()).items())
    return _compile(backend, module, devices, options, callbacks)


def _from_text_as_told(text: Any, device: Any, options: dict[str, Any] | None) -> Any:
    return _from_text(text, device, {**(options or {}), **_options()})


compiler.backend_compile_and_load = _compile_as_told
executables.from_text = _from_text_as_told
_flags = os.environ["XLA_FLAGS"] = _users_flags()
