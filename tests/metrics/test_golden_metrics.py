"""Metrics equal scikit-learn, torchmetrics and pycocotools, on random and degenerate inputs: see tests/oracle.

Each case goes through NumPy, in float64, and through one compiled program for all cases of a kind, in float32.
"""

import functools
from typing import Any

import golden_values
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore import metrics

GOLDEN = golden_values.load("metrics") | golden_values.load("boxes")
COUNTED = ("precision", "recall", "f1")


def of_classes(case: dict[str, Any], zero: Any) -> dict[str, Any]:
    pair = case["logits"], case["labels"]
    values = {name: getattr(metrics, name)(*pair) for name in ("accuracy",)}
    values["top_k_accuracy"] = metrics.top_k_accuracy(*pair, k=2)
    values["confusion_matrix"] = jax.jit(metrics.confusion_matrix)(*pair)
    occurring = {
        f"{name}_occurring": getattr(metrics, name)(*pair, zero_division=zero, classes="occurring") for name in COUNTED
    }
    return values | counted(pair, zero) | occurring


def counted(pair: tuple[Any, Any], zero: Any) -> dict[str, Any]:
    return {
        f"{name}_{average}": getattr(metrics, name)(*pair, average=average, zero_division=zero)
        for name in COUNTED
        for average in ("micro", "macro", "none")
    }


def of_flags(case: dict[str, Any], zero: Any) -> dict[str, Any]:
    pair = case["logits"], case["labels"]
    names = ("subset_accuracy", "hamming_loss", "binary_accuracy")
    return {name: getattr(metrics, name)(*pair) for name in names} | counted(pair, zero)


def of_regression(case: dict[str, Any]) -> dict[str, Any]:
    pair = case["predictions"], case["targets"]
    return {
        "r2": metrics.r2(*pair),
        "mean_absolute_error": metrics.mean_absolute_error(*pair),
        "psnr": metrics.psnr(*pair, max_value=case["peak"]),
    }


def of_scores(case: dict[str, Any]) -> dict[str, Any]:
    pair = case["scores"], case["same"]
    names = ("roc_auc", "average_precision", "equal_error_rate", "accuracy_at_best_threshold")
    return {name: getattr(metrics, name)(*pair) for name in names}


def of_sequences(case: dict[str, Any]) -> dict[str, Any]:
    given = case["logits"], case["labels"], case["mask"]
    return {name: getattr(metrics, name)(*given) for name in ("perplexity", "masked_accuracy", "exact_match")}


def of_neighbors(case: dict[str, Any]) -> dict[str, Any]:
    return {"nearest_neighbor_accuracy": metrics.nearest_neighbor_accuracy(case["embeddings"], case["labels"])}


def of_boxes(case: dict[str, Any]) -> dict[str, Any]:
    corners = case["boxes"]
    return {"box_iou": metrics.box_iou(corners[:, None], corners[None])}


KINDS = {
    "regression": of_regression,
    "scores": of_scores,
    "sequences": of_sequences,
    "neighbors": of_neighbors,
    "boxes": of_boxes,
}
compiled = {name: jax.jit(function) for name, function in {"classes": of_classes, "flags": of_flags, **KINDS}.items()}


def cases(kind: str) -> dict[str, dict[str, np.ndarray]]:
    return {name.partition("/")[2]: parts for name, parts in GOLDEN.items() if name.startswith(f"{kind}/")}


def assert_equal(got: dict[str, Any], golden: dict[str, np.ndarray], name: str, tolerance: float) -> None:
    for part, value in got.items():
        np.testing.assert_allclose(value, golden[part], rtol=tolerance, atol=tolerance, err_msg=f"{part} of {name}")


@pytest.mark.parametrize("kind", ["classes", "flags"])
def test_metrics_of_labels_equal_the_libraries(kind):
    """Catches a class without examples or predictions that is left out, or counted where only occurring ones are."""
    evaluate = {"classes": of_classes, "flags": of_flags}[kind]
    for name, case in cases(kind).items():
        inputs = {part: case[part] for part in ("logits", "labels")}
        for zero in (0, 1):
            golden = case | {part[:-2]: case[part] for part in case if part.endswith(f"_{zero}")}
            assert_equal(evaluate(inputs, float(zero)), golden, name, 1e-12)
            assert_equal(compiled[kind](inputs, jnp.float32(zero)), golden, name, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_equal_the_libraries(kind):
    """Catches ties that depend on the order of rows, offsets that cancel, squares that vanish, constant targets."""
    for name, case in cases(kind).items():
        # torchmetrics computes some of its values in float32.
        assert_equal(KINDS[kind](case), case, name, 1e-6 if kind in ("regression", "sequences") else 1e-9)
        tolerance = 2e-4 if "offset" in name else 1e-5
        assert_equal(compiled[kind](case), case, name, tolerance)


def boxes_of(case: dict[str, np.ndarray], name: str) -> metrics.Boxes:
    return metrics.Boxes(*(case.get(f"{name}_{field}") for field in metrics.Boxes._fields))


@pytest.mark.parametrize("name", cases("detections"))
def test_average_precision_of_boxes_equals_pycocotools(name):
    """Catches another order of equal scores, the first of equal overlaps, a threshold that is missed by rounding."""
    case = cases("detections")[name]
    found, true = boxes_of(case, "found"), boxes_of(case, "true")
    precision = functools.partial(metrics.detection_average_precision, interpolation="coco")
    assert precision(found, true, iou_thresholds=np.linspace(0.5, 0.95, 10)) == pytest.approx(
        float(case["coco"]), abs=1e-9
    )
    assert precision(found, true) == pytest.approx(float(case["coco_half"]), abs=1e-9)
    centered = [
        part._replace(boxes=np.concatenate([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], axis=1))
        for part, b in ((found, found.boxes), (true, true.boxes))
    ]
    assert precision(*centered, box_format="center") == pytest.approx(float(case["coco_half"]), abs=1e-9)


def test_average_precision_at_all_points_equals_pycocotools():
    """Catches a sum over found boxes, and precisions below the envelope."""
    case = GOLDEN["scattered"]
    value = metrics.detection_average_precision(boxes_of(case, "found"), boxes_of(case, "true"))
    assert value == pytest.approx(float(case["all_points"]), abs=1e-9)


def test_where_definitions_differ():
    """Catches a change of what is ours: scikit-learn's values are 0.75, 0 and NaN, as told in the docstrings."""
    targets = np.array([[0.0, 1], [2, 1], [4, 1], [2, 1]])
    predictions = targets + np.array([[1.0, 0.5]])
    assert metrics.r2(predictions[:, :1], targets[:, :1]) == pytest.approx(0.5)
    assert metrics.r2(predictions, targets) == pytest.approx(1 - 5 / 8)  # the constant column's residual counts
    with pytest.raises(dl.DataError, match="all 3 labels are 0; expects one that is relevant"):
        metrics.average_precision(np.arange(3.0), np.zeros(3, int))
    assert metrics.average_precision(np.arange(3.0), np.ones(3, int)) == 1
    assert metrics.r2(targets[:1], targets[:1]) == 1
    assert metrics.r2(targets[:1] + 1, targets[:1]) == 0
