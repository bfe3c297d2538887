"""Labeled results: from the records of a study to an `xarray.Dataset`, and final parameters back out of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from dlcore.core.arguments import ANYTHING, arguments, instance, mapping
from dlcore.core.errors import ArgumentError, shown
from dlcore.core.model import Model, ModelState, Params
from dlcore.core.training import Training
from dlcore.study.axes import Study, labels
from dlcore.study.encoding import check_saveable
from dlcore.study.program import Block, Segment, Traced
from dlcore.study.provenance import provenance

Coordinates = dict[str, tuple[tuple[str, ...], np.ndarray]]  # name to (dims, values), as xarray takes them


@arguments(
    results=instance(xr.Dataset, example="what dl.run and dl.sweep return"),
    model=instance(Model, example="dl.models.mlp([64, 10])"),
    cell=mapping(ANYTHING),
)
def final_params(results: xr.Dataset, model: Model, **cell: Any) -> tuple[Params, ModelState]:
    """Parameters and state at a run's last step, ready for `model.apply(params, state, x)`.

    Args:
      results: of `dl.run` or `dl.sweep` with `final_params=True`, or read back from Zarr.
      model: the model that was trained; gives the structure.
      cell: axis to its label, for a study: `seed=0, learning_rate=0.1`. A float stands for the label that rounds to it.

    Raises:
      ArgumentError: `results` holds no parameters of this model, `cell` names a label that does not exist or leaves
        more than one run.

    Example:
      >>> model = dl.models.linear(4, 3)
      >>> task = dl.tasks.classification(model, dl.data.iris())
      >>> training = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=30, num_epochs=1)
      >>> params, state = dl.final_params(dl.run(training, final_params=True), model)
      >>> params["layers"][0]["kernel"].shape
      (4, 3)
    """
    for axis, label in cell.items():
        results = results.isel({axis: _position(results, axis, label)})
    shapes = dict(zip(("params", "state"), jax.eval_shape(model.init, jax.random.key(0)), strict=True))
    leaves = [_stored(results, name, leaf) for name, leaf in _by_path(shapes).items()]
    tree = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
    return tree["params"], tree["state"]


def _position(results: xr.Dataset, axis: str, label: Any) -> int:
    """Where a label is on an axis; of floats the one that is equal in the axis' precision."""
    if axis not in results.dims:
        raise ArgumentError(
            f"{axis!r} is no dimension of these results; they have {', '.join(map(str, results.dims))}."
        )
    known = results[axis].values
    if known.dtype.kind == "f" and isinstance(label, int | float | np.number):
        found = np.isclose(known, label, rtol=4 * np.finfo(known.dtype).eps, atol=0)
    else:
        found = np.array([bool(np.all(value == label)) for value in known])
    if not found.any():
        listed = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
        raise ArgumentError(f"{axis} has no label {shown(label)}; its labels are {listed}.")
    return int(np.argmax(found))


def _stored(results: xr.Dataset, name: str, expected: jax.ShapeDtypeStruct) -> jax.Array:
    if name not in results:
        raise ArgumentError(
            f"the results hold no {name!r}. Run with final_params=True, and pass the model that was trained."
        )
    values = results[name]
    is_key = jax.dtypes.issubdtype(expected.dtype, jax.dtypes.prng_key)
    shape = jax.eval_shape(jax.random.key_data, expected).shape if is_key else expected.shape
    if values.shape != shape:
        axes = [f"{dim}=..." for dim in values.dims if dim in results.coords]
        raise ArgumentError(
            f"{name!r} has shape {values.shape}, one run of this model has {shape}. "
            + (f"Choose one run: {', '.join(axes)}." if axes else "Pass the model that was trained.")
        )
    if is_key:
        impl = jax.random.key_impl(jnp.zeros((), expected.dtype))
        return jax.random.wrap_key_data(jnp.asarray(values.values, jnp.uint32), impl=impl)
    return jnp.asarray(values.values, expected.dtype)


def _by_path(tree: Any) -> dict[str, Any]:
    """Leaves of a pytree by their path: {"params.layers.0.kernel": leaf, ...}."""
    leaves = jax.tree.leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise ArgumentError(
            f"two of the parameters {', '.join(named)} have the same path; expects keys without dots. Rename one."
        )
    return named


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
    times = {key: np.asarray(values) for key, values in times.items()}
    for key, values in times.items():
        if values.shape != (training.num_records + 1,):
            raise ArgumentError(
                f"{name}: the coordinate {key!r} has shape {values.shape}, of {training.num_records} records; expects "
                f"({training.num_records + 1},), the value at step 0 first."
            )
    return {key: values[0 if training.measure else 1 :] for key, values in times.items()}


