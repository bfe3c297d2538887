"""Box-counting dimensions of shapes whose dimension is known."""

import numpy as np
import pytest

import dlcore as dl
from dlcore.evidence import border_cells, box_counting_dimension, box_counts


def drawn(points, size):
    """Cells of a square raster that points of the unit square fall into."""
    rows, columns = np.minimum((np.asarray(points) * size).astype(int), size - 1).T
    cells = np.zeros((size, size), bool)
    cells[rows, columns] = True
    return cells


def disk(size, radius=0.37):
    y, x = np.mgrid[:size, :size] / size - 0.5
    return x**2 + y**2 < radius**2


def koch(levels):
    """Corners of a Koch curve of dimension log 4 / log 3, as complex numbers from 0 to 1."""
    points = np.array([0.0, 1.0], complex)
    for _ in range(levels):
        begin, step = points[:-1], np.diff(points) / 3
        peak = begin + step + step * np.exp(1j * np.pi / 3)
        points = np.append(np.stack([begin, begin + step, peak, begin + 2 * step], 1).ravel(), points[-1])
    return points


def sierpinski(size):
    """Pascal's triangle modulo two, of dimension log 3 / log 2 exactly."""
    row, column = np.mgrid[:size, :size]
    return row & column == 0


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize(
    ("shape", "dimension", "tolerance"),
    [
        (lambda size: np.eye(size, dtype=bool), 1.0, 1e-12),
        (lambda size: np.ones((size, size), bool), 2.0, 1e-12),
        (sierpinski, np.log(3) / np.log(2), 1e-12),
        (lambda size: border_cells(disk(size + 1)), 1.0, 0.04),
        (lambda size: drawn([(p.imag + 0.3, p.real) for p in koch(9)], size), np.log(4) / np.log(3), 0.06),
    ],
    ids=["line", "filled", "sierpinski", "circle", "koch"],
)
def test_known_dimensions(shape, dimension, tolerance, size):
    """Catches a wrong sign, base, or box, and sizes at which all boxes are met."""
    found = box_counting_dimension(shape(size))
    assert found.bound == "exact"
    assert found.estimate == pytest.approx(dimension, abs=tolerance)


def test_counts_of_boxes_at_the_edge():
    """Catches boxes that are left out, or counted twice, where sizes do not divide the picture."""
    random = np.random.default_rng(0)
    border = random.random((21, 34)) < 0.1
    found = box_counts(border, min_boxes=2)
    assert found.sizes.tolist() == [1, 2, 4, 8]
    for size, count in zip(*found, strict=True):
        met = {(i // size, j // size) for i, j in np.argwhere(border)}
        assert count == len(met)


def test_border_cells():
    """Catches borders along which only one direction is looked at, and a border inside one kind."""
    inside = np.zeros((4, 4), bool)
    assert not border_cells(inside).any()
    assert not border_cells(~inside).any()
    inside[1, 1] = True
    assert np.argwhere(border_cells(inside)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert (border_cells(inside) == border_cells(~inside)).all()


def test_local_slopes():
    """Catches slopes of which the mean is not that of the whole."""
    assert box_counts(sierpinski(32)).local_slopes == pytest.approx([np.log2(3)] * 3)
    with_none = box_counts(np.zeros((32, 32), bool)).local_slopes
    assert np.isnan(with_none).all()


@pytest.mark.parametrize(
    ("border", "reason"),
    [
        (np.eye(15, dtype=bool), "boxes of 2 sizes, a dimension needs 3 or more"),
        (np.eye(4, dtype=bool), "boxes of 1 size, a dimension needs 3 or more"),
        (np.zeros((64, 64), bool), "there is no border"),
        (np.kron(np.eye(16), np.ones((32, 32))).astype(bool), "the points make no line: local slopes from 1 to 2"),
    ],
)
def test_what_has_no_dimension(border, reason):
    """Catches a number for a picture that has none: too few scales, no border, a shape of two dimensions."""
    found = box_counting_dimension(border, min_boxes=2 if "line" in reason else 4)
    assert found.bound == "none"
    assert found.reason == reason


def test_too_few_cells():
    with pytest.raises(dl.DataError, match=r"box_counts: border is .*3.*expects 4 cells or more along each side"):
        box_counting_dimension(np.eye(3, dtype=bool))


def test_densest_window():
    """Catches windows counted one cell off, rows for columns, and ties that all go to a corner."""
    random = np.random.default_rng(1)
    border = random.random((9, 12)) < 0.3
    row, column = dl.evidence.densest_window(border, 3)
    held = np.lib.stride_tricks.sliding_window_view(border, (3, 3)).sum((2, 3))
    assert held.shape == (7, 10)
    assert held[row, column] == held.max()
    assert dl.evidence.densest_window(np.zeros((5, 5), bool), 1) == (2, 2)
    assert dl.evidence.densest_window(border, 9)[0] == 0
    with pytest.raises(dl.DataError, match="densest_window: size is 10; expects at most 9"):
        dl.evidence.densest_window(border, 10)
