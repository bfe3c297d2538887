"""How much the gradients of single examples differ: the gradient noise scale."""

from typing import Any

import jax
import jax.numpy as jnp
import xarray as xr
from jax import lax
from jax.flatten_util import ravel_pytree

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, integer, sequence, text
from dlcore.core.arguments import key as key_constraint
from dlcore.core.dataset import Split, refuse_weights
from dlcore.core.dtypes import in_single
from dlcore.core.errors import ArgumentError, DataError
from dlcore.core.evaluation import Observation
from dlcore.core.labeled import Labeled, labeled
from dlcore.probes.rows import NUM_ROWS, OBSERVATION, SPLIT, key_of_step, objective_of, rows_of, where_finite

BYTES_OF_GRADIENTS = 1 << 22  # of the examples that are in memory at once; what a cache holds is faster
PART = "part"


def _accept_parts(value: Any) -> Any:
    parts = value.coords.get(PART) if isinstance(value, xr.DataArray) else None
    if parts is None or set(parts.values.ravel()) != {"signal", "noise"}:
        raise RefusedError("It is what dl.probes.gradient_noise records.")
    return value


PARTS = Constraint("a DataArray with signal and noise along a dimension part", _accept_parts, error=DataError)
DIMS = sequence(text, text="names of dimensions") | Constraint("one", lambda value: (text.accept(value),))


@arguments(seen=OBSERVATION, split=SPLIT, num_rows=NUM_ROWS)
def gradient_noise(seen: Observation, split: str = "train", num_rows: int | None = None) -> Labeled:
    """Signal and noise of the gradient, exactly, from the gradients of all examples.

    "signal" is the squared norm of the mean gradient, "noise" the trace of the covariance of the gradients of single
    examples (divided by N - 1): the gradient of a batch of B, drawn without replacement, is off by noise (1/B - 1/N) in
    the mean square. Scale: `noise_scale`, their ratio, is the batch size at which both are equal. In evaluation, as
    `sharpness`. Cost: about 10 gradients of the rows, in pieces whose gradients fill 4 MB.

    Args:
      split, num_rows: which rows, the whole population here; all of the split, or so many spread evenly over it.

    Returns:
      dim part: "signal" and "noise". NaN where the parameters are.

    Raises:
      ArgumentError: a split that there is not, more rows than it has, one row.
      DataError: a streamed split, examples with weights.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"noise": dl.probes.gradient_noise})
      >>> dl.probes.noise_scale(dl.run(run).noise).dims
      ('step',)
    """
    rows = _population("gradient_noise", seen, split, num_rows)
    mean = _gradient(seen, rows)
    at_once = max(1, BYTES_OF_GRADIENTS // max(1, mean.size * mean.dtype.itemsize))

    def distance(row):
        alone = _gradient(seen, jax.tree.map(lambda leaf: leaf[None], row))
        return jnp.sum((alone - mean) ** 2)

    distances = lax.map(distance, rows, batch_size=min(at_once, rows.num_rows))
    return _parts(seen, jnp.sum(mean**2), jnp.sum(distances) / (rows.num_rows - 1))


@arguments(seen=OBSERVATION, small=integer(), big=integer(2), split=SPLIT, key=key_constraint | NONE)
def two_batch_noise(
    seen: Observation, small: int, big: int, split: str = "train", key: jax.Array | None = None
) -> Labeled:
    """Signal and noise of the gradient, estimated from batches of two sizes, for data too large for `gradient_noise`.

    A batch of `big` rows is drawn without replacement, and cut into batches of `small`: by how much their gradients are
    longer than its own follows how noisy they are. Both estimates are unbiased for the split, of finite size; one
    record says little, and its signal may be negative: average both apart, by `noise_scale(records, over)`. Scale: that
    of `gradient_noise`. Cost: one gradient of `big` rows.

    Args:
      small, big: batch sizes; big a multiple of small, at most the rows of the split.
      key: of the rows drawn, new ones at each step. By default all runs of a study get the same; give each its own:
        `key=jax.random.key(seed)`.

    Returns:
      dim part: "signal" and "noise". NaN where the parameters are.

    Raises:
      ArgumentError: sizes that do not go together. DataError: a streamed split, examples with weights.
    Reference: McCandlish et al., An empirical model of large-batch training, 2018, app. A; here without replacement.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"noise": lambda seen: dl.probes.two_batch_noise(seen, small=5, big=60)})
      >>> dl.probes.noise_scale(dl.run(run).noise, over="step").dims
      ()
    """
    rows = _population("two_batch_noise", seen, split, None)
    total = rows.num_rows
    if big % small or big == small or big > total:
        raise ArgumentError(
            f"two_batch_noise: small is {small}, big is {big}; expects a big batch of several small ones, of at most "
            f"the {total} rows of the {split} split."
        )
    drawn = jax.random.permutation(key_of_step(seen, key), total)[:big].reshape(-1, small)

    def one(total_gradient, numbers):
        gradient = _gradient(seen, rows.select(numbers))
        return total_gradient + gradient, jnp.sum(gradient**2)

    sum_of_gradients, squares = lax.scan(one, jnp.zeros_like(in_single(ravel_pytree(seen.state.params)[0])), drawn)
    square = jnp.sum((sum_of_gradients / len(drawn)) ** 2)
    noise = (jnp.mean(squares) - square) / (1 / small - 1 / big)
    return _parts(seen, square - noise * (1 / big - 1 / total), noise)


@arguments(records=PARTS, over=DIMS)
def noise_scale(records: xr.DataArray, over: Any = ()) -> xr.DataArray:
    """The gradient noise scale: mean noise over mean signal, of what `gradient_noise` or `two_batch_noise` recorded.

    Scale: examples. Gradients of batches that are much smaller are noise mostly, those of much larger ones hardly
    differ from the gradient of all. Both are averaged apart: a mean of ratios is not what one is looking for.

    Args:
      records: dims (..., "part").
      over: dimensions to average over before the ratio is taken: "step", ("seed", "step"), ...

    Returns:
      dims (...) without those; NaN where the mean signal is not above 0, so that nothing is known.

    Raises:
      DataError: other records. ArgumentError: dimensions that they do not have.

    Example:
      >>> import xarray as xr
      >>> records = xr.DataArray([[1.0, 8.0], [3.0, 8.0]], {"part": ["signal", "noise"]}, ("step", "part"))
      >>> dl.probes.noise_scale(records, over="step").item()
      4.0
    """
    missing = [dim for dim in over if dim not in records.dims or dim == PART]
    if missing:
        raise ArgumentError(
            f"noise_scale: over names {missing[0]!r}; expects among {', '.join(map(str, records.dims))}, but {PART}."
        )
    mean = records.astype(float).mean(over, skipna=False) if over else records.astype(float)
    signal, noise = (mean.sel({PART: part}, drop=True) for part in ("signal", "noise"))
    return noise / signal.where(signal > 0)


def _population(who: str, seen: Observation, split: str, num_rows: int | None) -> Split:
    refuse_weights(seen.task.data, who)
    rows = rows_of(who, seen, split, num_rows)
    if rows.num_rows < 2:
        raise ArgumentError(f"{who}: there is one row; expects two or more, whose gradients differ.")
    return rows


def _gradient(seen: Observation, rows: Split) -> jax.Array:
    """Of the objective on rows, as a vector [n]."""
    return in_single(ravel_pytree(jax.grad(objective_of(seen, rows))(seen.state.params))[0])


def _parts(seen: Observation, signal: jax.Array, noise: jax.Array) -> Labeled:
    return labeled(where_finite(seen, jnp.stack([signal, noise])), (PART, ("signal", "noise")))
