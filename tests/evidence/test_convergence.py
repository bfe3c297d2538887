"""Cost to a target and tuning, on curves whose answers are known."""

import numpy as np
import pytest
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
