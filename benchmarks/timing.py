"""Timing sides of a comparison in turns, and writing down what was measured on which machine."""

import importlib
import importlib.util
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks.comparison import show
from benchmarks.measurements import Goal, check_file, from_document, line, read, write, written
from dlcore.core.arguments import one_of
from dlcore.engine import provenance

Part = Callable[[int], Mapping[str, float | np.ndarray | str]]  # how often each is timed -> what was measured


def installed(name: str) -> Any:
    """The module of that name, or None: a peer to compare with that users need not have."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def take_turns(sides: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each side in each round [repeats], after one warm-up each.

    Every other round goes backward. Ratios are of turns in the same round, which lie close together.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in list(sides.items())[:: -1 if repeat % 2 == 0 else 1]:
            began = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - began)
    return {name: np.array(values) for name, values in times.items()}


def measure(
    parts: Mapping[str, Part],
    names: Sequence[str],
    repeats: int,
    output: pathlib.Path | None,
    compare: pathlib.Path | None = None,
    goals: Mapping[str, Mapping[str, Goal]] | None = None,
) -> None:
    """Measure the named parts (all by default); write each as JSON once it is measured, then print it.

    Args:
      compare: an earlier file, to compare the numbers with at the end.
      goals: by part and name, what numbers should be.

    Raises:
      ArgumentError: a name that no part has, an output that cannot be written or is something else, or a file to
        compare with that holds no measurements.
    """
    if output:
        check_file(output)
    before = read(compare) if compare else None
    for name in names:
        one_of(*parts).check("part", name)
    results: dict[str, Any] = {"machine": machine()}
    for name in names or parts:
        results[name] = {key: written(value) for key, value in parts[name](repeats).items()}
        if output:
            write(output, results)
        print(f"{name.replace('_', ' ')}: " + (parts[name].__doc__ or "").strip().splitlines()[0])
        wanted = (goals or {}).get(name, {})
        for key, value in results[name].items():
            print(line(key, value, wanted.get(key)))
    if before:
        show(before, from_document(results))


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and the peers that there are."""
    peers = {
        name.replace("-", "_"): metadata.version(name)
        for name in ("scikit-learn", "torch", "keras")
        if _installed(name)
    }
    return {**{f"{name}_version": version for name, version in peers.items()}, **provenance.machine()}


def _installed(name: str) -> bool:
    return next(iter(metadata.distributions(name=name)), None) is not None
