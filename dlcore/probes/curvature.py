"""The Hessian of the objective by products with vectors: its largest eigenvalues, its trace."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import lax
from jax.flatten_util import ravel_pytree

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, array, function, integer
from dlcore.core.arguments import key as key_constraint
from dlcore.core.dtypes import in_single
from dlcore.core.errors import DataError
from dlcore.core.evaluation import Observation
from dlcore.core.labeled import Labeled, labeled
from dlcore.probes.rows import NUM_ROWS, OBSERVATION, SPLIT, key_of_step, objective_of, rows_of, where_finite
from dlcore.probes.spectra import like_records

COEFFICIENTS = ("diagonal", "off_diagonal")
ROUNDINGS = 8  # what is shorter than so many roundings of the largest coefficient is no direction
VECTOR = array("f", ndim=1, text="a vector of floats [n]")


def _accept_coefficients(value: Any) -> Any:
    found = value.values if isinstance(value, xr.DataArray) else value
    if getattr(found, "ndim", 0) < 2 or found.shape[-2] != 2 or array("f").refuses(found):
        raise RefusedError("They are what dl.probes.sharpness records.")
    return value


RECORDED = Constraint("coefficients [..., 2, k], a DataArray or an array", _accept_coefficients, error=DataError)


def hessian_product(seen: Observation, rows: Any) -> tuple[Callable[[jax.Array], jax.Array], jax.Array]:
    """`product(v) -> H v` of vectors [n], forward over reverse, for the objective on rows; the parameters as a vector.

    What does not depend on v is computed once. Vectors are float32 or finer, whatever the parameters are.
    """
    params, tree_of = ravel_pytree(seen.state.params)
    objective = objective_of(seen, rows)
    _, linear = jax.linearize(lambda flat: ravel_pytree(jax.grad(objective)(tree_of(flat)))[0], params)
    return lambda vector: in_single(linear(vector.astype(params.dtype))), params


@arguments(product=function, start=VECTOR, num_iterations=integer(1, 1000))
def lanczos(product: Callable[[jax.Array], jax.Array], start: jax.Array, num_iterations: int) -> jax.Array:
    """Coefficients of Lanczos' iteration for a symmetric matrix that is known by its products with vectors.

    Each vector is made orthogonal to all before it, twice, so that no eigenvalue comes out twice. No LAPACK is called:
    inside of compiled lanes it can corrupt memory (jax#39292). `eigenvalues` finds them on the host.

    Args:
      product: `product(v) -> A v` of vectors [n].
      start: a vector [n] with a part along every eigenvector that is looked for, such as a random one.
      num_iterations: products to take, k; k vectors [n] are held in memory.

    Returns:
      [2, k]: diagonal and off-diagonal of a tridiagonal matrix whose eigenvalues approach the outer ones of A. The last
      off-diagonal couples it to what was not looked at. 0 on the off-diagonal ends the matrix: A leads nowhere else.
      NaN where a product is.
    Reference: Golub and Van Loan, Matrix computations, 4th ed., sec. 10.3.

    Example:
      >>> coefficients = dl.probes.lanczos(lambda v: jnp.array([3.0, 1.0, -1.0]) * v, jnp.ones(3), 3)
      >>> np.allclose(dl.probes.eigenvalues(coefficients), [3, 1, -1], atol=1e-5)
      True
    """
    start = in_single(start)
    smallest = ROUNDINGS * jnp.finfo(start.dtype).eps
    count = min(num_iterations, len(start))

    def without_basis(basis, vector):
        along = jnp.matmul(basis, vector, precision="highest")
        return vector - jnp.matmul(along, basis, precision="highest")

    def one(carry, i):
        basis, vector, largest = carry
        basis = basis.at[i].set(vector)
        image = product(vector)
        diagonal = jnp.vdot(vector, image, precision="highest")
        rest = without_basis(basis, without_basis(basis, image))
        off = jnp.sqrt(jnp.sum(rest**2))
        largest = jnp.maximum(largest, jnp.maximum(jnp.abs(diagonal), off))
        ended = (off <= smallest * largest) | (i == len(start) - 1)
        off = jnp.where(ended & ~jnp.isnan(off), 0, off)
        return (basis, jnp.where(off == 0, 0, rest / jnp.where(off == 0, 1, off)), largest), (diagonal, off)

    first = start / jnp.sqrt(jnp.sum(start**2))
    begin = (jnp.zeros((count, len(start)), start.dtype), first, jnp.zeros((), start.dtype))
    _, found = lax.scan(one, begin, jnp.arange(count))
    return jnp.pad(jnp.stack(found), ((0, 0), (0, num_iterations - count)))


@arguments(
    seen=OBSERVATION,
    split=SPLIT,
    num_rows=NUM_ROWS,
    num_iterations=integer(1, 1000),
    key=key_constraint | NONE,
)
def sharpness(
    seen: Observation,
    split: str = "train",
    num_rows: int | None = None,
    num_iterations: int = 20,
    key: jax.Array | None = None,
) -> Labeled:
    """What the largest eigenvalues of the Hessian of the objective come from: `eigenvalues(runs.sharpness)`.

    Scale: the curvature of the loss, penalty included, along its sharpest direction: descent with rate r on a quadratic
    loss diverges along directions of curvature above 2 / r. In evaluation: dropout does nothing, batch normalization
    takes its running averages, which do not move with the parameters. An eigenvalue that stands apart is right to a
    rounding of float32 after 20 iterations, the second of a small network too, which after 10 is off by 2e-4. Cost:
    one gradient of the rows an iteration, all rows at once, and a vector as long as the parameters for each.

    Args:
      split, num_rows: which rows; all of the split, or so many spread evenly over it.
      num_iterations: of Lanczos' iteration.
      key: of the vector it starts from; the same one for all runs and records by default.

    Returns:
      dims (coefficient, iteration): the tridiagonal matrix of `lanczos`. NaN where the parameters are.

    Raises:
      ArgumentError: a split that there is not, more rows than it has. DataError: a streamed split.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"sharpness": dl.probes.sharpness})
      >>> dl.probes.eigenvalues(dl.run(run).sharpness).isel(eigenvalue=0).dims
      ('step',)
    """
    product, params = hessian_product(seen, rows_of("sharpness", seen, split, num_rows))
    start = jax.random.normal(jax.random.key(0) if key is None else key, params.shape, in_single(params).dtype)
    found = where_finite(seen, lanczos(product, start, num_iterations))
    return labeled(found, ("coefficient", COEFFICIENTS), "iteration")


@arguments(
    seen=OBSERVATION,
    split=SPLIT,
    num_rows=NUM_ROWS,
    num_samples=integer(2, 100_000),
    key=key_constraint | NONE,
)
def hessian_trace(
    seen: Observation,
    split: str = "train",
    num_rows: int | None = None,
    num_samples: int = 32,
    key: jax.Array | None = None,
) -> Labeled:
    """Trace of the Hessian of the objective by Hutchinson's estimator, with its standard error.

    The mean of z' H z over vectors z of random signs. Scale: the sum of all curvatures, positive and negative; over the
    number of parameters, the mean curvature. The objective is that of `sharpness`. The variance of one sample is twice
    the sum of the squares off the Hessian's diagonal. Cost: one gradient of the rows a sample, all rows at once.

    Args:
      split, num_rows: which rows; all of the split, or so many spread evenly over it.
      num_samples: vectors; the standard error falls with its root.
      key: of the vectors, new ones at each step. By default all runs of a study get the same: then a mean over runs is
        not more precise in this respect. Give each its own: `key=jax.random.key(seed)`.

    Returns:
      dim statistic: "mean" and "standard_error". NaN where the parameters are.

    Raises:
      ArgumentError: a split that there is not, more rows than it has. DataError: a streamed split.
    Reference: Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"trace": dl.probes.hessian_trace})
      >>> dl.run(run).trace.sel(statistic="mean").dims
      ('step',)
    """
    product, params = hessian_product(seen, rows_of("hessian_trace", seen, split, num_rows))
    keys = jax.random.split(key_of_step(seen, key), num_samples)

    def sample(key):
        signs = jax.random.rademacher(key, params.shape, in_single(params).dtype)
        return jnp.vdot(signs, product(signs), precision="highest")

    samples = where_finite(seen, lax.map(sample, keys))
    error = jnp.std(samples, ddof=1) / num_samples**0.5
    return labeled({"mean": jnp.mean(samples), "standard_error": error}, "statistic")


@arguments(coefficients=RECORDED)
def eigenvalues(coefficients: Any) -> Any:
    """Eigenvalues of the tridiagonal matrices that `sharpness` or `lanczos` give, in float64 on the host.

    Scale: those of the matrix behind, of which the outer ones are close. Cost: about 60 us a record.

    Args:
      coefficients: [..., 2, k]; a DataArray as recorded, or an array.

    Returns:
      [..., k], the largest first; of a DataArray dims (..., "eigenvalue"). NaN where a coefficient is, and behind the
      last where the iteration ended early.

    Raises:
      DataError: what are no such coefficients.

    Example:
      >>> dl.probes.eigenvalues(np.array([[2.0, 2.0], [1.0, 0.0]]))
      array([3., 1.])
    """
    values = np.asarray(getattr(coefficients, "values", coefficients), np.float64)
    rows = values.reshape(-1, *values.shape[-2:])
    found = np.array([_tridiagonal(*each) for each in rows]).reshape(*values.shape[:-2], values.shape[-1])
    return like_records(found, coefficients)


def _tridiagonal(diagonal: np.ndarray, off: np.ndarray) -> np.ndarray:
    """The eigenvalues of one matrix up to the first 0 off its diagonal, descending, then NaN."""
    size = int(np.argmax(off == 0)) + 1 if (off == 0).any() else len(off)
    found = np.full(len(off), np.nan)
    diagonal, off = diagonal[:size], off[: size - 1]
    if np.isfinite(diagonal).all() and np.isfinite(off).all():
        found[:size] = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))[::-1]
    return found
