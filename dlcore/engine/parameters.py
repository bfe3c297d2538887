"""Final parameters and states, back out of results."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from dlcore.core.arguments import ANYTHING, arguments, instance, mapping
from dlcore.core.errors import ArgumentError, shown
from dlcore.core.labeled import by_path
from dlcore.core.model import Model, ModelState, Params
from dlcore.core.training import Training
from dlcore.engine.dtypes import as_leaf
from dlcore.engine.labels import name_of
from dlcore.engine.later import xr
from dlcore.engine.results import FINAL_STATE, SHORTER, parameters_of
from dlcore.engine.selection import RESULTS

CELL = mapping(ANYTHING)


@arguments(results=RESULTS, model=instance(Model, Training, example="dl.models.mlp([64, 10])"), cell=CELL)
def final_params(results: xr.Dataset, model: Model | Training, /, **cell: Any) -> tuple[Params, ModelState]:
    """Parameters and state at a run's last step, or at its best record, ready for `model.apply(params, state, x)`.

    Args:
      results: of `dl.run` or `dl.sweep` with `final_params=True`, or read back from Zarr.
      model: the model that was trained; gives the structure. Of a hand-written training, the training: its parameters
        are what its state calls `params` (and `model_state`), else the whole state.
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
    if isinstance(model, Model):
        given = jax.eval_shape(model.init, jax.random.key(0))
    else:
        given = jax.eval_shape(lambda: (model.parameters or parameters_of)(model.init()))
    tree = _read(results, dict(zip(("params", "state"), given, strict=True)), cell, "final_params=True")
    return tree["params"], tree["state"]


@arguments(results=RESULTS, training=instance(Training, example="dl.training(...)"), cell=CELL)
def final_state(results: xr.Dataset, training: Training, /, **cell: Any) -> Any:
    """The state at a run's last step, whole: parameters, what the optimizer keeps, the step.

    Args:
      results: of `dl.run` or `dl.sweep` with `final_state=True`, or read back from Zarr.
      training: that is to go on; gives the structure. The one that was run, or the same without `stop` and `keep_best`,
        which cannot be added.
      cell: axis to its label, for a study; as in `final_params`.

    Returns:
      A `dlcore.State`, or the state of a hand-written training; `dlcore.run(training, start=state)` goes on from it.

    Raises:
      ArgumentError: `results` holds no state of this training, `cell` names a label that does not exist or leaves more
        than one run.

    Example:
      >>> training = dl.Training(init=lambda: 1.0, advance=lambda x: (x / 2, {"x": x / 2}), num_records=3)
      >>> results = dl.run(training, final_state=True)
      >>> dl.run(training, start=dl.final_state(results, training)).x.values
      array([0.0625  , 0.03125 , 0.015625], dtype=float32)
    """
    shapes = jax.eval_shape(training.init)
    return _read(results, {FINAL_STATE: shapes}, cell, "final_state=True")[FINAL_STATE]


def _read(results: xr.Dataset, shapes: dict[str, Any], cell: dict[str, Any], option: str) -> dict[str, Any]:
    """A tree like `shapes` of one run's arrays."""
    chosen: dict[str, np.ndarray] = {}
    for axis, label in cell.items():
        dim, found = _positions(results, axis, label)
        chosen[dim] = found & chosen.get(dim, True)
    for dim, found in chosen.items():
        if found.sum() != 1:
            raise ArgumentError(
                f"{int(found.sum())} runs have {', '.join(f'{axis}={shown(label)}' for axis, label in cell.items())}; "
                f"expects one. Choose by all coordinates of {dim!r}, or by its own labels."
            )
    results = results.isel({dim: int(np.argmax(found)) for dim, found in chosen.items()})
    leaves = [_stored(results, name, leaf, option) for name, leaf in by_path(shapes).items()]
    return jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def _positions(results: xr.Dataset, axis: str, label: Any) -> tuple[str, np.ndarray]:
    """A dimension and where on it a label is; of floats those that are equal in the axis' precision."""
    if axis not in results.coords or results[axis].ndim != 1:
        known = [str(name) for name, coordinate in results.coords.items() if coordinate.ndim == 1]
        raise ArgumentError(f"{axis!r} is no dimension of these results; they have {', '.join(known)}.")
    known = results[axis].values
    if known.dtype.kind == "f" and isinstance(label, int | float | np.number):
        apart = np.abs(known - label)
        found = (apart == apart.min()) & (apart <= 2 * np.finfo(np.float32).eps * abs(label))
    else:
        plain = isinstance(label, bool | int | float | str | np.generic | None)
        wanted = label if plain else name_of(label)  # as in `labels`
        truth = isinstance(wanted, bool | np.bool_)  # True is not 1
        found = np.array([isinstance(value, bool | np.bool_) == truth and bool(value == wanted) for value in known])
    if not found.any():
        listed = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
        raise ArgumentError(f"{axis} has no label {shown(label)}; its labels are {listed}.")
    return str(results[axis].dims[0]), found


def _stored(results: xr.Dataset, name: str, expected: jax.ShapeDtypeStruct, option: str) -> jax.Array:
    if name not in results:
        raise ArgumentError(f"the results hold no {name!r}. Run with {option}, and pass what was run.")
    values = results[name]
    is_key = jax.dtypes.issubdtype(expected.dtype, jax.dtypes.prng_key)
    shape = jax.eval_shape(jax.random.key_data, expected).shape if is_key else expected.shape
    numbers = values.values
    shorter = values.attrs.get(SHORTER)
    if shorter and numbers.ndim == len(shape) and numbers.shape != shape and all(map(int.__ge__, numbers.shape, shape)):
        own = tuple(slice(0, size) for size in shape)
        rest = np.ones(numbers.shape, bool)
        rest[own] = False
        if np.isnan(numbers[rest]).all():  # the end of an array that is shorter than those of other cells
            numbers = numbers[own]
    if numbers.shape != shape or (shorter and _padded(numbers)):
        axes = [f"{dim}=..." for dim in values.dims if dim in results.coords]
        if shorter and _padded(numbers):
            raise ArgumentError(f"{name!r} is shorter than {shape} in this run; expects the model that was trained.")
        raise ArgumentError(
            f"{name!r} has shape {values.shape}, one run of this model has {shape}. "
            + (f"Choose one run: {', '.join(axes)}." if axes else "Pass the model that was trained.")
        )
    return as_leaf(numbers, expected)


def _padded(numbers: np.ndarray) -> bool:
    """Whether this is the array of a smaller model, filled up: NaN at the end of a dimension, numbers before."""
    if numbers.dtype.kind != "f" or not np.isfinite(numbers.flat[:1]).all():
        return False
    return any(np.isnan(numbers.take(-1, axis)).all() for axis in range(numbers.ndim))
