"""What this machine has: memory of the process and of devices, room on a disk. None where nobody says."""

import os
import pathlib
import shutil

import jax

STATUS = pathlib.Path("/proc/self/status")
MEMORY = pathlib.Path("/proc/meminfo")
# Of the container: the limit and what is used of it, in both versions of control groups.
GROUPS = (
    (pathlib.Path("/sys/fs/cgroup/memory.max"), pathlib.Path("/sys/fs/cgroup/memory.current")),
    (
        pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        pathlib.Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def resident_bytes() -> int | None:
    """Memory that this process has now."""
    return _kilobytes(STATUS, "VmRSS")


def peak_bytes() -> int | None:
    """The most that it has had."""
    return _kilobytes(STATUS, "VmHWM")


def free_host_bytes() -> int | None:
    """Memory that this process could take in addition."""
    free = [
        each for each in (_kilobytes(MEMORY, "MemAvailable"), *map(_free_of_group, *zip(*GROUPS, strict=True))) if each
    ]
    return min(free, default=None)


def free_device_bytes(device: jax.Device) -> int | None:
    """Memory that programs could take on a device; None for a CPU, which has the host's."""
    stats = device.memory_stats()
    if not stats or "bytes_limit" not in stats:
        return None
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)


def free_disk_bytes(path: pathlib.Path) -> int | None:
    """Room on the disk of a folder that need not be there yet."""
    there = next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), None)
    return shutil.disk_usage(there).free if there and os.access(there, os.R_OK) else None


def _kilobytes(file: pathlib.Path, entry: str) -> int | None:
    """The number of an entry `NAME:  1234 kB`, in bytes."""
    if not file.exists():
        return None
    lines = file.read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:")), None)


def _free_of_group(limit: pathlib.Path, used: pathlib.Path) -> int | None:
    if not limit.exists() or not used.exists() or not limit.read_text().strip().isdigit():
        return None
    return max(0, int(limit.read_text()) - int(used.read_text()))
