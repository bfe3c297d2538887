"""Cost to a target, tuning and batch-size scaling, on curves whose answers are known."""

import jax
import numpy as np
import optax
import pytest
import small
import xarray as xr

import dlcore as dl
from dlcore.evidence import convergence

STEPS = np.array([0, 10, 20, 30, 40])


def history(*losses):
    """A history of some runs, dims (seed, step)."""
    values = np.array(losses)
    steps = STEPS[: values.shape[1]]
    return xr.Dataset(
        {"loss": (("seed", "step"), values)},
        {"seed": np.arange(len(values)), "step": steps, "epoch": ("step", steps / 5)},
    )


RUNS = history(
    [5.0, 3.0, 1.0, 0.5, 0.2],  # falls
    [5.0, 0.9, 3.0, 0.9, 0.8],  # dips, then comes back
    [5.0, 4.0, 3.0, 2.0, 1.5],  # never gets there
    [5.0, np.nan, np.nan, np.nan, np.nan],  # diverges
    [0.1, 0.1, 0.1, 0.1, 0.1],  # starts there
    [5.0, 4.0, 3.0, 2.0, 1.0],  # at the last record
)


def test_steps_to_target():
    """Catches positions for steps, the last crossing, < for <=, and runs that never got there counted at the limit."""
    steps = convergence.steps_to_target(RUNS, "loss", 1.0)
    assert steps.dims == ("seed",)
    assert steps.dtype.kind == "f"
    np.testing.assert_array_equal(steps, [20, 10, np.nan, np.nan, 0, 40])


@pytest.mark.parametrize(
    ("consecutive", "expected"),
    [
        (1, [20, 10, np.nan, np.nan, 0, 40]),
        (2, [20, 30, np.nan, np.nan, 0, np.nan]),
        (3, [20, np.nan, np.nan, np.nan, 0, np.nan]),
        (5, [np.nan, np.nan, np.nan, np.nan, 0, np.nan]),
        (2**31 - 1, [np.nan] * 6),
    ],
)
def test_consecutive_records(consecutive, expected):
    """Catches dips that count, the end of a stretch for its start, one that runs over the end, and a loop over them."""
    steps = convergence.steps_to_target(RUNS, "loss", 1.0, consecutive=consecutive)
    np.testing.assert_array_equal(steps, expected)


def test_along_another_time():
    """Catches a coordinate fixed to step."""
    epochs = convergence.steps_to_target(RUNS.swap_dims(step="epoch"), "loss", 1.0, along="epoch")
    np.testing.assert_allclose(epochs, [4, 2, np.nan, np.nan, 0, 8])


def test_steps_to_target_names_what_there_is():
    """Catches a bare KeyError."""
    with pytest.raises(dl.ArgumentError, match="no variable 'lost' in the history; it has loss"):
        convergence.steps_to_target(RUNS, "lost", 1.0)
    with pytest.raises(dl.ArgumentError, match="no dimension 'epoch' in the history; it has seed, step"):
        convergence.steps_to_target(RUNS, "loss", 1.0, along="epoch")


class Valley:
    """Losses of a study whose best learning rate is known for each seed; remembers what was measured."""

    def __init__(self, *best, dead=()):
        self.best, self.dead, self.measured = np.array(best), dead, []

    def __call__(self, rates):
        self.measured.append(np.asarray(rates))
        losses = np.log(np.asarray(rates) / self.best[:, None]) ** 2
        losses[list(self.dead)] = np.nan
        return xr.Dataset({"loss": (("seed", "learning_rate"), losses)}, {"learning_rate": rates})


GRID = np.array([0.1, 0.2, 0.4])


def tune(valley, grid=GRID, **settings):
    """Tune on the loss of a valley."""
    return convergence.tune(valley, grid, lambda found: found.loss, **settings)


@pytest.mark.parametrize(("best", "rounds"), [(0.2, 1), (0.1, 2), (0.8, 2), (0.05, 2), (1.6, 3), (0.025, 3), (6.4, 4)])
def test_tune_grows_toward_the_best(best, rounds):
    """Catches a grid that grows without need, at the wrong edge, with gaps, only once, and rates measured again."""
    valley = Valley(best)
    tuned = tune(valley)
    assert float(tuned.best.squeeze()) == pytest.approx(best)
    assert tuned.interior.all()
    assert len(valley.measured) == rounds
    measured = np.concatenate(valley.measured)
    assert len(np.unique(measured)) == len(measured)
    grid = tuned.history.learning_rate.values
    np.testing.assert_allclose(grid[1:] / grid[:-1], 2)
    np.testing.assert_allclose(np.sort(measured), grid)


def test_tune_grows_at_both_edges_at_once():
    """Catches a single best value for all, and scores aligned with an unsorted grid."""
    valley = Valley(0.05, 0.2, 1.6)
    tuned = tune(valley)
    np.testing.assert_allclose(tuned.best, [0.05, 0.2, 1.6])
    assert tuned.best.dims == ("seed",)
    assert tuned.interior.all()
    assert list(map(len, valley.measured))[:2] == [3, 4]


