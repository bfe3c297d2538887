"""What runs in a worker process: it is set up as the process that sent the study, then computes blocks of it."""

import os
import pathlib
import secrets
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax

from dlcore.core.errors import ArgumentError, DataError, DlcoreError
from dlcore.engine.distributed.payload import Payload, packed, unpacked
from dlcore.engine.setup import NUM_THREADS, flags_with_ours, jax_has_started, machine, setup

# What programs and their numbers depend on besides their code.
CONFIG = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_random_seed_offset",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_softmax_custom_jvp",
)

OURS = {kind.__name__: kind for kind in (ArgumentError, DataError)}  # errors that are raised as what they were

_PROCESS = secrets.token_hex(8)  # of this process; one that is forked from it has the same
_one_at_a_time = threading.Lock()


class Settings(NamedTuple):
    """Of the process that sends a study, for those that compute it.

    process, pid: which it is. config: of JAX, by name. flags, num_threads: XLA_FLAGS and PJRT_NPROC after `dl.setup`.
    cache: as `dl.setup` takes it. path: where modules are imported from.
    """

    process: str
    pid: int
    config: Mapping[str, Any]
    flags: str
    num_threads: str
    cache: str | Literal[False]
    path: tuple[str, ...]


class Assignment(NamedTuple):
    """What every block of a study has in common; small.

    folder: of the store. compute: `compute(study, options, *task)`, a function of a module.
    """

    payload: Payload
    folder: str
    settings: Settings
    compute: Callable[..., Any]


class Failure(NamedTuple):
    """An error of a worker, as text: its own class may not be there, or not unpickle, where the text is read.

    kind: name of its class, or of the one of ours that it is of. host, pid: of the worker.
    """

    kind: str
    message: str
    traceback: str
    host: str
    pid: int

    def error(self) -> DlcoreError:
        """The error to raise: of its own class if that is one of ours."""
        if self.kind in OURS:
            return OURS[self.kind](self.message)
        return WorkerError(f"{self.kind}: {self.message} (process {self.pid} on {self.host})\n\n{self.traceback}")


class WorkerError(DlcoreError, RuntimeError):
    """An error that the user's code, or JAX, raised in a worker; the message ends with its traceback."""


def assign(study: Any, options: Any, folder: str | os.PathLike, compute: Callable[..., Any]) -> Assignment:
    """Pack a study for workers.

    Args:
      compute: `compute(study, options, *task)`, a function of a module of dlcore; what it returns is what `work` does.

    Raises:
      ArgumentError: something in the study cannot be pickled.
    """
    path = pathlib.Path(os.path.abspath(folder))
    return Assignment(packed(study, options, path), str(path), settings(), compute)


def settings() -> Settings:
    """Those of this process."""
    cache = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if cache and pathlib.Path(cache).name == machine():  # of this processor; a worker may have another
        cache = str(pathlib.Path(cache).parent)
    return Settings(
        process=_PROCESS,
        pid=os.getpid(),
        config={name: getattr(jax.config, name) for name in CONFIG},
        flags=flags_with_ours(os.environ.get("XLA_FLAGS", "")),
        num_threads=os.environ.get("PJRT_NPROC", str(NUM_THREADS)),
        cache=cache or False,
        path=tuple(os.path.abspath(entry) for entry in sys.path),
    )


def work(assignment: Assignment, task: tuple[Any, ...]) -> Any:
    """Compute one block in a worker process; blocks of one process go one after another.

    Returns:
      what `compute` returns, or a `Failure`.
    """
    with _one_at_a_time:
        try:
            prepare(assignment.settings)
            study, options = unpacked(assignment.payload, pathlib.Path(assignment.folder))
            return assignment.compute(study, options, *task)
        except Exception as error:  # whatever the user's function raises is the block's result
            text = "".join(traceback.format_exception(error))
            kind = next((name for name, kind in OURS.items() if isinstance(error, kind)), type(error).__name__)
            return Failure(kind, str(error), text, socket.gethostname(), os.getpid())


def prepare(wanted: Settings) -> None:
    """Set up this process as the one that sent the study: the same numbers follow. One device, if JAX has not started.

    The size of XLA's pool of threads is the same, however many workers a machine has, since bits depend on it. Its
    threads have work only where one product is split, so that a worker takes little more than one core.

    Raises:
      ArgumentError: this process is the one that sends, or forked from it; JAX has started with other flags.
    """
    if wanted.process == _PROCESS:
        _refuse_this_process(forked=wanted.pid != os.getpid())
    for entry in wanted.path:
        if entry not in sys.path and os.path.exists(entry):
            sys.path.append(entry)
    if jax_has_started():
        _check_flags(wanted)
    else:
        os.environ["XLA_FLAGS"], os.environ["PJRT_NPROC"] = wanted.flags, wanted.num_threads
        setup(num_devices=1, cache=wanted.cache)
        if jax.config.read("jax_cuda_visible_devices") == "all":
            jax.config.update("jax_cuda_visible_devices", "0")  # dask-cuda shows each worker all, its own first
    for name, value in wanted.config.items():
        if getattr(jax.config, name) != value:
            jax.config.update(name, value)


def _refuse_this_process(forked: bool) -> None:
    if forked:
        raise ArgumentError(
            "the worker was forked from a process in which JAX runs threads, and would hang; expects processes started "
            "anew: ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))."
        )
    raise ArgumentError(
        "the executor runs blocks in this very process; expects other processes. Leave executor= out: a sweep uses all "
        "devices of its process (Dask: LocalCluster(processes=True))."
    )


def _check_flags(wanted: Settings) -> None:
    flags, num_threads = os.environ.get("XLA_FLAGS", ""), os.environ.get("PJRT_NPROC", "")
    if set(flags.split()) != set(wanted.flags.split()) or num_threads != wanted.num_threads:
        raise ArgumentError(
            f"JAX has started in the worker with XLA_FLAGS={flags!r} and PJRT_NPROC={num_threads!r}, the study wants "
            f"{wanted.flags!r} and {wanted.num_threads!r}, on which bits depend. Let nothing use JAX in a worker "
            "before its first block: put what a script computes below if __name__ == '__main__':."
        )
