"""Objectives of small networks in float64, and what brute force makes of them: Hessian, gradients of examples."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree


def _double(tree):
    def double(leaf):
        leaf = np.asarray(leaf)
        return jnp.asarray(leaf, jnp.float64 if leaf.dtype.kind == "f" else leaf.dtype)

    return jax.tree.map(double, tree)


def _of(seen, make, rows):
    """What `make(objective(flat, rows), flat, rows)` gives in float64, as NumPy arrays."""
    with jax.enable_x64(True):
        flat, tree_of = ravel_pytree(_double(seen.state.params))
        state, rows = _double(seen.state.model_state), _double(rows)

        def objective(flat, rows):
            return seen.task.objective(tree_of(flat), state, rows)[0]

        return np.asarray(jax.jit(lambda flat, rows: make(objective, flat, rows))(flat, rows))


def hessian(seen, rows):
    """[n, n], of the objective on rows."""
    return _of(seen, lambda objective, flat, rows: jax.hessian(objective)(flat, rows), rows)


def gradients(seen, rows):
    """[N, n], of the objective on each row alone."""

    def each(objective, flat, rows):
        alone = jax.tree.map(lambda leaf: leaf[:, None], rows)  # batches of one row
        return jax.lax.map(lambda row: jax.grad(objective)(flat, row), alone)

    return _of(seen, each, rows)


def jacobian(seen, rows):
    """[N, C, n], of the outputs [N, C] for rows."""
    with jax.enable_x64(True):
        flat, tree_of = ravel_pytree(_double(seen.state.params))
        state, rows = _double(seen.state.model_state), _double(rows)
        outputs = jax.jit(jax.jacrev(lambda flat: seen.task.forward(tree_of(flat), state, rows)[0]))
        return np.asarray(outputs(flat))