def no_results(study: Study) -> xr.Dataset:
    """The results of a study of which nothing was computed: its axes, and `finished`, which no cell is."""
    shape = tuple(len(values) for values in study.axes.values())
    return xr.Dataset(coords={**_labeled(study.axes), "finished": (tuple(study.axes), np.zeros(shape, bool))})


def check_names(study: Study, traced: Sequence[Traced], coordinates: Coordinates) -> None:
    """Raise `ArgumentError` for names and labels that results cannot have, or that could not be saved.

    An axis cannot have the name of a time or a record, since results hold one thing of a name.
    """
    names = {name for part in traced for name in part.record}
    check_saveable(names, {name: labels(values) for name, values in study.axes.items()})
    taken = {"finished": "cells", "diverged_at": "cells"}
    taken |= dict.fromkeys(coordinates, "time") | dict.fromkeys(names, "records")
    records = {name: leaf.ndim for part in traced for name, leaf in part.record.items()}
    for name in records:
        if name in coordinates or name in ("finished", "diverged_at"):
            raise ArgumentError(
                f"the record {name!r} has the name of something else in the results; expects another. "
                f"Record it as e.g. '{name}_value'."
            )
    taken |= {f"{name}_{i}": "a dimension" for name, ndim in records.items() for i in range(ndim)}
    for name in study.axes:
        if name in taken:
            raise ArgumentError(
                f"sweep axis {name!r} has the name of something else in the results ({taken[name]}); expects another. "
                f"Rename the function's parameter, e.g. to 'num_{name}' or '{name}_value'."
            )


def _labeled(axes: Mapping[str, np.ndarray | tuple]) -> Coordinates:
    return {name: ((name,), labels(values)) for name, values in axes.items()}


class Variable(NamedTuple):
    """One array of results: shape of one value, dtype on the host, and whether step 0 has a value."""

    shape: tuple[int, ...]
    dtype: np.dtype
    at_start: bool = True


class Table:
    """The results of a study in host memory; each block writes its own rows, from whichever thread.

    Args:
      traced: the static cells, in order.
      final_params: keep the last parameters and model states too.

    Raises:
      ArgumentError: cells that record other variables or shapes than the first; final parameters that differ in shape.
    """

    def __init__(self, study: Study, traced: Sequence[Traced], *, final_params: bool):
        self._study = study
        size = (len(traced), study.num_traced_cells)
        self._measured = traced[0].training.measure is not None
        self._done = np.zeros(size, int)  # records of each cell
        self._num_records = traced[0].training.num_records + self._measured
        records = _common(study, [_recorded(part) for part in traced], "records")
        self._records = {
            name: np.empty((*size, self._num_records, *variable.shape), variable.dtype)
            for name, variable in records.items()
        }
        for name, variable in records.items():
            if not variable.at_start:
                self._records[name][:, :, 0] = np.nan
        final = _common(study, [_final(part) for part in traced], "has parameters") if final_params else {}
        self._final = {name: np.zeros((*size, *variable.shape), variable.dtype) for name, variable in final.items()}

    @property
    def finished(self) -> np.ndarray:
        """Whether all records of a cell are there, [static cells, traced cells]."""
        return self._done == self._num_records

    def put(self, block: Block, segment: Segment) -> None:
        """Take a segment's records, with the last ones the final parameters; lanes beyond the rows are padding."""
        begin = segment.begin - (not self._measured)
        done, count = begin + segment.count, len(block.rows)
        if not segment.count:
            return  # no record at step 0
        for name, values in segment.records.items():
            self._records[name][block.position, block.rows, begin:done] = np.moveaxis(values[:, :count], 0, 1)
        if done == self._num_records and self._final:
            final = {"params": segment.states.params, "state": segment.states.model_state}
            for name, values in _by_path(jax.device_get(jax.tree.map(_numbers, final))).items():
                self._final[name][block.position, block.rows] = values[:count]
        self._done[block.position, block.rows] = done

    def dataset(
        self, along: str, coordinates: Coordinates, descriptions: Mapping[str, str], attrs: Mapping[str, Any]
    ) -> xr.Dataset:
        """The results with the axes in the order given, then time, then each variable's own dims `NAME_0`, ...

        Where cells are unfinished, a coordinate `finished` says which, what they lack is missing (NaN), and time ends
        with the last record that any of them has.
        """
        axes = self._study.axes
        by_kind = (*self._study.static, *self._study.traced)
        shape = tuple(len(axes[name]) for name in by_kind)
        complete = bool(self.finished.all())
        length = int(self._done.max())
        if not length:
            return no_results(self._study)
        there = np.arange(length) < self._done[..., None]
        coordinates = {name: (dims, values[..., :length]) for name, (dims, values) in coordinates.items()}
        variables = {}
        for kept, time, known in ((self._records, (along,), there), (self._final, (), self.finished)):
            for name, values in kept.items():
                if not complete:
                    values = _masked(values[:, :, :length] if time else values, known)
                own = tuple(f"{name}_{i}" for i in range(values.ndim - 2 - len(time)))
                variable = xr.Variable((*by_kind, *time, *own), values.reshape((*shape, *values.shape[2:])))
                variables[name] = variable.transpose(*axes, *time, *own)
                variables[name].attrs = {"description": descriptions[name]} if name in descriptions else {}
        results = xr.Dataset(variables, {**_labeled(axes), **coordinates}, {**provenance(), **attrs})
        if not complete:
            finished = xr.Variable(by_kind, self.finished.reshape(shape)).transpose(*axes)
            results = results.assign_coords(finished=finished)
        return results if "finite" not in results else results.assign(diverged_at=_diverged_at(results, along))


