"""Overlaps of boxes, and average precision of detectors, by pycocotools."""

import contextlib
import io

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)


def boxes():
    """Overlaps of all pairs, of corners [12, 4] on a grid: equal ones, touching ones, and ones inside each other."""
    rng = np.random.default_rng(6)
    corners = np.sort(rng.integers(0, 8, (12, 2, 2)), axis=1).reshape(12, 4).astype(float)
    corners[3], corners[4] = corners[2], corners[2] + 1
    for name, values in {"grid": corners, "large": corners * 1e5, "small": corners * 1e-5}.items():
        sides = np.concatenate([values[:, :2], values[:, 2:] - values[:, :2]], axis=1)
        iou = np.nan_to_num(coco_mask.iou(sides, sides, [0] * 12))  # 0 / 0 for two boxes without area
        yield f"boxes/{name}", {"boxes": values, "box_iou": iou}


def random_boxes(rng, count, num_images=3, num_classes=3):
    """Boxes with corners on a grid, so that overlaps are often equal and often just at a threshold."""
    tops = rng.integers(0, 6, (count, 2))
    corners = np.concatenate([tops, tops + rng.integers(1, 6, (count, 2))], axis=1).astype(float)
    return corners, rng.integers(0, num_images, count), rng.integers(0, num_classes, count)


def detections():
    """Found and true boxes, of several images and classes; of one of each, of none, of equal scores."""
    rng = np.random.default_rng(7)
    true = random_boxes(rng, 30)
    near = np.concatenate([true[0] + rng.integers(0, 2, true[0].shape) * [0, 0, 1, 1], random_boxes(rng, 10)[0]])
    where = [np.concatenate([true[i], random_boxes(rng, 10)[i]]) for i in (1, 2)]
    some = (near, *where, rng.permutation(40) / 40)
    one = (np.array([[0.0, 0, 4, 4]]), np.array([0]), np.array([1]))
    nothing = (np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    inputs = {
        "random": (some, true),
        "equal_scores": ((*some[:3], np.full(40, 0.5)), true),
        "few_scores": ((*some[:3], rng.integers(0, 3, 40) / 4), true),
        "one_class": ((some[0], some[1], 0 * some[2], some[3]), (true[0], true[1], 0 * true[2])),
        "class_without_truth": (some, (true[0], true[1], true[2] % 2)),
        "class_not_found": ((some[0], some[1], some[2] % 2, some[3]), true),
        "nothing_found": (nothing, true),
        "one_box": ((*one, np.array([0.3])), one),
        "half_overlap": ((one[0] - [0, 0, 2, 0], one[1], one[2], np.array([0.3])), one),
        "twice": (tuple(np.concatenate([part] * 2) for part in (*one, np.array([0.3]))), one),
        "perfect": ((*true, np.ones(30)), true),
    }
    for name, (found, truth) in inputs.items():
        values = {
            "coco": coco_precision(found, truth, COCO_THRESHOLDS),
            "coco_half": coco_precision(found, truth, [0.5]),
        }
        yield f"detections/{name}", fields_of(found, truth) | values


def scattered():
    """True boxes apart from each other, some found twice; precision at all recalls that there are, as PASCAL's.

    Where no found box overlaps two true ones, both rules match alike.
    """
    rng = np.random.default_rng(8)
    tops = 20.0 * np.arange(12)[:, None] * [[1, 1]]
    corners, images = np.concatenate([tops, tops + 8], axis=1), np.arange(12) % 3
    rows = np.concatenate([rng.permutation(12)[:9], rng.integers(0, 12, 12)])
    found = corners[rows] + rng.integers(0, 4, (21, 4)) * [0, 0, 1, 1] + 200.0 * (np.arange(21) > 17)[:, None]
    found, true = (found, images[rows], 0 * rows, rng.permutation(21) / 21), (corners, images, 0 * images)
    value = coco_precision(found, true, [0.5], np.arange(1, 13) / 12)
    yield "scattered", {**fields_of(found, true), "all_points": value}


def fields_of(found, true):
    """Both as arrays with names."""
    fields = ("boxes", "images", "classes", "scores")
    named = {f"found_{field}": part for field, part in zip(fields, found, strict=True)}
    return named | {f"true_{field}": part for field, part in zip(fields, true, strict=False)}


def coco_precision(found, true, thresholds, recalls=None):
    """Mean average precision by pycocotools; rows (top, left, bottom, right) become (left, top, width, height)."""

    def annotations(corners, images, classes, scores=None):
        sides = np.stack([corners[:, 1], corners[:, 0], *(corners[:, [3, 2]] - corners[:, [1, 0]]).T], axis=1)
        rows = zip(sides.tolist(), images.tolist(), classes.tolist(), strict=True)
        made = [
            {
                "id": i + 1,
                "image_id": image,
                "category_id": label,
                "bbox": side,
                "area": side[2] * side[3],
                "iscrowd": 0,
            }
            for i, (side, image, label) in enumerate(rows)
        ]
        return made if scores is None else [{**m, "score": s} for m, s in zip(made, scores.tolist(), strict=True)]

    with contextlib.redirect_stdout(io.StringIO()):
        kinds = [{"id": i} for i in range(3)]
        sets = COCO(), COCO()
        for each, rows in zip(sets, (annotations(*true), annotations(*found)), strict=True):
            each.dataset = {"images": kinds, "categories": kinds, "annotations": rows}
            each.createIndex()
        evaluation = COCOeval(*sets, "bbox")
        evaluation.params.iouThrs = np.asarray(thresholds)
        evaluation.params.recThrs = np.linspace(0, 1, 101) if recalls is None else recalls
        evaluation.evaluate()
        evaluation.accumulate()
    precisions = evaluation.eval["precision"][..., 0, -1]  # thresholds, recalls, classes; all areas, 100 boxes
    return precisions[precisions > -1].mean()


def golden():
    """All of them."""
    cases = dict(boxes()) | dict(detections()) | dict(scattered())
    return {f"{case}/{part}": np.asarray(value) for case, parts in cases.items() for part, value in parts.items()}
