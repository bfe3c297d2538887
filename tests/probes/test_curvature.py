"""The Hessian's eigenvalues and trace against brute force in float64, matfree and closed forms."""

import exact
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
import xarray as xr
from flax import nnx
from observations import observed, recorded

import dlcore as dl

SMOOTH = dl.models.mlp([4, 6, 3], activation="tanh")
TASKS = {
    "classification": dl.tasks.classification(SMOOTH, small.labeled_points(), penalty=dl.tasks.l2(0.1)),
    "regression": dl.tasks.regression(dl.models.mlp([3, 5, 1], activation="tanh"), small.noisy_line()),
    "reconstruction": dl.tasks.reconstruction(dl.models.mlp([4, 2, 4], activation="tanh"), small.labeled_points()),
    "normalized": dl.tasks.classification(dl.from_nnx(small.NormalizedNNX), small.labeled_points()),
}


@pytest.mark.parametrize("name", TASKS)
def test_largest_eigenvalues_against_brute_force(name):
    """Catches a product with another matrix, dropout in the product, rows of another split, eigenvalues found twice."""
    seen = observed(TASKS[name])
    for split in ("train", "test"):
        expected = np.linalg.eigvalsh(exact.hessian(seen, getattr(seen.task.data, split)))[::-1]
        found = dl.probes.eigenvalues(recorded(dl.probes.sharpness, seen, split).values)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)
        assert found[-1] >= expected[-1] - 1e-5


def test_fewer_rows_and_another_start():
    """Catches rows that are not those of the loss, and a key that is not used."""
    seen = observed(TASKS["regression"])
    expected = np.linalg.eigvalsh(exact.hessian(seen, seen.task.data.train.select(slice(None, None, 3))))[-1]
    first, second = (
        recorded(dl.probes.sharpness, seen, num_rows=8, num_iterations=12, key=key).values
        for key in (None, jax.random.key(1))
    )
    assert abs(first - second).max() > 1e-2
    for each in (first, second):
        np.testing.assert_allclose(dl.probes.eigenvalues(each)[0], expected, rtol=1e-5)


def test_all_eigenvalues_of_a_small_matrix():
    """Catches an iteration that goes on behind the last direction, or stops before it; ends are marked by zeros."""
    matrix = np.float32(np.random.default_rng(0).normal(size=(6, 6)))
    matrix += matrix.T
    coefficients = dl.probes.lanczos(lambda v: jnp.asarray(matrix) @ v, jnp.ones(6), 9)
    assert coefficients.shape == (2, 9)
    expected = np.linalg.eigvalsh(matrix.astype(np.float64))[::-1]
    found = dl.probes.eigenvalues(coefficients)
    np.testing.assert_allclose(found[:6], expected, rtol=1e-5, atol=1e-5)
    assert np.isnan(found[6:]).all()
    low_rank = dl.probes.lanczos(lambda v: -2 * v, jnp.ones(6), 4)
    assert dl.probes.eigenvalues(low_rank)[0] == pytest.approx(-2), "no zeros above a negative matrix"


def test_orthogonal_twice():
    """Catches one pass of reorthogonalization: copies of the largest eigenvalue."""
    scale = jnp.asarray(np.r_[1e4, np.linspace(1, 2, 99)], jnp.float32)
    start = jax.random.normal(jax.random.key(0), (100,))
    found = dl.probes.eigenvalues(dl.probes.lanczos(lambda v: scale * v, start, 40))
    assert (found > 3).sum() == 1
    np.testing.assert_allclose(found[:2], [1e4, 2], rtol=1e-3)


def test_coefficients_against_matfree():
    """Catches coefficients of another matrix; as matfree, in float64."""
    decompositions = pytest.importorskip("matfree.decomp")
    with jax.enable_x64(True):
        matrix = np.random.default_rng(1).normal(size=(30, 30))
        matrix = jnp.asarray(matrix + matrix.T)
        start = jnp.asarray(np.random.default_rng(2).normal(size=30))
        ours = dl.probes.lanczos(lambda v: matrix @ v, start, 8)
        tridiagonal = decompositions.tridiag_sym(8, reortho="full")
        theirs = tridiagonal(lambda v: matrix @ v, start).J_small
        np.testing.assert_allclose(ours[0], jnp.diag(theirs), rtol=1e-9)
        np.testing.assert_allclose(ours[1, :-1], jnp.abs(jnp.diag(theirs, 1)), rtol=1e-9)


