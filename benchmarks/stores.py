"""What a store costs: the study of 128 networks with one and without."""

import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import dlcore as dl
from benchmarks.measurements import Numbers
from benchmarks.throughput import LANE_WIDTH, RATES, SEEDS, network_fit
from benchmarks.timing import Part


def network_store(repeats: int) -> Numbers:
    """128 runs of a 64-128-10 network kept in a store, each time in a new folder: what it costs; reading it."""
    fit = network_fit(dl.data.digits())

    def study(**options: Any) -> Any:
        return dl.sweep(fit, seed=SEEDS, learning_rate=RATES, lane_width=LANE_WIDTH, **options)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pairs = []
        for repeat in range(repeats + 1):
            plain = _seconds(study)
            stored = _seconds(lambda path=folder / str(repeat): study(store=path))
            pairs.append((plain, stored) if repeat % 2 else (_seconds(study), stored))
        plain, stored = np.array(pairs[1:]).T
        last = folder / str(repeats)
        size = sum(file.stat().st_size for file in last.rglob("*") if file.is_file())
        return {
            "plain_seconds": plain,
            "stored_seconds": stored,
            "stored_over_plain": stored / plain,
            "again_seconds": np.array([_seconds(lambda: study(store=last)) for _ in range(3)]),
            "load_seconds": np.array([_seconds(lambda: dl.load(last)) for _ in range(3)]),
            "megabytes": size / 1e6,
            "files": len(list(last.rglob("*.npz"))),
        }


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


PARTS: dict[str, Part] = {"network_store": network_store}
