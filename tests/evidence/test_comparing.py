"""Comparing variants, each at its own learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dlcore as dl

CURVATURES = (1.0, 16.0)  # a step of rate 1 / curvature arrives
SEEDS = {"tuning_seeds": np.arange(2), "seeds": np.arange(2, 5)}
RATES = 2.0 ** np.arange(-3, 1)


def fit(variant, learning_rate, seed):
    """Least squares in one weight; the loss is the curvature / 2 times the squared distance."""
    inputs = jnp.ones((2, 1))
    task = dl.tasks.regression(dl.models.linear(1, initializer="lecun_normal"), dl.data.from_arrays(inputs, inputs))
    rate = learning_rate * jnp.array(CURVATURES)[variant] / 4
    return dl.training(jax.random.key(seed), task, optax.sgd(rate), batch_size="full", num_steps=4, record_every=4)


def last(history):
    return history.train_loss.isel(step=-1)


def test_each_variant_runs_at_its_own_rate(tmp_path):
    """Catches one rate for all, tuning seeds among the results, an edge that passes as a best rate."""
    runs = dl.evidence.at_own_rates(fit, np.arange(2), RATES, last, store=tmp_path / "runs", **SEEDS)
    assert runs.train_loss.dims == ("variant", "seed", "step")
    assert runs.seed.values.tolist() == [2, 3, 4]
    first, second = runs.learning_rate.values
    assert first == pytest.approx(16 * second, rel=0.5)
    assert runs.interior.all()
    assert (runs.train_loss.isel(step=-1) < 1e-3).all()
    edge = dl.evidence.at_own_rates(fit, np.arange(2), RATES[:3] / 64, last, max_rounds=0, **SEEDS)
    assert edge.interior.values.tolist() == [False, False]


def test_variants_may_be_labels():
    """Catches variants that only work as numbers."""
    runs = dl.evidence.at_own_rates(
        lambda variant, learning_rate, seed: fit(["a", "b"].index(variant), learning_rate, seed),
        ["a", "b"],
        RATES,
        last,
        max_rounds=0,
        **SEEDS,
    )
    assert runs.variant.values.tolist() == ["a", "b"]


def test_seeds_are_tuned_on_or_judged():
    """Catches a rate that was chosen on the runs that it is judged by."""
    with pytest.raises(dl.ArgumentError, match=r"seeds \[2\] are tuned on and returned"):
        dl.evidence.at_own_rates(fit, np.arange(2), RATES, last, tuning_seeds=np.array([1, 2]), seeds=np.array([2, 3]))


def test_a_score_is_one_number_of_each_run():
    """Catches a mean over seeds, of which there is no median, in words about somebody else's function."""
    with pytest.raises(
        dl.ArgumentError, match=r"at_own_rates: score gives .*'variant'.*expects one number of each run"
    ):
        dl.evidence.at_own_rates(fit, np.arange(2), RATES, lambda history: last(history).mean("seed"), **SEEDS)


def test_what_fails_in_fit_is_said_of_fit():
    """Catches an error about functions that the caller has not written."""

    def fails(variant, learning_rate, seed):
        raise KeyError("no such optimizer")

    with pytest.raises(dl.ArgumentError, match=r"at_own_rates: fit fails: KeyError: .*no such optimizer"):
        dl.evidence.at_own_rates(fails, np.arange(2), RATES, last, **SEEDS)
