"""What a probe looks at: rows of a split, and the objective on them as a function of the parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import NONE, instance, integer, one_of
from dlcore.core.dataset import SPLITS, Split, in_memory, on_device
from dlcore.core.errors import ArgumentError, DataError
from dlcore.core.evaluation import Observation
from dlcore.core.model import Params

OBSERVATION = instance(Observation, example="what observe= hands over")
SPLIT = one_of(*SPLITS)
NUM_ROWS = integer() | NONE


def rows_of(who: str, seen: Observation, split: str, num_rows: int | None = None) -> Split:
    """Rows of a split, all of them or so many that are spread evenly over it.

    Args:
      who: the probe, for the message.

    Raises:
      ArgumentError: a split that there is not, or more rows than it has. DataError: one that is streamed.
    """
    data = seen.task.data
    if split not in data.splits:
        raise ArgumentError(
            f"{who}: split is {split!r}; expects one of those of {data.name}, {', '.join(data.splits)}."
        )
    if split not in in_memory(data):
        raise DataError(
            f"{who}: the {split} split of {data.name} is streamed; expects one in memory. Use another split, or keep "
            "some rows in memory as the validation split."
        )
    rows = on_device(getattr(data, split))
    if num_rows is None:
        return rows
    if num_rows > rows.num_rows:
        raise ArgumentError(
            f"{who}: num_rows is {num_rows}; expects at most {rows.num_rows}, the rows of {data.name}.{split}."
        )
    chosen = np.arange(num_rows) * rows.num_rows // num_rows
    return rows.select(chosen)


def objective_of(seen: Observation, rows: Split) -> Callable[[Params], jax.Array]:
    """What is minimized, of these rows, penalty included, as a function of the parameters.

    In evaluation: nothing is dropped, and batch normalization takes its running averages.
    """
    return lambda params: seen.task.objective(params, seen.state.model_state, rows)[0]


def where_finite(seen: Observation, values: Any) -> Any:
    """The values, NaN where a parameter of the run is not finite: a quadratic loss has a Hessian even there."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(seen.state.params)]))
    return jax.tree.map(lambda value: jnp.where(finite, value, jnp.nan), values)


def key_of_step(seen: Observation, key: jax.Array | None) -> jax.Array:
    """The key of a record: another one at each step; of None the same for all runs."""
    return jax.random.fold_in(jax.random.key(0) if key is None else key, seen.state.step)
