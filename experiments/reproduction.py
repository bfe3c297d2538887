"""Whether an experiment gives again what it has written."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

import dlcore as dl
from dlcore.core.errors import ArgumentError
from dlcore.evidence.agreement import differences
from dlcore.evidence.experiments import Scale
from experiments.catalog import load
from experiments.execution import RESULTS, Ran, run
from experiments.page import documents

SECONDS = "s"  # the unit of what is measured anew each time, and differs


def again(folder: pathlib.Path) -> tuple[Ran, dict[str, Any], list[str]]:
    """Run what a folder of results comes from once more.

    Returns:
      what ran; the document in the folder; in words, what differs of the results.

    Raises:
      ArgumentError: no such folder, or results of another plan than today's.
    """
    folder = folder.resolve()
    document = documents(folder.parent, [folder.name])[folder.name]
    origin = document["provenance"]
    name, scale = origin["experiment"], Scale(origin["scale"], origin["block"], origin["revision"])
    if differing := list(differences(document["plan"], load(name).plan(scale).to_json())):
        raise ArgumentError(
            f"{str(folder)!r} answers another plan than {name} has now; they differ in {', '.join(differing[:5])}. "
            f"Reproduce it with the source that it comes from, {origin['source_revision']}."
        )
    found = run(name, scale)
    return found, document, list(_differing(dl.load(folder / RESULTS), found))


def _differing(stored: xr.Dataset | xr.DataTree, found: Ran) -> Iterator[str]:
    for name, data in found.measured.items():
        old = stored[name].to_dataset()  # pyright: ignore[reportAttributeAccessIssue]
        for variable in data.data_vars:
            new, before = data[variable].values, old[variable].values if variable in old else None
            if data[variable].attrs.get("units") == SECONDS:
                continue
            if before is None or before.shape != new.shape:
                yield f"{name}, {variable}: other dimensions"
            elif not np.array_equal(before, new, equal_nan=new.dtype.kind in "fc"):
                yield f"{name}, {variable}: {np.mean(before != new):.1%} of {new.size} numbers"
