"""Results on disk: Zarr, opened lazily by xarray."""

import os
import pathlib
import shutil

import xarray as xr

from dlcore.core.errors import ArgumentError


def save(results: xr.Dataset | xr.DataTree, path: str | os.PathLike) -> None:
    """Write results to a Zarr store; an older one at that path is replaced only once the new one is complete.

    Args:
      path: of the store, a folder; `load(path)` reads it.
    """
    path = pathlib.Path(path)
    new = path.with_name(f".{path.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = results if isinstance(results, xr.DataTree) else xr.DataTree(results)
    tree.map_over_datasets(_storable).to_zarr(new, mode="w", consolidated=False)
    replace_folder(new, path)


def load(path: str | os.PathLike) -> xr.Dataset | xr.DataTree:
    """Open what `save` wrote; values are read when used.

    Returns:
      a `Dataset`, or a `DataTree` if the store has groups.

    Raises:
      ArgumentError: there is no such store.
    """
    if not (pathlib.Path(path) / "zarr.json").exists():
        raise ArgumentError(f"there are no results at {str(path)!r}; dlcore.save(results, path) writes them.")
    tree = xr.open_datatree(path, engine="zarr", consolidated=False)
    return tree if tree.children else tree.to_dataset()


def replace_folder(new: pathlib.Path, path: pathlib.Path) -> None:
    """Put the folder `new` in the place of `path`."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except BaseException:  # Ctrl-C too: the old one goes back
        if old.exists():
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _storable(dataset: xr.Dataset) -> xr.Dataset:
    """Strings of variable length: Zarr's third version has no fixed-length ones."""
    strings = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "U"]
    return dataset.assign_coords(
        {name: dataset[name].astype(object) for name in strings if name in dataset.coords}
    ).assign({name: dataset[name].astype(object) for name in strings if name not in dataset.coords})