def test_least_squares_has_a_known_hessian():
    """Catches a factor: the Hessian of the mean of (x w + b - y)^2 is 2 X'X / N, also in lanes; diverged is NaN."""

    def fit(seed, rate):
        key = jax.random.key(seed)
        observe = {"sharpness": dl.probes.sharpness}
        return dl.training(key, small.REGRESSION, optax.sgd(rate), batch_size=6, num_epochs=2, observe=observe)

    runs = dl.sweep(fit, seed=np.arange(2), rate=np.array([0.1, 1e30]))
    assert runs.sharpness.dims == ("seed", "rate", "step", "coefficient", "iteration")
    inputs = np.c_[small.REGRESSION.data.train.inputs, np.ones(24)].astype(np.float64)
    expected = np.linalg.eigvalsh(2 * inputs.T @ inputs / 24)[::-1]
    found = dl.probes.eigenvalues(runs.sharpness)
    assert found.dims == ("seed", "rate", "step", "eigenvalue")
    assert found.rate.values.tolist() == [0.1, 1e30]
    np.testing.assert_allclose(found.sel(rate=0.1)[..., :4], np.broadcast_to(expected, (2, 3, 4)), rtol=1e-5)
    assert found[..., 4:].isnull().all()
    assert found.sel(rate=1e30).isel(step=-1).isnull().all()


def test_on_a_mesh():
    """Catches a probe that a run on several devices cannot have."""
    observe = {"sharpness": dl.probes.sharpness}
    mesh = jax.make_mesh((2,), ("data",))
    of = {"batch_size": 6, "num_epochs": 1, "observe": observe}
    task, key = TASKS["regression"], jax.random.key(0)
    plain = dl.run(dl.training(key, task, optax.sgd(0.1), **of))
    split = dl.run(dl.training(key, task, optax.sgd(0.1), mesh=mesh, **of))
    both = [dl.probes.eigenvalues(each.sharpness).isel(eigenvalue=0) for each in (plain, split)]
    np.testing.assert_allclose(*both, rtol=1e-5)


def test_half_precision_parameters():
    """Catches vectors of Lanczos that are as coarse as the parameters."""

    class Half(nnx.Module):
        def __init__(self, rngs):
            self.layer = nnx.Linear(3, 1, param_dtype=jnp.bfloat16, rngs=rngs)

        def __call__(self, x):
            return self.layer(x)

    seen = observed(dl.tasks.regression(dl.from_nnx(Half), small.noisy_line()))
    found = recorded(dl.probes.sharpness, seen).values
    assert found.dtype == jnp.float32
    inputs = np.c_[seen.task.data.train.inputs, np.ones(24)].astype(np.float64)
    expected = np.linalg.eigvalsh(2 * inputs.T @ inputs / 24)[-1]
    np.testing.assert_allclose(dl.probes.eigenvalues(found)[0], expected, rtol=0.02)


def test_what_cannot_be_had():
    """Catches rows that are not there."""
    seen = observed(TASKS["regression"])
    with pytest.raises(dl.ArgumentError, match="expects one of those of line, train, test"):
        recorded(dl.probes.sharpness, seen, "validation")
    with pytest.raises(dl.ArgumentError, match=r"expects at most 24, the rows of line.train"):
        recorded(dl.probes.sharpness, seen, num_rows=25)


def test_eigenvalues_of_recorded_coefficients():
    """Catches values in another order, and coordinates that are lost."""
    values = np.zeros((3, 2, 4))
    values[0] = [[2, 2, 2, 2], [1, 1, 1, 5]]
    values[1] = np.nan
    records = xr.DataArray(values, {"step": [0, 5, 9]}, ("step", "coefficient", "iteration"), name="sharpness")
    found = dl.probes.eigenvalues(records)
    expected = 2 + 2 * np.cos(np.pi * np.arange(1, 5) / 5)
    np.testing.assert_allclose(found.sel(step=0), expected)
    assert found.sel(step=5).isnull().all()
    np.testing.assert_array_equal(found.sel(step=9), [0, np.nan, np.nan, np.nan])
    with pytest.raises(dl.DataError, match=r"what dl.probes.sharpness records"):
        dl.probes.eigenvalues(np.zeros(3))


