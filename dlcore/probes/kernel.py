"""The empirical neural tangent kernel: how a step on one example changes the outputs for another."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import lax
from jax.flatten_util import ravel_pytree

from dlcore.core.arguments import Constraint, RefusedError, arguments, array, integer, one_of
from dlcore.core.dataset import Split
from dlcore.core.dtypes import in_single
from dlcore.core.errors import DataError, described
from dlcore.core.evaluation import Observation
from dlcore.core.labeled import Labeled, labeled
from dlcore.probes.rows import OBSERVATION, SPLIT, rows_of, where_finite
from dlcore.probes.spectra import like_records

MOST_ROWS = 512
BYTES_OF_JACOBIANS = 1 << 26  # those of all rows are held at once if they fit; else pieces, computed more than once


def _accept_kernel(value: Any) -> Any:
    found = value.values if isinstance(value, xr.DataArray) else value
    if getattr(found, "ndim", 0) < 2 or found.shape[-1] != found.shape[-2] or array("f").refuses(found):
        raise RefusedError("It is what dl.probes.tangent_kernel records.")
    return value


KERNEL = Constraint("kernels [..., N, N], a DataArray or an array", _accept_kernel, error=DataError)


@arguments(seen=OBSERVATION, split=SPLIT, num_rows=integer(1, MOST_ROWS), outputs=one_of("mean", "all"))
def tangent_kernel(
    seen: Observation, split: str = "train", num_rows: int = 64, outputs: Literal["mean", "all"] = "mean"
) -> Labeled:
    """The empirical neural tangent kernel of the model's outputs at so many rows of a split.

    The inner products of the derivatives of outputs by all parameters. Scale: descent on the mean of half the squared
    errors of N examples, at a small rate, shrinks the error along an eigenvector by rate x eigenvalue / N a step; so
    long as the kernel stays as it is, the network learns as a linear model does. In evaluation, as `sharpness`. Cost:
    a forward and backward pass for each output of each row; where Jacobians of all rows take more than 64 MB, as many
    times more as there are pieces.

    Args:
      num_rows: spread evenly over the split, at most 512.
      outputs: "mean": the mean over outputs of the kernels of each, [N, N]; "all": between all outputs, [N, C, N, C].

    Returns:
      dims (row, other_row), or (row, output, other_row, other_output). NaN where the parameters are.

    Raises:
      ArgumentError: a split that there is not, more rows than it has. DataError: a streamed split, outputs that are
        several arrays.
    Reference: Jacot et al., Neural tangent kernel, NeurIPS 2018.

    Example:
      >>> task = dl.tasks.classification(dl.models.mlp([4, 8, 3]), dl.data.iris())
      >>> run = dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=20, num_epochs=2,
      ...     observe={"kernel": lambda seen: dl.probes.tangent_kernel(seen, num_rows=10)})
      >>> dl.run(run).kernel.dims
      ('step', 'row', 'other_row')
    """
    rows = rows_of("tangent_kernel", seen, split, num_rows)
    params, tree_of = ravel_pytree(seen.state.params)

    def output(flat, row):
        one = jax.tree.map(lambda leaf: leaf[None], row)
        found = seen.task.forward(tree_of(flat), seen.state.model_state, one)[0]
        if not isinstance(found, jax.Array):
            raise DataError(f"tangent_kernel: outputs are {described(found)}; expects one array [B, ...].")
        return found.reshape(-1)

    def jacobian(row):
        return in_single(jax.jacrev(output)(params, row))

    kernel = where_finite(seen, _products(jacobian, rows, mean=outputs == "mean"))
    dims = ("row", "other_row") if outputs == "mean" else ("row", "output", "other_row", "other_output")
    return labeled(kernel, *dims)


def _products(jacobian: Callable[[Split], jax.Array], rows: Split, *, mean: bool) -> jax.Array:
    """Inner products of the Jacobians [C, n] of all rows, [N, N] or [N, C, N, C]; in pieces if they are large."""
    of_row = jax.eval_shape(jacobian, jax.tree.map(lambda leaf: leaf[0], rows))
    size = max(1, BYTES_OF_JACOBIANS // max(1, of_row.size * of_row.dtype.itemsize))

    def product(one, other):
        return jnp.einsum("cn,cn->" if mean else "cn,dn->cd", one, other, precision="highest")

    if size >= rows.num_rows:
        whole = jax.vmap(jacobian)(rows)
        found = jax.vmap(lambda one: jax.vmap(lambda other: product(one, other))(whole))(whole)
    else:

        def with_all(row):
            one = jacobian(row)
            return lax.map(lambda other: product(one, jacobian(other)), rows, batch_size=size)

        found = lax.map(with_all, rows, batch_size=size)
    return found / of_row.shape[0] if mean else found.swapaxes(1, 2)


@arguments(kernel=KERNEL)
def kernel_eigenvalues(kernel: Any) -> Any:
    """Eigenvalues of symmetric matrices such as those of `tangent_kernel`, in float64 on the host.

    Scale: see `tangent_kernel`. Cost: N^3 operations a record; 0.05 s for 512 rows.

    Args:
      kernel: [..., N, N]; a DataArray as recorded, or an array.

    Returns:
      [..., N], the largest first; of a DataArray dims (..., "eigenvalue"). NaN where the matrix is not finite.

    Raises:
      DataError: what are no square matrices.

    Example:
      >>> dl.probes.kernel_eigenvalues(np.array([[2.0, 1.0], [1.0, 2.0]]))
      array([3., 1.])
    """
    values = np.asarray(getattr(kernel, "values", kernel), np.float64)
    finite = np.all(np.isfinite(values), axis=(-2, -1), keepdims=True)
    found = np.linalg.eigvalsh(np.where(finite, values, 0))[..., ::-1]
    return like_records(np.where(finite[..., 0], found, np.nan), kernel)
