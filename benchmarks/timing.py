"""Timing sides of a comparison in turns, and writing down what was measured on which machine."""

import importlib
import importlib.util
import json
import math
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from dlcore.core.arguments import one_of
from dlcore.core.errors import ArgumentError
from dlcore.engine import provenance
from dlcore.engine.folders import check_parent, unwritable
from dlcore.engine.manifest import sync

Part = Callable[[int], dict[str, float]]  # repeats -> name to number


def installed(name: str) -> Any:
    """The module of that name, or None: a peer to compare with that users need not have."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def take_turns(sides: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each side, after one warm-up each."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(parts: Mapping[str, Part], names: Sequence[str], repeats: int, output: pathlib.Path | None) -> None:
    """Measure the named parts (all by default); write each as JSON once it is measured, then print it.

    Raises:
      ArgumentError: a name that no part has, or an output that cannot be written or is something else.
    """
    if output:
        _check_file(output)
    for name in names:
        one_of(*parts).check("part", name)
    results: dict[str, Any] = {"machine": machine()}
    for name in names or parts:
        results[name] = {
            key: round(value, 4 - math.floor(math.log10(abs(value)))) if value else 0.0
            for key, value in parts[name](repeats).items()
        }
        if output:
            _write(output, results)
        print(f"{name.replace('_', ' ')}: " + (parts[name].__doc__ or "").strip().splitlines()[0])
        for key, value in results[name].items():
            print(f"    {key:28} {value:10.4g}")


def _check_file(output: pathlib.Path) -> None:
    """Raise `ArgumentError` unless the file can be written, and is new or holds measurements."""
    try:
        check_parent(pathlib.Path(os.path.abspath(output)))
        if not os.path.lexists(output):
            return
        ours = output.is_file() and not output.is_symlink() and "machine" in json.loads(output.read_text())
    except (OSError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        ours = False
    if not ours:
        raise ArgumentError(f"{str(output)!r} is there and no file of measurements; choose another path, or remove it.")


def _write(output: pathlib.Path, results: Mapping[str, Any]) -> None:
    """The file is the old one or the new one, never half of it."""
    new = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(results, indent=1) + "\n")
        sync(new)
        new.replace(output)
    except OSError as error:
        raise unwritable(str(output), error) from error
    finally:
        new.unlink(missing_ok=True)


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and the peers that there are."""
    peers = {name.replace("-", "_"): metadata.version(name) for name in ("scikit-learn", "torch") if _installed(name)}
    return {**{f"{name}_version": version for name, version in peers.items()}, **provenance.machine()}


def _installed(name: str) -> bool:
    return next(iter(metadata.distributions(name=name)), None) is not None
