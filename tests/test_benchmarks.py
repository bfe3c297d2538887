"""The main job's problems and numbers, against published ones and independent solvers."""

import json
import pathlib

import jax
import numpy as np
import optax
import pytest
import xarray as xr
from sklearn.linear_model import LogisticRegression

import dlcore as dl
from benchmarks.convergence import claims, measure
from benchmarks.convergence.problems import PROBLEMS
from dlcore.evidence.claims import Outcome

# Schneider et al., DeepOBS, ICLR 2019: baselines of quadratic_deep with SGD.
STABILITY_LIMIT = 0.03764


@pytest.fixture(scope="module")
def published():
    """DeepOBS' runs over 16 partitions into batches."""
    return measure.published(num_seeds=16)


def test_noisy_quadratic_is_the_published_problem(published):
    """Catches another Hessian, other data or another start."""
    problem = PROBLEMS["noisy_quadratic"]()
    assert problem.hessian_eigenvalues is not None
    assert problem.hessian_eigenvalues[-1] == pytest.approx(53.1290, abs=1e-4)
    assert 2 / problem.hessian_eigenvalues[-1] == pytest.approx(STABILITY_LIMIT, abs=1e-5)
    np.testing.assert_allclose(published.test_loss.isel(step=0), 353.446764, rtol=1e-6)


def test_the_interval_is_of_whole_steps():
    """Catches a quotient times its divisor cut to a step less: 24000 / 91 * 91 is below 24000."""
    rows = np.zeros((91, 1), np.float32)
    task = dl.tasks.regression(dl.models.linear(1), dl.data.Dataset((rows, rows[:, 0])))
    problem = PROBLEMS["least_squares"]()._replace(task=task, epochs={1: 24000 / 91}, name="unlisted")
    assert measure.interval(problem, 1) == 24000 // measure.DEFAULT_RECORDS


@pytest.mark.parametrize(
    ("rate", "epoch", "value", "recomputed", "deviation"),
    [(0.015849, 1, 105.445, None, None), (0.015849, 100, 87.5182, 87.41, 0.20), (0.001, 100, 95.8527, 95.880, 0.027)],
)
def test_noisy_quadratic_gives_the_published_losses(published, rate, epoch, value, recomputed, deviation):
    """Catches a wrong gradient, step, batch or epoch: the published values lie within the spread of partitions."""
    loss = published.test_loss.sel(learning_rate=rate, method="nearest").isel(step=epoch)
    assert abs(float(loss.mean()) - value) < 3 * float(loss.std())
    if recomputed is not None:
        assert abs(float(loss.mean()) - recomputed) < 3 * deviation / np.sqrt(len(loss)) + 0.01
        assert float(loss.std()) == pytest.approx(deviation, rel=0.5)


def test_divergence_above_the_stability_limit_and_not_below(published):
    """Catches a step scaled by a constant."""
    last = published.test_loss.isel(step=-1)
    assert not np.isfinite(last.sel(learning_rate=0.03981, method="nearest")).any()
    assert (last.sel(learning_rate=0.99 * STABILITY_LIMIT, method="nearest") < 353).all()
    late = published.test_loss.sel(learning_rate=0.03981, method="nearest").sel(step=slice(280, 336))
    growth = (late.isel(step=-1) / late.isel(step=0)) ** (1 / 56)
    assert float(growth.mean()) == pytest.approx(1.2414, abs=0.02)


def test_linear_rate_equals_theory():
    """Catches a Hessian, a learning rate or a loss off by a factor."""
    study = measure.linear_rate(PROBLEMS["least_squares"]())
    np.testing.assert_allclose(study.measured, study.theory, rtol=1e-4)
    assert float(study.measured[-1]) > 1