def test_tune_gives_up_with_the_best_at_the_edge():
    """Catches a best value at the edge passed off as a result."""
    tuned = tune(Valley(1e9), max_rounds=2)
    assert tuned.history.sizes["learning_rate"] == 7
    assert not tuned.interior.any()
    assert float(tuned.best.squeeze()) == pytest.approx(6.4)


def test_tune_where_nothing_converges():
    """Catches an infinite score taken for the best, and a grid that grows in search of one."""
    valley = Valley(0.2, 0.2, dead=(1,))
    tuned = tune(valley)
    assert len(valley.measured) == 1
    assert float(tuned.best[0]) == pytest.approx(0.2)
    assert np.isnan(tuned.best[1])
    everything = tune(Valley(0.2, dead=(0,)))
    assert np.isnan(everything.best).all()


@pytest.mark.parametrize(
    "grid", [[0.1, 0.2], [0.1], [], [0.1, 0.2, 0.5], [0.4, 0.2, 0.1], [0.0, 0.1, 0.2], [0.1, 0.1, 0.1], 0.1]
)
def test_tune_needs_a_logarithmic_grid(grid):
    """Catches growth by a ratio the grid does not have."""
    with pytest.raises(dl.ArgumentError, match="expects 3 or more, increasing with a constant ratio"):
        tune(Valley(0.2), grid)


@pytest.mark.parametrize(
    ("run_rates", "score", "message"),
    [
        (lambda rates: rates, lambda found: found.loss, "run_rates gives .* for 3 rates; expects a Dataset"),
        (lambda: None, lambda found: found.loss, "run_rates is .* it fails: .*takes 0 positional arguments"),
        (Valley(0.2), lambda found: found.loss.min("learning_rate"), "score gives .*; expects a DataArray of numbers"),
        (Valley(0.2), lambda found: found.lost, "score is .* it fails: .*lost"),
    ],
)
def test_tune_needs_functions_that_fit(run_rates, score, message):
    """Catches an error from the depths of xarray."""
    with pytest.raises(dl.ArgumentError, match=message):
        convergence.tune(run_rates, GRID, score)


@pytest.mark.parametrize(("fewest", "critical"), [(100.0, 32.0), (3.0, 1000.0), (5000.0, 0.5)])
def test_fit_scaling_recovers_its_parameters(fewest, critical):
    """Catches parameters that are swapped or fitted on a linear scale; sizes that never got there are left out."""
    sizes = np.array([1, 8, 64, 512, 4096])
    steps = fewest * (1 + critical / sizes)
    fitted = convergence.fit_scaling(sizes, steps)
    assert fitted.fewest_steps == pytest.approx(fewest, rel=1e-3)
    assert fitted.critical_batch_size == pytest.approx(critical, rel=1e-3)
    np.testing.assert_allclose(fitted(sizes), steps, rtol=1e-3)
    steps[2] = np.nan
    assert convergence.fit_scaling(sizes, steps).fewest_steps == pytest.approx(fewest, rel=1e-3)


def test_fit_scaling_weighs_relative_errors():
    """Catches least squares of the steps themselves: the smallest batch would decide alone."""
    sizes = np.array([1, 8, 64, 512, 4096])
    noise = np.exp(0.05 * np.random.default_rng(0).normal(size=5))
    fitted = convergence.fit_scaling(sizes, 50 * (1 + 200 / sizes) * noise)
    assert fitted.fewest_steps == pytest.approx(50, rel=0.15)


@pytest.mark.parametrize("steps", [[10.0, np.nan], [np.nan, np.nan], [np.inf, 3.0]])
def test_fit_scaling_needs_two_sizes(steps):
    """Catches a fit through one point."""
    with pytest.raises(dl.DataError, match="reached the target; a fit of two parameters needs two or more"):
        convergence.fit_scaling(np.array([1, 8]), np.array(steps))


@pytest.mark.parametrize(
    ("sizes", "steps", "message"),
    [
        ([1, 8], [10.0, 0.0], "steps are .* expects numbers from 1e-6"),
        ([0, 8], [10.0, 5.0], "batch_sizes are .* expects numbers from 1e-6"),
        ([8, 8], [10.0, 11.0], "1 batch sizes reached the target"),
        ([8, 8, 9], [10.0, 11.0], "expects as many of both"),
    ],
)
def test_fit_scaling_of_bad_values(sizes, steps, message):
    """Catches an infinite logarithm, and two parameters from one size."""
    with pytest.raises(dl.DataError, match=message):
        convergence.fit_scaling(sizes, steps)


def test_seconds_per_step():
    """Catches times of a whole record, or zero and negative ones."""
    described = [
        dl.training(
            jax.random.key(0),
            small.REGRESSION,
            optax.sgd(0.1),
            batch_size=6,
            num_steps=steps,
            record_every=steps,
            evaluate=(),
        )
        for steps in (4, 400)
    ]
    seconds = convergence.seconds_per_step(described, repeats=2, seconds=0.001)
    assert seconds.shape == (2,)
    assert (seconds > 0).all()
    assert np.isfinite(seconds).all()
