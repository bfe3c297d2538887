"""Records out of results: the last and the best of each run."""

import numpy as np
import pytest

import dlcore as dl


def curve(length, scale=1.0):
    """A run of the losses 4, 1, 0, 1, 4, ... times `scale`."""
    return dl.Training(lambda: -3.0, lambda x: (x + 1, {"loss": scale * (x + 1) ** 2, "pair": (x, x)}), length)


def test_the_last_record_of_runs_of_different_length():
    """Catches a mean over seeds of the longest runs only."""
    runs = dl.sweep(curve, length=[2, 5], scale=np.array([1.0, 2.0]))
    last = dl.last_record(runs)
    np.testing.assert_array_equal(last.loss, [[1, 2], [4, 8]])
    np.testing.assert_array_equal(last.step, [[2, 2], [5, 5]])
    assert last.pair.dims == ("length", "scale", "pair_0")
    np.testing.assert_array_equal(dl.last_record(runs.isel(length=0)).loss, [1, 2])
    assert dl.last_record(dl.run(curve(3))).loss == 0


def test_the_best_record():
    """Catches the best over all runs in place of each, and a missing record that wins."""
    runs = dl.sweep(curve, length=[2, 5], scale=np.array([1.0, 2.0]))
    best = dl.best_record(runs, "loss")
    np.testing.assert_array_equal(best.loss, [[1, 2], [0, 0]])
    np.testing.assert_array_equal(best.step, [[2, 2], [3, 3]])
    np.testing.assert_array_equal(dl.best_record(runs, "loss", "max").step, [[1, 1], [1, 1]])


def test_finite_is_boolean_where_it_is_known():
    """Catches `~last.finite` that fails because another run is longer."""
    runs = dl.sweep(lambda length: curve(length), length=[2, 4])
    runs = runs.assign(finite=runs.loss.notnull().where(runs.loss.notnull()))
    assert runs.finite.dtype != bool
    for record in (dl.last_record(runs), dl.best_record(runs, "loss")):
        assert record.finite.dtype == bool
        assert record.finite.all()


def test_what_cannot_be_chosen():
    """Catches a record or a time that is not there."""
    runs = dl.run(curve(3))
    with pytest.raises(dl.ArgumentError, match="by is 'los', which is no record; did you mean 'loss'"):
        dl.best_record(runs, "los")
    with pytest.raises(dl.ArgumentError, match=r"Say dl.best_record\(results, 'loss', mode='max'\)"):
        dl.best_record(runs, ("loss", "max"))  # pyright: ignore
    with pytest.raises(dl.ArgumentError, match=r"results have the dimensions .*; expects one of time"):
        dl.last_record(dl.last_record(runs))
    with pytest.raises(dl.ArgumentError, match="the name 'x' does not say what is better"):
        dl.best_record(runs.rename(loss="x"), "x")
