"""Windows that follow a border."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.evidence import zoom_into_border


def disk(y, x):
    return y[:, None] ** 2 + x**2 < 1


def riddled(y, x):
    """A smooth border but for a small square, in which chance decides."""
    here = (np.abs(y[:, None] - 0.3) < 0.1) & (np.abs(x - 0.6) < 0.1)
    return np.where(here, np.random.default_rng(0).random(here.shape) < 0.5, (y[:, None] + 0 * x) > 0.9)


def test_a_smooth_border_stays_smooth():
    """Catches windows that leave the border, or lie elsewhere than they say."""
    found = zoom_into_border(disk, (-2, -2), 4.0, size=64, zooms=(1, 8, 64))
    assert found.sizes == {"zoom": 3, "y": 64, "x": 64, "axis": 2, "side": 4}
    for window, width in zip(range(3), (4.0, 0.5, 1 / 16), strict=True):
        low = found.low.values[window]
        y, x = (np.linspace(begin, begin + width, 64) for begin in low)
        assert (found.inside.values[window] == disk(y, x)).all()
    assert found.dimension.values == pytest.approx(1, abs=0.1)


def test_the_roughest_part_is_looked_at():
    """Catches a window anywhere on the border, rows taken for columns."""
    found = zoom_into_border(riddled, (0, 0), 1.0, size=65, zooms=(1, 8))
    low = found.low.sel(zoom=8).values
    assert low == pytest.approx([0.24, 0.54], abs=0.05)
    assert found.boxes.sel(zoom=8, side=1) > 3 * found.boxes.sel(zoom=1, side=1)


def test_refusals():
    with pytest.raises(dl.ArgumentError, match=r"zooms are \(8, 1\); expects each to be larger"):
        zoom_into_border(disk, (0, 0), 1.0, size=9, zooms=(8, 1))
    with pytest.raises(dl.ArgumentError, match=r"inside gives .* for 9 and 9 coordinates; expects Booleans \[9, 9\]"):
        zoom_into_border(lambda y, x: y > 0, (0, 0), 1.0, size=9, zooms=(1,))
    with pytest.raises(dl.ArgumentError, match=r"zoom_into_border: inside is .*it fails"):
        zoom_into_border(lambda y: y, (0, 0), 1.0, size=9, zooms=(1,))
