"""Labeled results: from the records of a study to an `xarray.Dataset`, and final parameters back out of it."""

import functools
import os
import pathlib
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import jax
import numpy as np
import xarray as xr

from dlcore.core.errors import ArgumentError
from dlcore.core.model import Model, ModelState, Params
from dlcore.core.training import Training
from dlcore.study.axes import Study, labels

Coordinates = dict[str, tuple[tuple[str, ...], np.ndarray]]  # name to (dims, values), as xarray takes them


def final_params(results: xr.Dataset, model: Model, **cell: Any) -> tuple[Params, ModelState]:
    """Parameters and state at a run's last step, ready for `model.apply(params, state, x)`.

    Args:
      results: of `dl.run` or `dl.sweep` with `final_params=True`, or read back from Zarr.
      model: the model that was trained; gives the structure.
      cell: axis to its label, for a study: `seed=0, learning_rate=0.1` (the nearest label, for numbers).

    Raises:
      ArgumentError: `results` holds no parameters of this model, or `cell` leaves more than one run.
    """
    for axis, label in cell.items():
        if axis not in results.dims:
            raise ArgumentError(
                f"{axis!r} is no dimension of these results; they have {', '.join(map(str, results.dims))}."
            )
        method = "nearest" if results[axis].dtype.kind in "iuf" else None
        results = results.sel({axis: label}, method=method)
    shapes = dict(zip(("params", "state"), jax.eval_shape(model.init, jax.random.key(0)), strict=True))
    leaves = [_stored(results, name, leaf) for name, leaf in _by_path(shapes).items()]
    tree = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
    return tree["params"], tree["state"]


def _stored(results: xr.Dataset, name: str, expected: jax.ShapeDtypeStruct) -> jax.Array:
    if name not in results:
        raise ArgumentError(
            f"the results hold no {name!r}. Run with final_params=True, and pass the model that was trained."
        )
    values = results[name]
    if values.shape != expected.shape:
        axes = [f"{dim}=..." for dim in values.dims if dim in results.coords]
        raise ArgumentError(
            f"{name!r} has shape {values.shape}, one run of this model has {expected.shape}. "
            + (f"Choose one run: {', '.join(axes)}." if axes else "Pass the model that was trained.")
        )
    return jax.numpy.asarray(values.values, expected.dtype)


