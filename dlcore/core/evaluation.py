"""What is recorded of a state: loss and metrics on whole splits, and what observers make of a step."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from dlcore.core.dataset import Split, on_device
from dlcore.core.memory import bytes_needed
from dlcore.core.model import ModelState, Params
from dlcore.core.parallel import split_over
from dlcore.core.task import Task

# Bytes of intermediate results: what a forward pass in evaluation may need at once, and in pieces of what needs more.
# Measured: see benchmarks/README.md, "Evaluation in pieces".
BYTES_AT_ONCE, BYTES_OF_PIECE = 1 << 24, 1 << 22
ROWS_MEASURED = 32  # rows of the forward pass that is traced to learn what one row needs


class Observation(NamedTuple):
    """What an observer sees of a run, after its last step.

    state: with step, params, model_state, opt_state. task: of the training. gradient, updates: those of the last step;
    NaN in the record at step 0, before which there is none.

    Example:
      >>> def largest_gradient(seen):
      ...     return jnp.max(jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(seen.gradient)]))
      >>> task = dl.tasks.classification(dl.models.mlp([4, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"largest": largest_gradient})
      >>> dl.run(run).largest.dims
      ('step',)
    """

    state: Any
    task: Task
    gradient: Params
    updates: Params


Observer = Callable[[Observation], Any]


def measure_splits(
    task: Task, splits: Sequence[str], trained: Params, params: Params, model_state: ModelState, mesh: Mesh | None
) -> dict[str, Any]:
    """Whether all parameters are finite; loss and metrics on each split.

    What has no value does not look like a good one: metrics of outputs that are NaN are NaN, and the loss of a run that
    has diverged is infinite, so that neither a minimum nor a mean over runs passes over it.

    Args:
      trained: the parameters. params: those to be evaluated. mesh: devices that the rows are split over.
    """
    finite = jnp.all(jnp.asarray([jnp.all(jnp.isfinite(leaf)) for leaf in _floats(trained)]))
    record = {"finite": finite}
    for split in splits:
        rows = on_device(getattr(task.data, split))
        outputs = outputs_of(task, params, model_state, rows, mesh)
        loss, metrics = task.report(params, outputs, split_over(mesh, rows))
        undefined = jnp.any(jnp.asarray([jnp.any(jnp.isnan(leaf)) for leaf in _floats(outputs)]))
        record[f"{split}_loss"] = diverged_is_infinite(loss, finite & ~undefined)
        for name, metric in metrics.items():
            record[f"{split}_{name}"] = jax.tree.map(lambda value, u=undefined: jnp.where(u, jnp.nan, value), metric)
    return record


def diverged_is_infinite(loss: jax.Array, finite: jax.Array) -> jax.Array:
    """The loss, infinity where it is NaN in a run that is not finite."""
    return jnp.where(jnp.isnan(loss) & ~finite, jnp.inf, loss)


def outputs_of(task: Task, params: Params, model_state: ModelState, rows: Split, mesh: Mesh | None = None) -> Any:
    """The outputs for all rows in evaluation, [N, ...]; long splits go through the forward pass in pieces."""

    def forward(piece):
        return task.forward(params, model_state, split_over(mesh, piece))[0]

    num_rows = len(jax.tree.leaves(rows)[0])
    measured = min(num_rows, ROWS_MEASURED)
    needed = bytes_needed(task, forward, (params, model_state, _first(rows, measured)))
    size = _rows_of_piece(needed / measured, num_rows, 1 if mesh is None else mesh.size)
    if size >= num_rows:
        return forward(rows)
    piece, longer = (jax.eval_shape(forward, _first(rows, count)) for count in (size, size + 1))
    if not all(map(functools.partial(_has_rows, size), jax.tree.leaves(piece), jax.tree.leaves(longer))):
        return forward(rows)  # an output that is not row by row

    def one_piece(i, outputs):
        # The last piece ends with the split; rows that it shares with the one before get the same outputs again.
        start = jnp.minimum(i * size, num_rows - size)
        new = forward(jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, start, size), rows))
        put = lax.dynamic_update_slice_in_dim
        return jax.tree.map(lambda kept, part: put(kept, part, start * (len(part) // size), 0), outputs, new)

    empty = jax.tree.map(lambda leaf: jnp.zeros((leaf.shape[0] // size * num_rows, *leaf.shape[1:]), leaf.dtype), piece)
    return lax.fori_loop(0, -(-num_rows // size), one_piece, empty)


def _rows_of_piece(needed: float, num_rows: int, devices: int) -> int:
    """How many rows the forward pass may take at once, of which each needs so many bytes: all, or a piece of them."""
    if needed * num_rows <= BYTES_AT_ONCE * devices:
        return num_rows
    most = max(1, int(BYTES_OF_PIECE * devices / needed))
    return -(-num_rows // -(-num_rows // most))


def _has_rows(size: int, piece: Any, longer: Any) -> bool:
    """Whether an output has as many numbers more for a row more."""
    each, rest = divmod(piece.shape[0], size) if piece.ndim else (0, 1)
    return not rest and longer.shape == (each * (size + 1), *piece.shape[1:])


def _first(rows: Split, count: int) -> Any:
    """Shapes and dtypes of so many rows."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype), rows)


def _floats(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
