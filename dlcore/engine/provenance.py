"""Where a result comes from: versions, device, precision, source revision."""

import functools
import os
import pathlib
import platform
import subprocess
from importlib import metadata
from typing import Any

import jax

from dlcore.engine.setup import available_cores

DISTRIBUTIONS = {"dlcore": "dlcore-jax"}  # where a package is distributed under another name


def provenance() -> dict[str, Any]:
    """What a result depends on besides its arguments."""
    device = jax.devices()[0]
    packages = ("dlcore", "jax", "jaxlib", "flax", "optax", "numpy")
    return {
        **{f"{name}_version": _version(name) for name in packages},
        "platform": device.platform,
        "device_kind": device.device_kind,
        "num_devices": jax.device_count(),
        "matmul_precision": str(jax.config.jax_default_matmul_precision or "default"),  # pyright: ignore
        "x64": int(jax.config.jax_enable_x64),  # pyright: ignore
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "cpu_threads": os.environ.get("PJRT_NPROC", "default"),
        "source_revision": _revision(),
    }


def machine() -> dict[str, Any]:
    """The processor and its cores, besides: what seconds depend on."""
    cpu = platform.processor()
    if pathlib.Path("/proc/cpuinfo").exists():
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {"cpu": cpu, "cores": available_cores(), **provenance()}


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(DISTRIBUTIONS.get(package, package))
    except metadata.PackageNotFoundError:  # imported from a checkout that is not installed: its revision tells
        return "not installed"


@functools.cache
def _revision() -> str:
    """Commit of the checkout dlcore is imported from, "-dirty" after local changes; "none" outside a checkout."""
    root = pathlib.Path(__file__).parents[2]
    if not (root / ".git").exists():
        return "none"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
