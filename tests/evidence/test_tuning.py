"""A grid of learning rates that grows at its edges and is refined around its best value."""

import numpy as np
import pytest
import xarray as xr

import dlcore as dl


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
    return dl.evidence.tune(valley, grid, lambda found: found.loss, **settings)


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
        dl.evidence.tune(run_rates, GRID, score)


@pytest.mark.parametrize("best", [0.2, 0.23, 0.05, 1.1])
def test_tune_refines_next_to_the_best(best):
    """Catches a fine grid around another value, on one side only, with rates measured again or that grows."""
    valley = Valley(best)
    tuned = tune(valley, refine=4)
    assert float(tuned.best.squeeze()) == pytest.approx(best, rel=2 ** (1 / 8))
    assert tuned.interior.all()
    measured = np.concatenate(valley.measured)
    assert len(np.unique(measured)) == len(measured)
    np.testing.assert_allclose(np.diff(np.log2(np.sort(valley.measured[-1]))), [1 / 4, 1 / 4, 1 / 2, 1 / 4, 1 / 4])


def test_tune_refines_each_best_once():
    """Catches rates that two best values share and that are measured twice."""
    valley = Valley(0.2, 0.2, 0.4, 1e9)
    tuned = tune(valley, refine=2, max_rounds=1)
    measured = np.sort(np.concatenate(valley.measured))
    assert (np.diff(np.log2(measured)) > 0.4).all()
    np.testing.assert_allclose(tuned.best[:3], [0.2, 0.2, 0.4])
    assert tuned.interior.values.tolist() == [True, True, True, False]
