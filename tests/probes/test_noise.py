"""The gradient noise scale against the gradients of all examples in float64."""

import exact
import jax
import numpy as np
import optax
import pytest
import small
import xarray as xr
from observations import observed, recorded

import dlcore as dl
from dlcore.probes import noise

TASK = dl.tasks.classification(
    dl.models.mlp([4, 6, 3], activation="tanh"), small.labeled_points(), penalty=dl.tasks.l2(0.1)
)
NORMALIZED = dl.tasks.classification(dl.from_nnx(small.NormalizedNNX), small.labeled_points())


def parts(gradients):
    """Signal and noise of gradients [N, n]."""
    return (gradients.mean(0) ** 2).sum(), gradients.var(0, ddof=1).sum()


@pytest.mark.parametrize("task", [TASK, NORMALIZED], ids=["penalty", "normalized"])
def test_exact_against_brute_force(task, monkeypatch):
    """Catches a penalty that counts as noise, a division by N, and examples that a piece leaves out."""
    seen = observed(task)
    expected = parts(exact.gradients(seen, task.data.train))
    np.testing.assert_allclose(recorded(dl.probes.gradient_noise, seen).values, expected, rtol=1e-5)
    monkeypatch.setattr(noise, "BYTES_OF_GRADIENTS", 7 * 4 * 57)
    np.testing.assert_allclose(recorded(dl.probes.gradient_noise, seen).values, expected, rtol=1e-5)
    expected = parts(exact.gradients(seen, task.data.train.select(slice(None, None, 3))))
    np.testing.assert_allclose(recorded(dl.probes.gradient_noise, seen, num_rows=8).values, expected, rtol=1e-5)


def fitted():
    """A linear model near its optimum: hardly any signal is left in the gradient, the noise stays."""
    training = dl.training(
        jax.random.key(0), small.REGRESSION, optax.sgd(0.1), batch_size="full", num_steps=60, record_every=60
    )
    state, _ = jax.jit(training.advance)(training.init())
    return observed(small.REGRESSION)._replace(state=state)


def test_two_batches_estimate_the_same():
    """Catches a biased estimate: over many draws both parts meet those of the split, a finite population."""
    seen = fitted()
    signal, variance = parts(exact.gradients(seen, small.REGRESSION.data.train))
    keys = jax.random.split(jax.random.key(1), 4000)
    found = jax.jit(jax.vmap(lambda key: dl.probes.two_batch_noise(seen, 3, 12, key=key).values))(keys)
    found = np.asarray(found, np.float64)
    errors = found.std(0) / np.sqrt(len(keys))
    assert (np.abs(found.mean(0) - [signal, variance]) < 4 * errors).all()
    assert errors[1] < 0.05 * variance


def test_without_the_correction_it_goes_wrong():
    """Catches a correction that is not needed: as if drawn with replacement, the noise scale is no number at all."""
    seen = fitted()
    rows = small.REGRESSION.data.train.num_rows
    signal, variance = parts(exact.gradients(seen, small.REGRESSION.data.train))
    keys = jax.random.split(jax.random.key(2), 4000)
    found = jax.jit(jax.vmap(lambda key: dl.probes.two_batch_noise(seen, 2, rows, key=key).values))(keys)
    records = xr.DataArray(np.asarray(found), {"part": ["signal", "noise"]}, ("step", "part"))
    corrected = dl.probes.noise_scale(records, over="step").item()
    np.testing.assert_allclose(corrected, variance / signal, rtol=0.1)
    uncorrected = records.sel(part="signal") - records.sel(part="noise") / rows  # McCandlish et al., eq. A.1
    assert uncorrected.mean() < 0
    assert np.isnan(dl.probes.noise_scale(records.copy(data=np.stack([uncorrected, found[:, 1]], -1)), "step"))


def test_ratio_of_means():
    """Catches the mean of ratios, and a noise scale where nothing is known."""
    values = np.array([[[1.0, 8.0], [3.0, 8.0]], [[-1.0, 2.0], [np.nan, 2.0]]])
    records = xr.DataArray(values, {"part": ["signal", "noise"]}, ("seed", "step", "part"))
    np.testing.assert_array_equal(dl.probes.noise_scale(records, over="step"), [4, np.nan])
    np.testing.assert_array_equal(dl.probes.noise_scale(records), [[8, 8 / 3], [np.nan, np.nan]])
    assert np.isnan(dl.probes.noise_scale(records, over=("seed", "step")))
    with pytest.raises(dl.ArgumentError, match="over names 'part'"):
        dl.probes.noise_scale(records, over="part")


def test_records_of_lanes():
    """Catches a probe that does not work side by side, and one that raises where a run has diverged."""
    observe = {
        "all": dl.probes.gradient_noise,
        "two": lambda seen: dl.probes.two_batch_noise(seen, 4, 12),
    }

    def fit(seed, rate):
        key = jax.random.key(seed)
        return dl.training(key, small.REGRESSION, optax.sgd(rate), batch_size=6, num_epochs=3, observe=observe)

    runs = dl.sweep(fit, seed=np.arange(2), rate=np.array([0.01, 1e30]))
    assert np.isfinite(runs["all"].sel(rate=0.01)).all()
    for name in ("all", "two"):
        assert runs[name].dims == ("seed", "rate", "step", "part")
        assert runs[name].sel(rate=1e30).isel(step=-1).isnull().all()
    assert dl.probes.noise_scale(runs["two"], over=("step", "seed")).dims == ("rate",)


def test_what_cannot_be_had():
    """Catches weights that are not used, and batches that do not go together."""
    data = small.noisy_line()
    weighted = dl.data.Dataset((data.train.inputs, data.train.targets, np.ones(24)), name="weighted")
    seen = observed(dl.tasks.regression(dl.models.linear(3), weighted))
    with pytest.raises(dl.DataError, match="has weights, which are not used here"):
        recorded(dl.probes.gradient_noise, seen)
    seen = observed(small.REGRESSION)
    for sizes in ((5, 12), (4, 4), (12, 36)):
        with pytest.raises(dl.ArgumentError, match="expects a big batch of several small ones"):
            dl.probes.two_batch_noise(seen, *sizes)
    with pytest.raises(dl.ArgumentError, match="there is one row"):
        recorded(dl.probes.gradient_noise, seen, num_rows=1)
