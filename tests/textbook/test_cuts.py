"""The best lines and trees: against counts by hand and against all others."""

import itertools

import numpy as np
import pytest

import dlcore as dl

CORNERS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
XOR = np.array([0, 1, 1, 0])


def test_the_corners():
    """Catches cuts between equal values, which part what no cut can."""
    assert dl.textbook.best_line(CORNERS, XOR) == 0.75
    assert dl.textbook.best_tree(CORNERS, XOR) == 1.0
    assert dl.textbook.best_tree(np.repeat(CORNERS, 5, 0)[:, :1], np.repeat(XOR, 5)) == 0.5


def test_the_square():
    """A line gets 2/3 of a continuous XOR, a tree 7/8 of a diagonal: areas of triangles."""
    grid = (np.arange(60) + 0.5) / 30 - 1
    points = np.array(list(itertools.product(grid, grid)))
    assert dl.textbook.best_line(points, (points.prod(1) > 0).astype(int)) == pytest.approx(2 / 3, abs=0.01)
    assert dl.textbook.best_tree(points, (points.prod(1) > 0).astype(int), num_cuts=119) == 1.0
    diagonal = (points.sum(1) > 0).astype(int)
    assert dl.textbook.best_line(points, diagonal) > 0.99
    assert dl.textbook.best_tree(points, diagonal, num_cuts=119) == pytest.approx(7 / 8, abs=0.01)


def test_no_tree_is_better():
    """Catches a leaf that may not choose its class; all cuts of all trees."""
    random = np.random.default_rng(0)
    for _ in range(5):
        inputs, classes = random.normal(size=(9, 2)), random.integers(0, 2, 9)

        def right(leaf, classes=classes):
            return max((classes[leaf] == 0).sum(), (classes[leaf] == 1).sum())

        cuts = [inputs[:, i] <= value for i in (0, 1) for value in inputs[:, i]]
        most = max(
            max(right(a & b) + right(a & ~b) for b in cuts) + max(right(~a & b) + right(~a & ~b) for b in cuts)
            for a in cuts
        )
        assert dl.textbook.best_tree(inputs, classes) == most / 9


def test_stretches():
    """Alternating classes: all stretches but one are right as points alone; random ones: against all answers."""
    alternating = np.arange(64) % 2
    for changes in range(70):
        expected = max(0, 64 - changes) // 2
        assert dl.textbook.best_stretches(alternating, changes) == pytest.approx(1 - expected / 64)
    random = np.random.default_rng(0)
    answers = np.array(list(itertools.product([0, 1], repeat=8)))
    for _ in range(5):
        classes = random.integers(0, 2, 8)
        for changes in range(8):
            possible = answers[(np.diff(answers) != 0).sum(1) <= changes]
            assert dl.textbook.best_stretches(classes, changes) == (possible == classes).mean(1).max()


def test_what_is_refused():
    with pytest.raises(dl.DataError, match="4 examples and 3 classes; expects one class for each"):
        dl.textbook.best_tree(CORNERS, XOR[:3])
    with pytest.raises(dl.DataError, match="expects 0 and 1"):
        dl.textbook.best_line(CORNERS, XOR + 1)
    with pytest.raises(dl.DataError, match="points have 3 coordinates"):
        dl.textbook.best_line(np.ones((4, 3)), XOR)
