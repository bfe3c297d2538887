"""Batch-size scaling, on curves whose parameters are known."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.evidence import critical_batch_size, fit_scaling

SIZES = np.array([1, 8, 64, 512, 4096])


def noisy(curve, num_seeds=8, scatter=0.05, seed=0):
    """Steps that scatter around a curve [k]; [num_seeds, k]."""
    return curve * np.exp(scatter * np.random.default_rng(seed).normal(size=(num_seeds, len(curve))))


@pytest.mark.parametrize(("fewest", "critical"), [(100.0, 32.0), (3.0, 1000.0), (5000.0, 0.5)])
def test_fit_scaling_recovers_its_parameters(fewest, critical):
    """Catches parameters that are swapped or fitted on a linear scale; sizes that never got there are left out."""
    steps = fewest * (1 + critical / SIZES)
    fitted = fit_scaling(SIZES, steps)
    assert fitted.fewest_steps == pytest.approx(fewest, rel=1e-3)
    assert fitted.critical_batch_size == pytest.approx(critical, rel=1e-3)
    np.testing.assert_allclose(fitted(SIZES), steps, rtol=1e-3)
    steps[2] = np.nan
    assert fit_scaling(SIZES, steps).fewest_steps == pytest.approx(fewest, rel=1e-3)


def test_fit_scaling_weighs_relative_errors():
    """Catches least squares of the steps themselves: the smallest batch would decide alone."""
    noise = np.exp(0.05 * np.random.default_rng(0).normal(size=5))
    fitted = fit_scaling(SIZES, 50 * (1 + 200 / SIZES) * noise)
    assert fitted.fewest_steps == pytest.approx(50, rel=0.15)


@pytest.mark.parametrize("steps", [[10.0, np.nan], [np.nan, np.nan], [np.inf, 3.0]])
def test_fit_scaling_needs_two_sizes(steps):
    """Catches a fit through one point."""
    with pytest.raises(dl.DataError, match="reached the target; a fit of two parameters needs two or more"):
        fit_scaling(np.array([1, 8]), np.array(steps))


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
        fit_scaling(sizes, steps)


@pytest.mark.parametrize(("fewest", "critical"), [(100.0, 32.0), (3.0, 1000.0), (20.0, 40000.0)])
def test_fit_scaling_of_a_finite_train_set(fewest, critical):
    """Catches noise of the full batch, and n for n - 1: the full batch takes the fewest steps, whatever the others."""
    noise = (4096 - SIZES) / (SIZES * 4095)
    steps = fewest * (1 + critical * noise)
    fitted = fit_scaling(SIZES, steps, num_examples=4096)
    assert fitted.fewest_steps == pytest.approx(fewest, rel=1e-3)
    assert fitted.critical_batch_size == pytest.approx(critical, rel=1e-3)
    np.testing.assert_allclose(fitted(SIZES), steps, rtol=1e-3)
    assert fitted(np.array([4096])) == pytest.approx(fewest, rel=1e-3)


def test_a_large_train_set_is_as_good_as_an_infinite_one():
    """Catches a correction that does not vanish."""
    steps = 100 * (1 + 32 / SIZES)
    finite = fit_scaling(SIZES, steps, num_examples=10**9)
    assert finite.critical_batch_size == pytest.approx(fit_scaling(SIZES, steps).critical_batch_size, rel=1e-3)


def test_critical_batch_size_holds_the_truth():
    """Catches one fit of pooled seeds, an arithmetic mean, and an interval that is too narrow."""
    curve = 100 * (1 + 32 / SIZES)
    found = [critical_batch_size(SIZES, noisy(curve, seed=seed)) for seed in range(80)]
    assert {each.count for each in found} == {8}
    assert np.mean([each.low < 32 < each.high for each in found]) == pytest.approx(0.95, abs=0.05)
    wider = critical_batch_size(SIZES, noisy(curve), level=0.99)
    assert wider.low < found[0].low < found[0].high < wider.high


@pytest.mark.parametrize(("critical", "sizes"), [(32.0, SIZES[:2]), (32.0, SIZES[3:]), (1e5, SIZES), (0.1, SIZES)])
def test_critical_batch_size_beyond_the_measured_ones(critical, sizes):
    """Catches an extrapolation passed off as a measurement."""
    found = critical_batch_size(sizes, noisy(100 * (1 + critical / sizes), scatter=0.001))
    assert found.bound == "none"
    assert "seeds have no batch sizes on both sides of the critical one" in found.reason


def test_critical_batch_size_of_a_finite_train_set():
    """Catches sides told by the batch size alone: the full batch has no noise, so it is beyond any critical size."""
    steps = noisy(100 * (1 + 1e5 * (4096 - SIZES) / (SIZES * 4095)), scatter=0.01)
    found = critical_batch_size(SIZES, steps, num_examples=4096)
    assert found.low < 1e5 < found.high
    assert critical_batch_size(SIZES[:-1], steps[:, :-1], num_examples=4096).bound == "none"


def test_critical_batch_size_of_seeds_that_did_not_arrive():
    """Catches a size that never arrived taken for one side, and seeds that are dropped."""
    steps = noisy(100 * (1 + 32 / SIZES))
    steps[0, 2:] = np.nan
    assert critical_batch_size(SIZES, steps).reason.startswith("1 of 8 seeds have no batch sizes on both sides")
    steps[0, 1:] = np.inf
    assert critical_batch_size(SIZES, steps).reason == "1 of 8 seeds reached the target with fewer than two batch sizes"
    steps[0, 0] = 0.0
    assert critical_batch_size(SIZES, steps).reason == "steps that are not from 1e-6 to 1e15"
    assert critical_batch_size(SIZES, steps[:0]).reason == "no seeds"
    one = critical_batch_size(SIZES, steps[1:2])
    assert one.bound == "none"


def test_critical_batch_size_of_copies():
    """Catches an interval without a width."""
    assert critical_batch_size(SIZES, np.repeat([100 * (1 + 32 / SIZES)], 8, axis=0)).bound == "none"


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        ([1, 8, 64], {}, "expects as many sizes as columns of steps"),
        ([0, 8], {}, "critical_batch_size: batch_sizes are .* expects numbers from 1e-6"),
        ([1, 8], {"num_examples": 4}, "of num_examples 4; expects no more than those"),
    ],
)
def test_critical_batch_size_of_bad_values(sizes, settings, message):
    """Catches an infinite or a negative noise."""
    with pytest.raises(dl.DataError, match=message):
        critical_batch_size(sizes, np.ones((2, 2)), **settings)
