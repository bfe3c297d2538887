"""Runs of any length: a last record of fewer steps, smaller last batches, and sampling by weight."""

import jax
import numpy as np
import optax
import pytest
import small
from scipy import stats

import dlcore as dl
from dlcore.core.order import batch_rows, sampling_of, whole_epoch_rows


def fit(seed=0, **options):
    return dl.training(jax.random.key(seed), small.CLASSIFICATION, optax.sgd(0.3), **options)


def test_the_last_record_comes_at_the_end():
    """Catches steps left out at the end, and a remainder that draws other rows than the steps of a longer run."""
    every = dl.run(fit(batch_size=6, num_steps=10, record_every=1))
    results = dl.run(fit(batch_size=6, num_steps=10, record_every="epoch"))
    assert results.step.values.tolist() == [0, 4, 8, 10]
    assert results.epoch.values.tolist() == [0, 1, 2, 2.5]
    np.testing.assert_allclose(results.train_loss, every.train_loss.sel(step=results.step), rtol=1e-5)
    np.testing.assert_allclose(results.batch_loss[-1], every.batch_loss[-2:].mean(), rtol=1e-5)
    short = dl.run(fit(batch_size=6, num_steps=3))
    assert short.step.values.tolist() == [0, 3]


def test_records_before_the_end_are_those_of_a_run_without_remainder():
    """Catches another program for the same steps."""
    longer, shorter = (dl.run(fit(batch_size=6, num_steps=steps)) for steps in (10, 8))
    np.testing.assert_array_equal(longer.train_loss[:3], shorter.train_loss)


def test_lengths_can_be_an_axis():
    """Catches records after the end of the shorter runs, and a step that only one of them has."""
    runs = dl.sweep(lambda num_epochs: fit(batch_size=6, num_epochs=num_epochs), num_epochs=[1, 3])
    assert runs.step.values.tolist() == [0, 4, 8, 12]
    assert runs.train_loss.isnull().sum("step").values.tolist() == [2, 0]
    np.testing.assert_array_equal(runs.train_loss[0, :2], runs.train_loss[1, :2])
    runs = dl.sweep(lambda num_steps: fit(batch_size=6, num_steps=num_steps), num_steps=[5, 10])
    assert runs.step.values.tolist() == [0, 4, 5, 8, 10]
    assert runs.train_loss.isnull().values.tolist() == [[False] * 3 + [True] * 2, [False, False, True, False, False]]
    assert runs.epoch.values.tolist() == [0, 1, 1.25, 2, 2.5]


def test_a_smaller_last_batch_takes_the_rest():
    """Catches examples left out, or a last batch filled up with others: by plain gradient descent, step by step."""
    results = dl.run(fit(batch_size=10, num_epochs=2, last_batch="keep", sampling="in_order"), final_params=True)
    assert results.step.values.tolist() == [0, 3, 6]
    assert results.examples.values.tolist() == [0, 24, 48]
    task = small.CLASSIFICATION
    params, state = task.model.init(jax.random.fold_in(jax.random.key(0), 0))
    losses = []
    for _ in range(2):
        for rows in (slice(0, 10), slice(10, 20), slice(20, 24)):
            batch = jax.tree.map(lambda values, rows=rows: values[rows], task.data.train)
            loss, gradient = jax.value_and_grad(lambda p, b=batch: task.objective(p, state, b, train=True)[0])(params)
            losses.append(float(loss))
            params = jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient)
    by_example = np.average(np.reshape(losses, (2, 3)), axis=1, weights=[10, 10, 4])
    np.testing.assert_allclose(results.batch_loss[1:], by_example, rtol=1e-5)
    kernel = params["layers"][0]["kernel"]
    found, _ = dl.final_params(results, small.MODEL)
    np.testing.assert_allclose(found["layers"][0]["kernel"], kernel, rtol=1e-4, atol=1e-6)


def test_nothing_is_left_over_where_batches_fit():
    """Catches another program for batches that fill the epoch."""
    kept, dropped = (dl.run(fit(batch_size=6, num_epochs=2, last_batch=last)) for last in ("keep", "drop"))
    np.testing.assert_array_equal(kept.train_loss, dropped.train_loss)


@pytest.mark.parametrize("sampling", ["reshuffle", "shuffle_once", "in_order"])
def test_each_example_once_an_epoch(sampling):
    """Catches a smaller batch of rows that others had."""
    key = jax.random.key(3)
    for epoch in range(3):
        full, rest = whole_epoch_rows(key, jax.numpy.int32(4 * epoch), 11, 3, sampling)
        assert (full.shape, rest.shape) == ((3, 3), (2,))
        assert sorted(np.concatenate([full.ravel(), rest])) == list(range(11))


def test_rows_are_drawn_by_weight():
    """Catches a row without weight that is drawn, and shares that are off."""
    weights = np.array([0.0, 1.0, 0.0, 2.0, 5.0, 0.0])
    sampling = sampling_of(weights, None, 6)
    rows = np.asarray(batch_rows(jax.random.key(0), jax.numpy.int32(0), 500, 6, 16, sampling)).ravel()
    counts = np.bincount(rows, minlength=6)
    assert not counts[weights == 0].any()
    assert stats.chisquare(counts[weights > 0], len(rows) * weights[weights > 0] / 8).pvalue > 1e-4
    again = np.asarray(batch_rows(jax.random.key(0), jax.numpy.int32(7), 1, 6, 16, sampling)).ravel()
    np.testing.assert_array_equal(again, rows[7 * 16 : 8 * 16])


def test_classes_are_drawn_equally_often():
    """Catches a balance of rows in place of classes."""
    labels = np.repeat([0, 1, 2], [58, 4, 2])
    sampling = sampling_of("balanced", labels, 64)
    rows = batch_rows(jax.random.key(0), jax.numpy.int32(0), 300, 64, 10, sampling)
    assert stats.chisquare(np.bincount(labels[np.asarray(rows).ravel()])).pvalue > 1e-4


def test_weights_have_any_unit():
    """Catches a sum that overflows."""
    huge, ones = (sampling_of(np.full(24, each), None, 24) for each in (1e308, 1.0))
    np.testing.assert_array_equal(huge.thresholds, ones.thresholds)


@pytest.mark.parametrize(
    ("sampling", "text"),
    [
        (np.ones(3), r"sampling is float64\[3\]; expects one of .*weights \[24\]"),
        (-np.ones(24), "sampling holds weights from -1 to -1; expects finite ones, 0 or more"),
        (np.zeros(24), "sampling holds weights from 0 to 0"),
        (np.full(24, np.nan), "sampling holds weights from nan"),
    ],
)
def test_weights_that_are_none(sampling, text):
    """Catches rows drawn by NaN."""
    with pytest.raises(dl.ArgumentError, match=text):
        fit(batch_size=6, num_epochs=1, sampling=sampling)
    with pytest.raises(dl.ArgumentError, match='sampling is "balanced", the targets are'):
        dl.training(
            jax.random.key(0), small.REGRESSION, optax.sgd(0.1), batch_size=6, num_epochs=1, sampling="balanced"
        )


@pytest.mark.parametrize("sampling", ["balanced", np.ones(24)])
def test_a_full_batch_is_not_drawn(sampling):
    """Catches weights that are silently dropped, next to smaller batches that are drawn by them."""
    with pytest.raises(dl.ArgumentError, match=r'batch_size is "full", sampling is .*; expects an order'):
        fit(batch_size="full", num_epochs=1, sampling=sampling)
