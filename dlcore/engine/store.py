"""Results on disk: Zarr, opened lazily by xarray, each file verified when it is read.

`encoding`: what Zarr cannot hold, in what it can. `manifest`: which files there are; `verified` reads them. `folders`:
whole or not at all.
"""

from __future__ import annotations

import os
import pathlib
import time

from dlcore.core.arguments import arguments, instance
from dlcore.core.arguments import path as a_path
from dlcore.core.errors import DataError
from dlcore.engine.durable.folder import is_store
from dlcore.engine.durable.reading import results_of
from dlcore.engine.encoding import decoded, encoded
from dlcore.engine.folders import check_output, left_beside, replacing
from dlcore.engine.later import xr
from dlcore.engine.manifest import (
    SECONDS_OF_A_SWAP,
    WAITS,
    MissingError,
    StaleError,
    check_files,
    no_results,
    read_manifest,
)

RESULTS = instance("xarray.Dataset", "xarray.DataTree", example="what dlcore.sweep returns")


@arguments(results=RESULTS, path=a_path)
def save(results: xr.Dataset | xr.DataTree, path: str | os.PathLike) -> None:
    """Write results to a Zarr store; older results at that path are replaced once the new ones are complete.

    Args:
      results: coordinates may be of any plain kind (numbers, strings, None, tuples, times), dimensions may be stacked.
      path: of the store, a folder; `load(path)` reads it. Whatever `save` did not write itself stays: an error.

    Raises:
      ArgumentError: the path holds something else or cannot be written, or a name, label or attribute has no form
        on disk. Nothing has changed on the disk then.

    Example:
      >>> import xarray as xr
      >>> dl.save(xr.Dataset({"loss": ("step", [2.0, 1.0])}), "run.zarr")
      >>> float(dl.load("run.zarr").loss[-1])
      1.0
    """
    check_output(path)
    storable = encoded(results)
    with replacing(path) as new:
        storable.to_zarr(new, mode="w", consolidated=False, zarr_format=3)


@arguments(path=a_path)
def load(path: str | os.PathLike) -> xr.Dataset | xr.DataTree:
    """Open what `save` wrote; values are read, and their checksums verified, when they are used.

    Of the store of a study, read now what there is so far, also while it runs: all that its calls asked for; the rest
    is missing (NaN), and the coordinate `finished` says which cells are there.

    Returns:
      a `Dataset`, or a `DataTree` if `save` was given one.

    Raises:
      ArgumentError: nothing was stored there.
      DataError: a file is missing or damaged; the message names it. Later too, when values are read, or if the store
        was replaced or removed since.

    Example:
      >>> import xarray as xr
      >>> dl.save(xr.Dataset({"loss": ("step", [2.0, 1.0])}), "run.zarr")
      >>> dl.load("run.zarr").loss.dims
      ('step',)
    """
    given = pathlib.Path(os.path.abspath(os.fspath(path)))
    if is_store(given):
        return results_of(path)
    for attempt in range(WAITS):
        folder = given if os.path.lexists(given) else left_beside(given) or given
        try:
            return _opened(folder)
        except DataError as error:
            # Another process may be swapping, or be removing the one that is left beside.
            swapping = isinstance(error, StaleError | MissingError) or folder != given
            if not swapping or attempt == WAITS - 1:
                raise
        except (FileNotFoundError, NotADirectoryError):
            if (attempt and left_beside(given) is None) or attempt == WAITS - 1:
                raise no_results(pathlib.Path(path)) from None
        time.sleep(SECONDS_OF_A_SWAP)
    raise AssertionError("unreachable")


def _opened(folder: pathlib.Path) -> xr.Dataset | xr.DataTree:
    from dlcore.engine.verified import VerifiedStore  # Zarr takes 0.1 s to import

    if not folder.is_dir():
        raise FileNotFoundError
    manifest = read_manifest(folder)
    if "zarr.json" not in manifest.files:
        raise FileNotFoundError
    check_files(folder, manifest)
    try:
        return decoded(
            xr.open_datatree(
                VerifiedStore.at(folder, manifest),  # pyright: ignore[reportArgumentType]
                engine="zarr",
                consolidated=False,
                zarr_format=3,
                decode_times=False,
                decode_timedelta=False,
            )
        )
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(f"{folder} does not hold what dlcore.save writes: {error}. Measure again.") from error
