"""How often a large array is copied on its way into a data set, by NumPy's own account."""

import contextlib
import dataclasses
import tracemalloc

import numpy as np
import pytest

import dlcore as dl

ROWS = 20_000
X, Y = np.random.default_rng(0).random((ROWS, 200), np.float32), np.arange(ROWS) % 10  # 16 MB


@contextlib.contextmanager
def at_most(copies: float):
    """Fails where the block takes more memory at a time than so many copies of X."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= (copies + 0.45) * X.nbytes  # pieces of 1 MB, a few of them in float64; targets


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_is_copied_once(dtype):
    """Catches a copy for the check, one for the split and one for the data set; masks as large as the data."""
    given = X.astype(dtype)
    with at_most(1):
        data = dl.data.from_arrays(given, Y, validation=0.2, test=0.2, stratify=True)
    assert sum(getattr(data, split).num_rows for split in data.splits) == ROWS
    with at_most(1):
        data = dl.data.Dataset((given, Y))
    with at_most(1):
        standardized = dl.data.standardize(data)
    assert abs(standardized.train.inputs.mean()) < 1e-3
    with at_most(0):
        dataclasses.replace(standardized, name="other")
    with at_most(0.5):
        dl.data.first(data, ROWS // 2, seed=0)


@pytest.mark.parametrize(
    "prepare", [lambda data: data, dl.data.standardize, lambda data: dl.data.first(data, 6, seed=1)]
)
@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_nobody_else_can_write_to_it(prepare, fraction):
    """Catches a data set that shares memory with the caller's array, even one that was read-only for a while."""
    x = np.arange(24.0, dtype=np.float32).reshape(12, 2)
    x.flags.writeable = False
    data = prepare(dl.data.from_arrays(x, np.arange(12) % 2, test=fraction))
    before = data.train.inputs.copy()
    x.flags.writeable = True
    x[:] = -1
    np.testing.assert_array_equal(data.train.inputs, before)
    with pytest.raises(ValueError, match="read-only"):
        data.train.inputs[0] = 0


def test_what_a_normalizer_gives_may_be_written_to():
    """Catches results of a function that are sealed, though no data set has them yet."""
    normalizer = dl.data.z_score()
    values = normalizer.apply(normalizer.fit(X[:9]), X[:9])
    values[0] = 7
    data = dl.data.Dataset((values, Y[:9]))
    values[0] = 8
    assert (data.train.inputs[0] == 7).all()
