"""Colors of what became of runs, and figures of borders."""

import re

import numpy as np
import pytest
import xarray as xr

import dlcore as dl
from dlcore.plots import fates, zooms


def luminance(colors):
    """Relative luminance of sRGB colors [n, 3], as WCAG 2 defines it."""
    shares = np.asarray(colors) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_kinds_are_told_apart_without_color():
    """Catches palettes in which something that trained is as bright as something that diverged."""
    gray = luminance(fates.PALETTE)
    trained, diverged = gray[: fates.SHADES], gray[fates.SHADES :]
    assert diverged.min() - trained.max() > 0.1
    middle = fates.SHADES // 2
    assert (diverged[middle] + 0.05) / (trained[middle] + 0.05) > 3  # WCAG's contrast of graphics
    assert (np.diff(trained) < 0).all()
    assert (np.diff(diverged) < 0).all()
    assert len(np.unique(fates.PALETTE, axis=0)) == 2 * fates.SHADES


def runs(height=20, width=30):
    random = np.random.default_rng(0)
    steps = random.exponential(100, (height, width))
    trained = np.broadcast_to(np.arange(width) < width // 2, (height, width)).copy()
    rates = {"first_rate": np.geomspace(0.1, 10, height), "second_rate": np.geomspace(1, 100, width)}
    dims = ("first_rate", "second_rate")
    return xr.Dataset({"trained": (dims, trained), "steps": (dims, steps)}, rates)


def test_shades_are_ranks_within_each_kind():
    """Catches shades of one kind that depend on the other, and a few large numbers that use up all shades."""
    data = runs()
    found = fates.shades(data.trained, data.steps)
    for kind, first in ((data.trained.values, 0), (~data.trained.values, fates.SHADES)):
        mine = found[kind]
        assert mine.min() == first
        assert mine.max() == first + fates.SHADES - 1
        values = data.steps.values[kind]
        ranks = (values[:, None] > values).sum(axis=1)
        assert (mine == first + ranks * fates.SHADES // len(values)).all()
        order = np.argsort(data.steps.values[kind])
        assert (np.diff(mine[order].astype(int)) >= 0).all()
    assert (fates.shades(data.trained, data.steps**9) == found).all()
    assert fates.shades(np.ones((2, 2), bool), np.full((2, 2), np.nan)).tolist() == [[0, 0], [0, 0]]


def test_meanings():
    """Catches numbers of other runs than those that have the shade."""
    data = runs()
    found = fates.shades(data.trained, data.steps)
    texts = fates.meanings(found, data.steps)
    assert len(texts) == 2 * fates.SHADES
    for shade in (0, 77, 130, 255):
        number = re.search(r"([\d.e+-]+) (times|steps)", texts[shade])
        assert float(number[1]) == pytest.approx(np.median(data.steps.values[found == shade]), rel=0.01)
        assert texts[shade].startswith("trains" if shade < fates.SHADES else "diverges")


def test_map_figure_and_page():
    """Catches rows for columns, and large maps of which each cell is drawn."""
    figure = fates.map_figure(runs())
    (ax,) = figure.axes
    assert "second" in ax.get_xlabel()
    assert ax.get_xlim()[1] > 90
    drawn = ax.collections[0].get_array()
    assert drawn.shape == (20, 30, 3)
    assert (luminance(drawn[:, 0]) < luminance(drawn[:, -1])).all()
    page = fates.map_page(runs(), "A map")
    assert "first layer" in page
    big = runs(8, 2048)
    assert fates.map_figure(big).axes[0].collections[0].get_array().shape == (8, 512, 3)


def test_windows_and_counts():
    """Catches windows without their outline, a missing line, and measurements that are not there."""
    disk = lambda y, x: y[:, None] ** 2 + x**2 < 1  # noqa: E731
    one = dl.evidence.zoom_into_border(disk, (-2, -2), 4.0, size=17, zooms=(1, 8))
    found = {"disk": xr.concat([one, one], "seed"), "again": xr.concat([one, one], "seed")}
    figure = zooms.windows_figure(found, ("y", "x"))
    assert [ax.get_title() for ax in figure.axes] == [f"{name}, zoom {z}" for name in found for z in (1, 8)]
    assert [len(ax.patches) for ax in figure.axes] == [2, 0, 2, 0]
    (ax,) = zooms.box_counts_figure(found).axes
    assert len(ax.lines) == 4
    assert ax.lines[0].get_ydata() == pytest.approx(one.boxes.values[0])
    missing = {name: data.assign(low=data.low * np.nan) for name, data in found.items()}
    zooms.windows_figure(missing, ("y", "x")).draw_without_rendering()
