"""Arguments of the functions directly under `dl`."""

import functools
import pathlib
import tempfile

import xarray as xr

import dlcore as dl

RESULTS = xr.Dataset({"loss": ("step", [2.0, 1.0])}, {"step": [0, 1]}, {"seed": 0})


@functools.cache
def stored() -> pathlib.Path:
    """A store that is there."""
    path = pathlib.Path(tempfile.mkdtemp()) / "runs.zarr"
    dl.save(RESULTS, path)
    return path


EXAMPLES = {
    "load": lambda: {"path": stored()},
    "save": lambda: {"results": RESULTS, "path": pathlib.Path(tempfile.mkdtemp()) / "runs.zarr"},
}
