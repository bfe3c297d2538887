"""Overlaps of boxes by hand and by counting, average precision of detectors against published numbers."""

import hypothesis
import hypothesis.extra.numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from dlcore import metrics
from dlcore.metrics import Boxes


def test_iou_by_hand():
    """Catches sides multiplied though they do not meet, a union that counts the overlap twice, width for height."""
    box = np.float32([0, 0, 2, 4])  # 2 high, 4 wide
    others = np.float32([[0, 0, 2, 4], [1, 2, 3, 6], [5, 5, 6, 6], [2, 0, 4, 4], [0, 1, 2, 2], [1, 1, 1, 1]])
    expected = [1, 2 / 14, 0, 0, 2 / 8, 0]
    np.testing.assert_allclose(jax.jit(metrics.box_iou)(box[None], others), expected, rtol=1e-6)
    np.testing.assert_allclose(metrics.box_iou(others[:, None], box[None, None])[:, 0], expected, rtol=1e-6)
    assert metrics.box_iou(np.zeros(4), np.zeros(4)) == 0


def test_iou_of_centers():
    """Catches a whole side taken for a half, and centers taken for corners."""
    box, other = np.array([2.0, 3, 4, 2]), np.array([2.0, 4, 4, 2])  # 4 high, 2 wide, apart by 1
    for xp in (np.asarray, jnp.asarray):
        value = metrics.box_iou(xp(box), xp(other), box_format="center")
        assert value == pytest.approx(1 / 3)
        swapped = metrics.box_iou(xp(box[[1, 0, 3, 2]]), xp(other[[1, 0, 3, 2]]), box_format="center")
        assert swapped == pytest.approx(1 / 3)


boxes = hypothesis.extra.numpy.arrays(np.float64, 4, elements=st.integers(0, 8).map(float)).map(
    lambda corners: np.concatenate([np.minimum(corners[:2], corners[2:]), np.maximum(corners[:2], corners[2:])])
)


@hypothesis.given(boxes, boxes)
def test_iou_counts_cells(a, b):
    """Catches a formula that fails for some position of two boxes: counted on the grid instead."""
    rows, columns = np.mgrid[0:8, 0:8] + 0.5
    inside = [(rows > t) & (rows < m) & (columns > u) & (columns < n) for t, u, m, n in (a, b)]
    union = (inside[0] | inside[1]).sum()
    assert metrics.box_iou(a, b) == pytest.approx((inside[0] & inside[1]).sum() / max(union, 1))
    assert metrics.box_iou(a, b) == metrics.box_iou(b, a)


def ranking(right, num_true):
    """Found boxes, the right ones upon a true one and the wrong ones on nothing, and the true boxes."""
    places = np.arange(num_true) * 10.0
    hits = iter(range(num_true))
    tops = np.array([places[next(hits)] if ok else -1000.0 for ok in right])
    zeros = np.zeros(len(right), int)

    def squares(tops):
        return np.stack([tops, 0 * tops, tops + 4, 0 * tops + 4], axis=1)

    found = Boxes(squares(tops), zeros, zeros, np.linspace(1, 0.1, len(right)))
    return found, Boxes(squares(places), np.zeros(num_true, int), np.zeros(num_true, int))


def test_average_precision_of_boxes_as_published():
    """Catches a curve without its envelope, and recall of the boxes found instead of those there are.

    Padilla, Object-Detection-Metrics, README: 24 boxes found, 15 there are, 7 right; AP 0.24561 at all points, from
    summands that it rounds.
    """
    right = np.isin(np.arange(1, 25), [1, 3, 10, 12, 13, 14, 23])
    assert metrics.detection_average_precision(*ranking(right, 15)) == pytest.approx(0.2456, abs=1e-4)


def test_average_precision_of_boxes_at_101_recalls():
    """Catches 100 recalls, recall 0 left out, precision read before the recall is reached."""
    found, true = ranking([True, False, True, False], 4)
    # Up to recall 0.25 the precision is 1 (26 points), up to 0.5 it is 2/3 (25), beyond 0 (50).
    value = metrics.detection_average_precision(found, true, interpolation="coco")
    assert value == pytest.approx((26 + 25 * 2 / 3) / 101)
    assert metrics.detection_average_precision(found, true) == pytest.approx((1 + 2 / 3) / 4)


def test_a_true_box_is_found_once():
    """Catches two right boxes for one object, boxes matched in another image or class, and the rule of the other."""
    true = Boxes([[0, 0, 4, 4], [0, 3, 4, 7]], [0, 0], [0, 0])
    # The second overlaps the first true box most (0.6), which is taken, and the other one by 1/3.
    found = Boxes([[0, 0, 4, 4], [0, 1, 4, 5]], [0, 0], [0, 0], [0.9, 0.8])
    assert metrics.detection_average_precision(found, true, iou_thresholds=[0.3]) == 0.5
    coco = metrics.detection_average_precision(found, true, iou_thresholds=[0.3], interpolation="coco")
    assert coco == 1
    for elsewhere in (found._replace(images=[1, 1]), found._replace(classes=[1, 1])):
        assert metrics.detection_average_precision(elsewhere, true) == 0
    nothing = Boxes(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    assert metrics.detection_average_precision(nothing, true) == 0
    assert metrics.detection_average_precision(nothing, true, interpolation="coco") == 0
    two = Boxes([[0, 0, 4, 4]] * 2, [0, 1], [0, 1])
    half = Boxes([[0, 0, 4, 3], [0, 0, 4, 4]], [0, 1], [0, 1], [0.5, 0.6])
    # Class 0 overlaps by 3/4, class 1 fully: right at 2 and 2 of the thresholds, then 1 and 2.
    value = metrics.detection_average_precision(half, two, iou_thresholds=[0.5, 0.8])
    assert value == pytest.approx((1 + 0 + 1 + 1) / 4)
