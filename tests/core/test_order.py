"""Which examples a step sees: uniform orders, each example once an epoch, the same rows however they are asked for."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dlcore.core import order
from dlcore.core.order import permutation

batch_rows = jax.jit(order.batch_rows, static_argnums=(2, 3, 4, 5))

LEAST_P = 1e-4
WITHOUT_REPLACEMENT = ("reshuffle", "shuffle_once", "in_order")


def orders(n, count, seed=0):
    """`count` random orders of n, from as many keys: [count, n]."""
    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(jax.jit(jax.vmap(functools.partial(permutation, n=n)))(keys))


def p_of_uniform(cells, num_cells):
    """Chi-square p-value of indices [count] being uniform over the cells."""
    return stats.chisquare(np.bincount(cells, minlength=num_cells)).pvalue


@given(n=st.integers(1, 300), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=10)
def test_permutation_is_a_bijection(n, seed):
    """Catches a pairing that is not its own inverse, and arithmetic that leaves the range."""
    order = np.asarray(permutation(jax.random.key(seed), n))
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_permutation_of_the_smallest_sizes(n):
    """Catches a modulus of zero, and orders that never occur: all do within 200 keys."""
    seen = {tuple(order) for order in orders(n, 200)}
    assert seen == set(itertools.permutations(range(n)))


def test_permutation_of_many():
    """Catches 16-bit arithmetic and a hash with short cycles."""
    order = np.asarray(permutation(jax.random.key(0), 100_000))
    np.testing.assert_array_equal(np.sort(order), np.arange(100_000))
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.02


@pytest.mark.parametrize("n", [2, 3, 4])
def test_all_orders_are_equally_likely(n):
    """Catches too few rounds, and a shift that never takes some value."""
    known = {order: i for i, order in enumerate(itertools.permutations(range(n)))}
    cells = [known[tuple(order)] for order in orders(n, 24_000, seed=n).tolist()]
    assert p_of_uniform(np.array(cells), len(known)) > LEAST_P


@pytest.mark.parametrize("pair", [(0, 1), (0, 36), (17, 18), (5, 30)])
def test_pairs_of_positions_are_uniform(pair):
    """Catches neighbors that travel together, and elements tied to their place."""
    chosen = orders(37, 40_000, seed=1)[:, pair]
    low = chosen[:, 1] - (chosen[:, 1] > chosen[:, 0])  # second value among the 36 that are left
    assert p_of_uniform(chosen[:, 0] * 36 + low, 37 * 36) > LEAST_P


def test_successive_epochs_are_independent():
    """Catches an epoch's order derived from the one before."""
    keys = jax.random.split(jax.random.key(2), 20_000)
    rows = jax.jit(jax.vmap(lambda key: batch_rows(key, 0, 2, 8, 8, "reshuffle")))(keys)
    first, second = np.asarray(rows[:, 0, 0]), np.asarray(rows[:, 1, 0])
    assert p_of_uniform(first * 8 + second, 64) > LEAST_P


sizes = st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@pytest.mark.parametrize(
    ("n", "batch_size", "interval", "sampling"),
    [
        (13, 4, 2, "reshuffle"),  # 3 steps an epoch
        (13, 4, 5, "reshuffle"),
        (7, 7, 3, "reshuffle"),
        (5, 1, 4, "shuffle_once"),
        (9, 2, 3, "in_order"),
        (6, 3, 3, "with_replacement"),
    ],
)
def test_rows_do_not_depend_on_the_interval(n, batch_size, interval, sampling):
    """Catches intervals that start or end inside an epoch and get the rows of another step."""
    key = jax.random.key(n)
    at_once = np.asarray(batch_rows(key, jnp.int32(0), interval * 6, n, batch_size, sampling))
    parts = [batch_rows(key, jnp.int32(interval * i), interval, n, batch_size, sampling) for i in range(6)]
    assert at_once.shape == (interval * 6, batch_size)
    np.testing.assert_array_equal(np.concatenate(parts), at_once)


@pytest.fixture(scope="module")
def long_run():
    """Rows of 52 epochs of five batches of 3 out of 16: [260, 3]."""
    keys = jax.vmap(lambda epoch: jax.random.fold_in(jax.random.key(5), epoch))(jnp.arange(52))
    each = jax.jit(jax.vmap(functools.partial(permutation, n=16)))(keys)
    return np.asarray(each)[:, :15].reshape(-1, 3)


@pytest.mark.parametrize("interval", [4, 7])
def test_long_runs_keep_their_rows(long_run, interval):
    """Catches a count of epochs too small by one for some alignment of interval and epoch; 5 steps an epoch."""
    starts = jnp.arange(0, len(long_run) - interval + 1, interval)
    rows = jax.vmap(lambda step: batch_rows(jax.random.key(5), step, interval, 16, 3, "reshuffle"))(starts)
    np.testing.assert_array_equal(np.concatenate(rows), long_run[: len(starts) * interval])


@given(size=sizes, seed=st.integers(0, 1000), sampling=st.sampled_from(WITHOUT_REPLACEMENT))
@settings(max_examples=8)
def test_each_example_at_most_once_an_epoch(size, seed, sampling):
    """Catches batches that overlap, and an epoch that is longer than the data."""
    n, batch_size = size
    steps = n // batch_size
    rows = np.asarray(batch_rows(jax.random.key(seed), jnp.int32(0), 3 * steps, n, batch_size, sampling))
    for epoch in rows.reshape(3, -1):
        assert len(np.unique(epoch)) == steps * batch_size
        assert epoch.min() >= 0
        assert epoch.max() < n


def epochs(sampling, n=20, count=4):
    """Rows of some epochs of batches of 5: [count, n]."""
    return np.asarray(batch_rows(jax.random.key(3), jnp.int32(0), count * n // 5, n, 5, sampling)).reshape(count, n)


def test_reshuffle_draws_a_new_order_each_epoch():
    """Catches one order for all epochs."""
    assert len({tuple(epoch) for epoch in epochs("reshuffle")}) == 4


def test_shuffle_once_keeps_its_order():
    """Catches a new order each epoch, and no shuffling at all."""
    (order,) = {tuple(epoch) for epoch in epochs("shuffle_once")}
    assert order != tuple(range(20))


def test_in_order_is_as_stored():
    """Catches any shuffling."""
    np.testing.assert_array_equal(epochs("in_order"), np.tile(np.arange(20), (4, 1)))


def test_the_remainder_changes_with_the_epoch():
    """Catches examples that are never seen because the batch size does not divide their number."""
    rows = np.asarray(batch_rows(jax.random.key(0), jnp.int32(0), 40, 7, 4, "reshuffle"))
    assert set(rows.reshape(-1)) == set(range(7))


def test_with_replacement_is_uniform_and_repeats():
    """Catches an end point left out or included, steps that draw alike, and sampling without replacement."""
    rows = np.asarray(batch_rows(jax.random.key(0), jnp.int32(0), 2000, 7, 5, "with_replacement"))
    assert rows.min() >= 0
    assert rows.max() < 7
    assert p_of_uniform(rows.reshape(-1), 7) > LEAST_P
    assert any(len(set(batch)) < 5 for batch in rows.tolist())
    assert len({tuple(batch) for batch in rows.tolist()}) > 1000


@pytest.mark.parametrize("sampling", ["reshuffle", "shuffle_once", "with_replacement"])
def test_rows_depend_on_the_key(sampling):
    """Catches a hidden seed."""
    a, b = (np.asarray(batch_rows(jax.random.key(seed), jnp.int32(0), 4, 20, 5, sampling)) for seed in (0, 1))
    assert (a != b).any()