@pytest.mark.parametrize("name", ["classification", "reconstruction"])
def test_trace_against_brute_force(name):
    """Catches a standard error of another number of samples, and signs that are not independent."""
    seen = observed(TASKS[name])
    matrix = exact.hessian(seen, seen.task.data.train)
    expected = np.sqrt(2 * ((matrix**2).sum() - (np.diag(matrix) ** 2).sum()) / 400)
    keys = jax.random.split(jax.random.key(0), 40)
    traces = jax.jit(jax.vmap(lambda key: dl.probes.hessian_trace(seen, num_samples=400, key=key).values))(keys)
    means, errors = np.asarray(traces, np.float64).T
    np.testing.assert_allclose(errors.mean(), expected, rtol=0.05)
    z = (means - np.trace(matrix)) / errors
    assert abs(z.mean()) < 4 / np.sqrt(40)
    assert 0.6 < z.std() < 1.5


def scaled(params, state, x, *, key=None, train=False):
    """A model that scales each input by a weight."""
    return x * params["w"], state


def test_trace_is_exact_where_the_hessian_is_diagonal():
    """Catches a factor: signs leave nothing to chance there."""
    inputs = np.float32(np.sqrt(3) * np.eye(3))
    task = dl.tasks.regression(dl.models.mlp([3, 1]), dl.data.Dataset((inputs, np.zeros(3)), name="eye"))
    seen = observed(task)
    found = dl.probes.hessian_trace(seen).values
    hessian = exact.hessian(seen, task.data.train)  # 2 for each weight and the bias, which is coupled to them
    assert np.trace(hessian) == pytest.approx(8)
    assert abs(found[0] - 8) < 4 * found[1]
    model = dl.Model(lambda key: ({"w": jnp.ones((1, 3))}, {}), scaled)
    data = dl.data.Dataset((inputs, np.zeros((3, 3))), name="eye")
    diagonal = dl.tasks.supervised(model, data, lambda output, target: jnp.sum((output - target) ** 2, -1))
    np.testing.assert_allclose(dl.probes.hessian_trace(observed(diagonal)).values, [6, 0], atol=1e-5)


def test_trace_against_matfree():
    """Catches an estimator other than Hutchinson's: matfree's, of the same matrix, agrees within the errors."""
    stochtrace = pytest.importorskip("matfree.stochtrace")
    seen = observed(TASKS["classification"])
    matrix = jnp.asarray(exact.hessian(seen, seen.task.data.train), jnp.float32)
    sampler = stochtrace.sampler_signs(jnp.ones(len(matrix)), num=4000)
    estimate = stochtrace.estimator_monte_carlo_mean_and_sem(stochtrace.monte_carlo_trace(), sampler)
    theirs, their_error = estimate(lambda v: matrix @ v, jax.random.key(5))
    mean, error = recorded(dl.probes.hessian_trace, seen, num_samples=4000).values
    np.testing.assert_allclose(error, their_error, rtol=0.1)
    assert abs(mean - theirs) < 4 * np.sqrt(2) * error


def test_vectors_change_from_step_to_step():
    """Catches one set of vectors for all records, whose error a mean over steps does not lower."""
    seen = observed(TASKS["classification"])
    later = seen._replace(state=seen.state._replace(step=seen.state.step + 1))
    first, again, other = (dl.probes.hessian_trace(each).values[0] for each in (seen, seen, later))
    assert first == again
    assert first != other


def sequences(rows=6, steps=4):
    """Inputs [N, T, 2] and one number each."""
    inputs = np.float32(np.random.default_rng(3).normal(size=(rows, steps, 2)))
    return dl.data.Dataset((inputs, inputs.sum((1, 2))), name="sums")


@pytest.mark.parametrize("cell", ["simple", "lstm"])
def test_recurrent_networks_have_a_curvature(cell):
    """Catches a backward pass of our own that cannot be differentiated once more."""
    seen = observed(dl.tasks.regression(dl.models.recurrent(2, 3, 1, cell=cell), sequences()))
    expected = np.linalg.eigvalsh(exact.hessian(seen, seen.task.data.train))[-1]
    found = dl.probes.eigenvalues(recorded(dl.probes.sharpness, seen).values)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_streamed_rows_are_refused():
    """Catches a file that is read at each record."""
    data = small.noisy_line()
    streamed = dl.data.Dataset((dl.data.Streamed(data.train.inputs), data.train.targets), test=data.test, name="files")
    seen = observed(TASKS["regression"])
    seen = seen._replace(task=dl.tasks.regression(dl.models.mlp([3, 5, 1], activation="tanh"), streamed))
    for probe in (dl.probes.sharpness, dl.probes.activations, dl.probes.gradient_noise, dl.probes.tangent_kernel):
        with pytest.raises(dl.DataError, match="the train split of files is streamed"):
            probe(seen)
    assert recorded(dl.probes.sharpness, seen, "test").dims == ("coefficient", "iteration")
