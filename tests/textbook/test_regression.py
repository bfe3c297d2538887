"""Regressions in closed form: what makes them the best is looked at directly."""

import numpy as np
import pytest

import dlcore as dl


def _data(seed=0):
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(40, 5)) @ random.normal(size=(5, 5))
    return inputs, inputs @ random.normal(size=(5, 4)) + random.normal(size=(40, 4))


def test_it_has_the_rank_and_full_rank_is_least_squares():
    inputs, targets = _data()
    for rank in (1, 2, 3, 4):
        assert np.linalg.matrix_rank(dl.textbook.reduced_rank_regression(inputs, targets, rank)) == rank
    expected = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    np.testing.assert_allclose(dl.textbook.reduced_rank_regression(inputs, targets, 9), expected, atol=1e-10)


def test_no_matrix_of_that_rank_fits_better():
    """Catches a projection of the wrong thing: on the singular vectors of the map, not of what it predicts."""
    inputs, targets = _data()
    random = np.random.default_rng(1)
    best = dl.textbook.reduced_rank_regression(inputs, targets, 2)
    left, sizes, right = np.linalg.svd(best)
    least = np.sum((targets - inputs @ best) ** 2)
    for scale in (1e-4, 1e-2, 1.0):
        for _ in range(20):
            near = (left[:, :2] * sizes[:2] + scale * random.normal(size=(5, 2))) @ (
                right[:2] + scale * random.normal(size=(2, 4))
            )
            assert np.sum((targets - inputs @ near) ** 2) >= least
    full = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    u, s, v = np.linalg.svd(full, full_matrices=False)
    assert np.sum((targets - inputs @ (u[:, :2] * s[:2]) @ v[:2]) ** 2) > least * 1.001


def test_rows_have_to_match():
    with pytest.raises(dl.ArgumentError, match="inputs have 3 rows, targets 2; expects one target"):
        dl.textbook.reduced_rank_regression(np.ones((3, 2)), np.ones((2, 2)), 1)
