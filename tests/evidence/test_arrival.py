"""When a run arrives: on curves whose answers are known."""

import numpy as np
import pytest
import xarray as xr

import dlcore as dl

NAN, INF = np.nan, np.inf
RUNS = [
    [5.0, 3.0, 1.0, 0.5, 0.2, 0.1],  # falls
    [5.0, 0.9, 3.0, 0.9, 0.8, 0.7],  # dips, then comes back
    [5.0, 0.5, 1.2, 0.5, 0.5, 0.5],  # dips so far that it is below on average
    [5.0, 4.0, 3.0, 2.0, 1.5, 1.2],  # never gets there
    [5.0, NAN, NAN, NAN, NAN, NAN],  # diverges
    [5.0, 0.5, INF, 0.5, 0.5, 0.5],  # diverges and comes back
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1],  # starts there
    [5.0, 4.0, 3.0, 2.0, 2.0, 1.0],  # at the last record
]


def history(runs=RUNS, distance=10):
    """Dims (seed, step), with records at equal distances in examples."""
    steps = np.arange(len(runs[0])) * 2
    coords = {"step": steps, "examples": ("step", distance * np.arange(len(steps)))}
    return xr.Dataset({"loss": (("seed", "step"), np.array(runs))}, coords)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (0, [20, 10, 10, NAN, NAN, 10, 0, 50]),
        (10, [20, 10, 10, NAN, NAN, 10, 0, 50]),  # one record
        (11, [20, 30, 10, NAN, NAN, 30, 0, NAN]),  # two
        (20, [20, 30, 10, NAN, NAN, 30, 0, NAN]),
        (30, [20, 30, 10, NAN, NAN, 30, 0, NAN]),
        (60, [NAN, NAN, NAN, NAN, NAN, NAN, 0, NAN]),
        (70, [NAN] * 8),
    ],
)
def test_arrival(window, expected):
    """Catches dips that count, a window that looks back, one that runs over the end, and the delay of an average."""
    found = dl.evidence.arrival(history(), "loss", 1.0, window=window)
    assert found.dims == ("seed",)
    np.testing.assert_array_equal(found, expected)


def test_a_falling_run_arrives_when_it_passes_whatever_the_records():
    """Catches a rule that favors one batch size: a curve recorded four times as often arrives at the same place."""
    examples = np.arange(0, 400)
    loss = np.exp(-examples / 50)
    for every in (4, 16, 64):
        found = dl.evidence.arrival(history([loss[::every]], every), "loss", 0.1, window=100)
        assert 0 <= float(found.squeeze()) - 50 * np.log(10) < every


def test_along_another_time():
    """Catches examples in place of what was asked for."""
    np.testing.assert_array_equal(dl.evidence.arrival(history(), "loss", 1.0, window=4, along="step")[:3], [4, 6, 2])


def test_it_needs_records_at_equal_distances():
    """Catches a window of a number of records that is another number of examples."""
    uneven = history().isel(step=[0, 1, 3, 4])
    with pytest.raises(dl.DataError, match="expects two or more at equal distances"):
        dl.evidence.arrival(uneven, "loss", 1.0, window=20)
    with pytest.raises(dl.DataError, match="expects two or more at equal distances"):
        dl.evidence.arrival(history().isel(step=[0]), "loss", 1.0)


def test_it_names_what_there_is():
    """Catches a bare KeyError."""
    with pytest.raises(dl.ArgumentError, match="no variable 'lost' in the history; it has"):
        dl.evidence.arrival(history(), "lost", 1.0)
    with pytest.raises(dl.ArgumentError, match="no coordinate 'epoch' in the history; it has"):
        dl.evidence.arrival(history(), "loss", 1.0, along="epoch")
    with pytest.raises(dl.ArgumentError, match=r"'seed' has the dims \('seed',\)|expects a time"):
        dl.evidence.arrival(history().assign_coords(other=("run", [1, 2])), "loss", 1.0, along="other")
