"""The problems of the main job, against independent solvers."""

import jax
import numpy as np
import optax
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from benchmarks.convergence.descents import batch_sizes, num_steps, size_of
from benchmarks.convergence.problems import PROBLEMS

WITH_MINIMIZER = ("least_squares", "logistic_regression", "noisy_quadratic", "interpolation")


def test_optimum_of_least_squares_equals_scikit_learns():
    """Catches a solution without its bias, or a loss that is not the mean."""
    problem = PROBLEMS["least_squares"]()
    inputs, targets = (values.astype(float) for values in problem.task.data.train[:2])
    oracle = LinearRegression().fit(inputs, targets)
    layer = problem.minimizer["layers"][0]
    np.testing.assert_allclose(layer["kernel"][:, 0], oracle.coef_, atol=1e-5)
    np.testing.assert_allclose(layer["bias"], oracle.intercept_, atol=1e-5)
    assert problem.optimum == pytest.approx(np.mean((oracle.predict(inputs) - targets) ** 2))


def test_optimum_of_logistic_regression_equals_scikit_learns():
    """Catches a wrong penalty or an unconverged Newton."""
    problem = PROBLEMS["logistic_regression"]()
    inputs, targets = problem.task.data.train[:2]
    design = np.column_stack([inputs, np.ones(len(inputs))]).astype(float)  # the bias is penalized too
    oracle = LogisticRegression(C=1 / (1e-2 * len(inputs)), fit_intercept=False, tol=1e-10, max_iter=1000)
    oracle.fit(design, targets)
    ours = np.append(problem.minimizer["layers"][0]["kernel"][:, 0], problem.minimizer["layers"][0]["bias"])
    np.testing.assert_allclose(ours, oracle.coef_[0], atol=1e-5)


@pytest.mark.parametrize("name", WITH_MINIMIZER)
def test_gap_is_zero_at_the_minimizer_and_one_at_the_start(name):
    """Catches an optimum, a start or a form of the gap that is not the problem's."""
    problem = PROBLEMS[name]()
    train = problem.task.data.train
    start = problem.task.model.init(jax.random.key(0))
    gap = jax.jit(lambda params, state: problem.task.objective(params, state, train)[1][0]["gap"])
    assert float(gap(*start)) == pytest.approx(1, abs=1e-5)
    assert abs(float(gap(problem.minimizer, {}))) < 1e-6
    gradient = jax.grad(lambda params: problem.task.objective(params, {}, train)[0])(problem.minimizer)
    assert float(optax.tree.norm(gradient)) < 1e-4


@pytest.mark.parametrize("name", ["least_squares", "noisy_quadratic", "interpolation"])
def test_eigenvalues_are_those_of_the_hessian(name):
    """Catches a factor of 2, and a spectrum of other data."""
    problem = PROBLEMS[name]()
    assert problem.hessian_eigenvalues is not None
    flat, unravel = jax.flatten_util.ravel_pytree(problem.minimizer)
    train = problem.task.data.train
    hessian = jax.jit(jax.hessian(lambda params: problem.task.objective(unravel(params), {}, train)[0]))(flat)
    scale = problem.hessian_eigenvalues[-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian) / scale, problem.hessian_eigenvalues / scale, atol=1e-4)


@pytest.mark.parametrize("name", PROBLEMS)
def test_runs_are_recorded_at_the_same_examples(name):
    """Catches batch sizes whose arrivals are known to different precision, and first rates for a size that has none."""
    problem = PROBLEMS[name]()
    sizes = batch_sizes(problem, (1, 8, 64, 512, "full"))
    assert set(problem.epochs) == set(problem.learning_rates) == set(sizes)
    assert list(problem.targets) == sorted(problem.targets, reverse=True)
    for size in sizes:
        taken = num_steps(problem, size, problem.epochs[size]) * size_of(problem, size)
        assert taken == pytest.approx(problem.epochs[size] * problem.task.data.train.num_rows, rel=0.02)