def _recorded(traced: Traced) -> dict[str, Variable]:
    """The variables of a static cell's records; one that step 0 lacks is missing there."""
    first = traced.first_record
    variables = {}
    for name, leaf in traced.record.items():
        at_start = not first or name in first
        dtype = np.promote_types(_on_host(leaf.dtype), _on_host(first[name].dtype if name in first else leaf.dtype))
        variables[name] = Variable(leaf.shape, dtype if at_start else np.promote_types(dtype, np.float16), at_start)
        if name in first and first[name].shape != leaf.shape:
            raise ArgumentError(
                f"{name!r} has shape {first[name].shape} in the record at step 0, {leaf.shape} in those after it; "
                "expects one shape. Let measure and advance record the same."
            )
    alien = sorted(set(first) - set(variables))
    if alien:
        raise ArgumentError(
            f"the record at step 0 has {', '.join(alien)}, those after it have {', '.join(variables)}; expects no more "
            "at step 0 than later. Let advance return what measure does."
        )
    return variables


def _final(traced: Traced) -> dict[str, Variable]:
    """The parameters and the model state of a static cell."""
    if not (hasattr(traced.state, "params") and hasattr(traced.state, "model_state")):
        raise ArgumentError(
            f"final_params: the state is a {type(traced.state).__name__}; expects one with params and model_state, as "
            "dl.State has them. Return a dl.State, or record the parameters."
        )
    final = {"params": traced.state.params, "state": traced.state.model_state}
    leaves = _by_path(jax.eval_shape(lambda tree: jax.tree.map(_numbers, tree), final))
    return {name: Variable(leaf.shape, _on_host(leaf.dtype)) for name, leaf in leaves.items()}


def _common(study: Study, parts: Sequence[Mapping[str, Variable]], verb: str) -> dict[str, Variable]:
    """The variables that all static cells have alike, in dtypes that hold them all."""
    common = dict(parts[0])
    for static, part in zip(study.static_cells(), parts, strict=True):
        differing = [name for name in {**common, **part} if (name in common) != (name in part)]
        differing += [name for name in part if name in common and part[name].shape != common[name].shape]
        if differing:
            raise ArgumentError(
                f"{study.name_of(static)} {verb} {_in_words(differing, part)}; "
                f"{study.name_of(study.static_cells()[0])} {_in_words(differing, common)}. One "
                "array holds all cells: make them alike, or sweep them apart."
            )
        for name, variable in part.items():
            dtype = np.promote_types(variable.dtype, common[name].dtype)
            common[name] = Variable(variable.shape, dtype, variable.at_start and common[name].at_start)
    return common


def _in_words(names: Sequence[str], variables: Mapping[str, Variable]) -> str:
    return ", ".join(f"{name} {list(variables[name].shape)}" if name in variables else f"no {name}" for name in names)


def _on_host(dtype: Any) -> np.dtype:
    """What NumPy, xarray and Zarr hold of a dtype: the small floats that they do not know become float32."""
    known = np.dtype(dtype).kind in "biufc"
    return np.dtype(dtype) if known else np.dtype(np.float32)


def _numbers(leaf: Any) -> Any:
    """Random keys as the integers they are made of."""
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _masked(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The values as floats, NaN where they are not known."""
    floats = values.astype(np.result_type(values.dtype, np.float16 if values.dtype.kind in "bfc" else np.float64))
    floats[~known] = np.nan
    return floats


def _diverged_at(results: xr.Dataset, along: str) -> xr.DataArray:
    """Where along time the first record with a non-finite parameter is; NaN if there is none."""
    times = xr.where(results["finite"], np.inf, results[along])
    first = times.min(along)
    return first.where(np.isfinite(first)).assign_attrs(description=f"{along} of the first record that is not finite")