def _by_path(tree: Any) -> dict[str, Any]:
    """Leaves of a pytree by their path: {"params.layers.0.kernel": leaf, ...}."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def timeline(study: Study, templates: Sequence[Training], along: str) -> Coordinates:
    """The coordinates of time, with dims (along,) where all static cells agree, else with those of the axes too.

    Raises:
      ArgumentError: cells of different length, or that record at different values of `along`.
    """
    names = [study.name_of(cell) for cell in study.static_cells()]
    times = [_times(training, along, name) for training, name in zip(templates, names, strict=True)]
    for name, training, time in zip(names, templates, times, strict=True):
        if training.num_records != templates[0].num_records:
            raise ArgumentError(
                f"runs of different length: {names[0]} has {templates[0].num_records} records, {name} has "
                f"{training.num_records}. Give all cells one length in records, or sweep them apart."
            )
        if not np.array_equal(time[along], times[0][along]):
            raise ArgumentError(
                f"cells record at different values of {along!r}: {names[0]} at {_excerpt(times[0][along])}, {name} "
                f"at {_excerpt(time[along])}. Name the time they share, e.g. dl.sweep(..., along='epoch')."
            )
    axes = tuple(study.static)
    shape = tuple(len(values) for values in study.static.values())
    coordinates: Coordinates = {along: ((along,), times[0][along])}
    for name in times[0]:
        values = np.stack([time[name] for time in times]).reshape(*shape, -1)
        varying = [i for i in range(len(axes)) if np.any(values != values.take([0], axis=i))]
        index = tuple(slice(None) if i in varying else 0 for i in range(len(axes)))
        coordinates.setdefault(name, ((*(axes[i] for i in varying), along), values[index]))
    return coordinates


def _excerpt(values: np.ndarray) -> str:
    """The first few values, for a message."""
    return ", ".join(f"{value:g}" for value in values[:3]) + (", ..." if len(values) > 3 else "")


def _times(training: Training, along: str, name: str) -> dict[str, np.ndarray]:
    """Coordinates at each record; without a record at step 0 they start at the first."""
    times = dict(training.coordinates) or {"step": np.arange(training.num_records + 1)}
    if not isinstance(along, str) or along not in times:
        raise ArgumentError(f"along is {along!r}; {name} has the times {', '.join(times)}.")
    return {key: np.asarray(values)[0 if training.measure else 1 :] for key, values in times.items()}


class Table:
    """Collects the records of a study, a chunk at a time, in host memory."""

    def __init__(self, study: Study):
        self._study = study
        self._size = (len(study.static_cells()), study.num_traced_cells)
        self._records: dict[str, np.ndarray] = {}
        self._final: dict[str, np.ndarray] = {}

    def put(
        self, position: int, rows: np.ndarray, first: Mapping[str, Any], records: Mapping[str, Any], states: Any
    ) -> None:
        """Take the records of one chunk.

        Args:
          position: of the static cell. rows: of the traced cells, [n]; what lanes hold beyond n is padding.
          first: the record at step 0, [lanes, ...] each; {} if there is none. A variable missing there gets NaN.
          records: [num_records, lanes, ...] each. states: final ones, [lanes, ...], or None.
        """
        for name, values in records.items():
            if first:
                start = (
                    first[name]
                    if name in first
                    else np.full(values.shape[1:], np.nan, np.result_type(values.dtype, np.float16))
                )
                values = np.concatenate([start[None], values])
            self._store(self._records, name, position, rows, np.moveaxis(values, 0, 1))
        if states is not None:
            final = jax.device_get({"params": states.params, "state": states.model_state})
            for name, values in _by_path(final).items():
                self._store(self._final, name, position, rows, values)

    def _store(
        self, kept: dict[str, np.ndarray], name: str, position: int, rows: np.ndarray, values: np.ndarray
    ) -> None:
        values = values[: len(rows)]
        array = kept.setdefault(name, np.empty((*self._size, *values.shape[1:]), values.dtype))
        if array.shape[2:] != values.shape[1:]:
            raise ArgumentError(
                f"{name!r} has shape {values.shape[1:]} in {self._study.static_cells()[position]}, "
                f"{array.shape[2:]} in the cells before; one array cannot hold both. Sweep these values apart."
            )
        array[position, rows] = values

    def dataset(
        self, along: str, coordinates: Coordinates, descriptions: Mapping[str, str], attrs: Mapping[str, Any]
    ) -> xr.Dataset:
        """The results with the axes in the order given, then time, then each variable's own dims `NAME_0`, ..."""
        axes = self._study.axes
        by_kind = (*self._study.static, *self._study.traced)
        shape = tuple(len(axes[name]) for name in by_kind)
        variables = {}
        for kept, time in ((self._records, (along,)), (self._final, ())):
            for name, values in kept.items():
                own = tuple(f"{name}_{i}" for i in range(values.ndim - 2 - len(time)))
                variable = xr.Variable((*by_kind, *time, *own), values.reshape(*shape, *values.shape[2:]))
                variables[name] = variable.transpose(*axes, *time, *own)
                variables[name].attrs = {"description": descriptions[name]} if name in descriptions else {}
        results = xr.Dataset(
            variables,
            coords={**{name: ((name,), labels(values)) for name, values in axes.items()}, **coordinates},
            attrs={**provenance(), **attrs},
        )
        return results if "finite" not in results else results.assign(diverged_at=_diverged_at(results, along))


def _diverged_at(results: xr.Dataset, along: str) -> xr.DataArray:
    """Where along time the first record with a non-finite parameter is; NaN if there is none."""
    times = xr.where(results["finite"], np.inf, results[along])
    first = times.min(along)
    return first.where(np.isfinite(first)).assign_attrs(description=f"{along} of the first record that is not finite")


def provenance() -> dict[str, Any]:
    """What a result depends on besides its arguments: versions, device, precision, source revision."""
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
        "source_revision": _revision(),
    }


@functools.cache
def _version(package: str) -> str:
    return metadata.version(package)


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
