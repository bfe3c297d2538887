"""`setup`: what has to be set before JAX starts its backend. Importing dlcore changes no global state."""

import functools
import hashlib
import os
import pathlib
import platform
import warnings
from typing import Literal

import jax
import jaxlib
import platformdirs

from dlcore.core.arguments import NONE, arguments, integer, one, path
from dlcore.core.errors import ArgumentError

# jax#39257, #40412: these versions can crash in CPU reductions of rank 7 and more, unless this fusion is off. We also
# saw a wrong gradient: of a max over two axes of six, after a batch norm (tests/test_convolution.py has it).
# An unknown flag aborts the process, so it is set for no other version.
_CRASHING_JAXLIB = ("0.10.2", "0.11.0")
_AVOID_CRASH = "--xla_cpu_experimental_ynn_fusion_type=-reduce"

# Loops whose arrays take fewer bytes than this are compiled into one function. XLA's default is 1 KiB; with 1 MiB a
# step of single-sample descent takes a fifth of the time, and no program measured got slower (benchmarks/README.md).
_SMALL_LOOPS = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1048576"

# Without it a GPU's kernels are those that won a trial as the program was compiled: other bits in each process.
_SAME_KERNELS = "--xla_gpu_deterministic_ops=true"

# The size of XLA's pool of threads; by default the larger of the numbers of cores and devices. Large products are split
# by it, sums over rows among them, so their bits depend on it: they are the same for all cores and devices up to this.
NUM_THREADS = 8


@arguments(num_devices=integer() | NONE, cache=path | one(False) | NONE)
def setup(*, num_devices: int | None = None, cache: pathlib.Path | str | Literal[False] | None = None) -> None:
    """Use every core of a CPU, and keep compiled programs on disk. Call it first, before JAX computes anything.

    It also sets the number of XLA's threads (PJRT_NPROC), and flags for kernels that give the same bits each time and
    against faults of this jaxlib (XLA_FLAGS); what is set already stays. Bits depend on them, so a script that uses a
    store, or calls `dlcore.verify`, calls this as the study did.

    Args:
      num_devices: devices that a CPU shows as; one per available core by default. A study shares its runs among them.
        No effect on other platforms.
      cache: folder for compiled programs; the user's cache folder by default, False for none.

    Raises:
      ArgumentError: a number that is not positive, or JAX has already started with another number of devices.

    Example:
      >>> dl.setup(num_devices=jax.device_count(), cache=False)
    """
    wanted = num_devices or available_cores()
    os.environ["XLA_FLAGS"] = flags_with_ours(os.environ.get("XLA_FLAGS", ""))
    os.environ.setdefault("PJRT_NPROC", str(NUM_THREADS))
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
    except RuntimeError as error:  # the backend is up
        there = jax.local_device_count("cpu")
        if there != wanted:
            raise ArgumentError(
                f"JAX has already started with {there} CPU device(s), setup asks for {wanted}. Call dl.setup() before "
                "anything computes (in a notebook: restart the kernel and run it in the first cell)."
            ) from error
    if cache is not False:
        folder = pathlib.Path(cache) if cache else pathlib.Path(platformdirs.user_cache_dir("dlcore"), "compiled")
        jax.config.update("jax_compilation_cache_dir", str(folder / machine()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def flags_with_ours(given: str) -> str:
    """XLA_FLAGS with those that `setup` adds, unless the user has set them."""
    ours = {"xla_backend_extra_options": _SMALL_LOOPS, "xla_gpu_deterministic_ops": _SAME_KERNELS}
    if jaxlib.__version__ in _CRASHING_JAXLIB:
        ours["ynn_fusion_type"] = _AVOID_CRASH
    return " ".join([given, *(flag for name, flag in ours.items() if name not in given)]).strip()


def jax_has_started() -> bool:
    """Whether JAX has made its devices, after which neither their number nor XLA_FLAGS change."""
    there = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]
    try:
        jax.config.update("jax_num_cpu_devices", 1 if there != 1 else 2)  # the same number would pass
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", there)
    return False


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def warn_of_idle_cores() -> None:
    """Say once that a study could use more cores."""
    cores = available_cores()
    if jax.default_backend() == "cpu" and jax.device_count() == 1 and cores > 1:
        warnings.warn(
            f"this study runs on 1 of {cores} cores; call dlcore.setup() before anything computes to use them all.",
            stacklevel=3,
        )


@functools.cache
def warn_of_wrong_gradients() -> None:
    """Say once that this version of jaxlib needs the flag that `setup` sets."""
    flags = os.environ.get("XLA_FLAGS", "")
    if jax.default_backend() == "cpu" and jaxlib.__version__ in _CRASHING_JAXLIB and "ynn_fusion_type" not in flags:
        warnings.warn(
            f"jaxlib {jaxlib.__version__} can crash, or compute wrong gradients, in reductions over several axes on a "
            "CPU; call dlcore.setup() before anything computes, which avoids it.",
            stacklevel=3,
        )


@functools.cache
def machine() -> str:
    """A folder name for what compiled CPU code depends on besides the program."""
    try:
        cpu = next(line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    return f"jaxlib-{jaxlib.__version__}-{hashlib.sha256(cpu.encode()).hexdigest()[:12]}"


def exact_products() -> None:
    """Have accelerators multiply in float32, which CPUs do anyway.

    By default they round to fewer bits (an H100 to 10, TF32), a floor of its own where the claims are about descent's.
    """
    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "highest")
