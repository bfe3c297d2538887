"""The empirical tangent kernel against explicit Jacobians in float64."""

import exact
import jax
import numpy as np
import optax
import pytest
import small
from observations import observed, recorded

import dlcore as dl
from dlcore.probes import kernel

TASK = dl.tasks.classification(dl.models.mlp([4, 6, 3], activation="tanh"), small.labeled_points())


@pytest.mark.parametrize("piece", [None, 5])
def test_against_explicit_jacobians(piece, monkeypatch):
    """Catches outputs that are mixed up, and rows of a last piece that are not those of the split."""
    seen = observed(TASK)
    if piece:
        monkeypatch.setattr(kernel, "BYTES_OF_JACOBIANS", piece * 4 * 3 * 51)
    jacobian = exact.jacobian(seen, TASK.data.train.select(slice(None, None, 2)))
    full = np.einsum("acn,bdn->acbd", jacobian, jacobian)
    found = recorded(dl.probes.tangent_kernel, seen, num_rows=12, outputs="all")
    assert found.dims == ("row", "output", "other_row", "other_output")
    np.testing.assert_allclose(found.values, full, rtol=1e-4, atol=1e-5)
    mean = recorded(dl.probes.tangent_kernel, seen, num_rows=12).values
    np.testing.assert_allclose(mean, np.einsum("acbc->ab", full) / 3, rtol=1e-4, atol=1e-5)


def test_a_linear_model_has_the_kernel_of_its_inputs():
    """Catches a factor, also in lanes: x x' + 1 for weights and bias; its eigenvalues on the host; diverged is NaN."""
    observe = {"kernel": lambda seen: recorded(dl.probes.tangent_kernel, seen, num_rows=6)}

    def fit(rate):
        key = jax.random.key(0)
        return dl.training(key, small.REGRESSION, optax.sgd(rate), batch_size=6, num_epochs=2, observe=observe)

    runs = dl.sweep(fit, rate=np.array([0.1, 1e30]))
    inputs = np.c_[small.REGRESSION.data.train.inputs[::4], np.ones(6)].astype(np.float64)
    np.testing.assert_allclose(runs.kernel.sel(rate=0.1).isel(step=1), inputs @ inputs.T, rtol=1e-5, atol=1e-6)
    found = dl.probes.kernel_eigenvalues(runs.kernel)
    assert found.dims == ("rate", "step", "eigenvalue")
    expected = np.linalg.eigvalsh(inputs @ inputs.T)[::-1]
    np.testing.assert_allclose(found.sel(rate=0.1).isel(step=-1), expected, rtol=1e-5, atol=1e-5)
    assert found.sel(rate=1e30).isel(step=-1).isnull().all()


def test_descent_shrinks_errors_by_the_kernel():
    """Catches a scale other than the one said: mean of half the squared errors, rate x kernel / N."""
    seen = observed(small.REGRESSION)  # its loss is the mean of squares: twice that
    data = small.REGRESSION.data.train
    matrix = np.asarray(recorded(dl.probes.tangent_kernel, seen, num_rows=24).values, np.float64)
    gradient = jax.grad(lambda params: small.REGRESSION.objective(params, {}, data)[0])(seen.state.params)
    moved = jax.tree.map(lambda p, g: p - 0.01 * g / 2, seen.state.params, gradient)
    before, after = (
        small.REGRESSION.forward(params, {}, data)[0] - data.targets for params in (seen.state.params, moved)
    )
    np.testing.assert_allclose(after, before - 0.01 / 24 * matrix @ np.asarray(before), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_had():
    """Catches more rows than a kernel may have."""
    with pytest.raises(dl.ArgumentError, match="expects an integer from 1 to 512"):
        dl.probes.tangent_kernel(observed(TASK), num_rows=513)
    with pytest.raises(dl.ArgumentError, match="expects at most 24"):
        dl.probes.tangent_kernel(observed(TASK))