def test_optimum_of_logistic_regression_equals_scikit_learns():
    """Catches a wrong penalty or an unconverged Newton."""
    problem = PROBLEMS["logistic_regression"]()
    inputs, targets = problem.task.data.train
    design = np.column_stack([inputs, np.ones(len(inputs))]).astype(float)  # the bias is penalized too
    oracle = LogisticRegression(C=1 / (1e-2 * len(inputs)), fit_intercept=False, tol=1e-10, max_iter=1000)
    oracle.fit(design, targets)
    ours = np.append(problem.minimizer["layers"][0]["kernel"][:, 0], problem.minimizer["layers"][0]["bias"])
    np.testing.assert_allclose(ours, oracle.coef_[0], atol=1e-5)


@pytest.mark.parametrize("name", ["least_squares", "logistic_regression", "noisy_quadratic"])
def test_gap_is_zero_at_the_minimizer_and_one_at_the_start(name):
    """Catches an optimum or a start that is not the problem's."""
    problem = PROBLEMS[name]()
    train = problem.task.data.train
    start = problem.task.model.init(jax.random.key(0))
    gap = jax.jit(lambda params, state: problem.task.objective(params, state, train)[1][0]["gap"])
    assert float(gap(*start)) == pytest.approx(1, abs=1e-5)
    assert abs(float(gap(problem.minimizer, {}))) < 1e-6
    gradient = jax.grad(lambda params: problem.task.objective(params, {}, train)[0])(problem.minimizer)
    assert float(optax.tree.norm(gradient)) < 1e-4


def test_noise_floor_follows_theory():
    """Catches noise that does not scale: the floor is proportional to the rate with replacement, steeper without."""
    problem = PROBLEMS["least_squares"]()
    floor = measure.noise_floor(problem, measure.Scale(num_seeds=4, epochs=0.5, batch_sizes=(1,))).floor
    logs = np.log(floor.isel(decay=0, batch_size=0).mean("seed"))
    rates = np.log(floor.learning_rate)
    slopes = {str(s): np.polyfit(rates, logs.sel(sampling=s), 1)[0] for s in logs.sampling.values}
    assert slopes["with_replacement"] == pytest.approx(1, abs=0.15)
    assert slopes["reshuffle"] > 1.3


def test_claims_are_judged_by_their_numbers():
    """Catches a verdict that does not follow from the measurement: the same judge, contradicting numbers."""
    gap = np.array([[[0.1] * 4, [0.2, 0.21, 0.22, 0.2]]])

    def determinism(values):
        return xr.Dataset(
            {"gap": (("problem", "batch_size", "seed"), values), "repeats": ("problem", [True])},
            coords={"problem": ["p"], "batch_size": ["full", "1"]},
        )

    assert claims._determinism(determinism(gap)).outcome is Outcome.SUPPORTED
    assert claims._determinism(determinism(gap[:, ::-1])).outcome is Outcome.REFUTED


def test_experiments_measure_judge_and_plot(tmp_path):
    """Catches an experiment whose parts do not fit together; at a smaller size than its own."""
    from experiments.__main__ import load, names

    assert names() == ["learning_rate"]
    experiment = load("learning_rate")
    results = experiment.measure(num_seeds=2, num_epochs=6)
    verdicts = experiment.judge(results)
    assert [verdict.claim for verdict in verdicts] == list(experiment.claims)
    assert verdicts[1].outcome is Outcome.SUPPORTED, "32 times the best rate must fail"
    experiment.plot(results).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    with pytest.raises(dl.ArgumentError, match="Did you mean 'learning_rate'"):
        load("learnin_rate")


def test_numbers_of_the_benchmark_page_come_from_the_committed_json():
    """Catches a page that was not updated with the measurement."""
    folder = pathlib.Path(__file__).parents[1] / "benchmarks"
    page = (folder / "README.md").read_text()
    results = json.loads((folder / "results" / "cpu-2-cores.json").read_text())
    for part in ("network_study", "single_sample_descent", "compile_time", "memory", "shuffles"):
        for key, value in results[part].items():
            assert f"{value:.3g}" in page, (part, key, value)
    layers = json.loads((folder / "results" / "layers-cpu-2-cores.json").read_text())
    for part in ("convolution", "recurrent", "generation"):
        for key, value in layers[part].items():
            assert f"{value:.3g}" in page, (part, key, value)
