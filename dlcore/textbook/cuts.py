"""The best lines, trees and stretches that there are for two classes: what no training can surpass."""

from typing import Any

import numpy as np

from dlcore.core.arguments import arguments, array, integer
from dlcore.core.errors import DataError

COLUMNS = array("biuf", ndim=2, text="numbers [N, columns]")
POINTS = array("biuf", ndim=2, text="points [N, 2]")
CLASSES = array("biu", ndim=1, text="classes [N], 0 or 1")


@arguments(points=POINTS, classes=CLASSES, num_directions=integer(2))
def best_line(points: Any, classes: Any, *, num_directions: int = 180) -> float:
    """Share of the points [N, 2] on the side of their class, of the best line of so many directions.

    Raises:
      DataError: points of another dimension, classes other than 0 and 1, or as many of both are expected.

    Example:
      >>> dl.textbook.best_line([[-1, -1], [-1, 1], [1, -1], [1, 1]], [0, 1, 1, 0])
      0.75
    """
    points, signs = _checked("best_line", points, classes)
    if points.shape[1] != 2:
        raise DataError(f"best_line: points have {points.shape[1]} coordinates; expects [N, 2].")
    angles = np.arange(num_directions) * np.pi / num_directions
    return _most_right(points @ np.stack([np.cos(angles), np.sin(angles)]), signs) / len(signs)


@arguments(inputs=COLUMNS, classes=CLASSES, num_cuts=integer())
def best_tree(inputs: Any, classes: Any, *, num_cuts: int = 64) -> float:
    """Share of the examples [N, columns] in a leaf of their class, of the best tree of depth 2 with two classes.

    All second cuts are tried, of first cuts as many quantiles of each column; with `num_cuts` of N or more, all.

    Raises:
      DataError: classes other than 0 and 1, or as many of both are expected.

    Example:
      >>> dl.textbook.best_tree([[-1, -1], [-1, 1], [1, -1], [1, 1]], [0, 1, 1, 0])
      1.0
    """
    inputs, signs = _checked("best_tree", inputs, classes)
    levels = np.arange(1, num_cuts + 1) / (num_cuts + 1)
    most = _most_right(inputs, signs)
    for column in inputs.T:
        for cut in np.unique(np.quantile(column, levels, method="lower")):
            sides = column <= cut, column > cut
            if sides[1].any():
                most = max(most, sum(_most_right(inputs[side], signs[side]) for side in sides))
    return most / len(signs)


@arguments(classes=CLASSES, num_changes=integer(0))
def best_stretches(classes: Any, num_changes: int) -> float:
    """Share of points in a row, of classes [N], that are right where the answer changes so many times at most.

    A continuous function of p straight pieces changes sides p times at most: a network of one input and m ReLU units in
    one layer m + 1 times.

    Raises:
      DataError: no classes, or others than 0 and 1.

    Example:
      >>> [dl.textbook.best_stretches([0, 1, 0, 1], changes) for changes in (0, 1, 2, 3)]
      [0.5, 0.75, 0.75, 1.0]
    """
    classes = np.asarray(classes)
    _, signs = _checked("best_stretches", classes[:, None], classes)
    wrong = np.zeros((num_changes + 1, 2))  # least number so far, by changes and by the present answer
    for sign in signs:
        changed = np.vstack([[np.inf, np.inf], wrong[:-1, ::-1]])
        wrong = np.minimum(wrong, changed) + (np.array([-1, 1]) != sign)
    return 1 - float(wrong.min()) / len(signs)


def _checked(name: str, inputs: Any, classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """As float64 [N, columns], and signs [N] of the classes."""
    inputs, classes = np.asarray(inputs, float), np.asarray(classes)
    if len(inputs) != len(classes) or not len(classes):
        raise DataError(f"{name}: {len(inputs)} examples and {len(classes)} classes; expects one class for each.")
    if not np.isin(classes, (0, 1)).all():
        raise DataError(f"{name}: classes are {np.unique(classes)[:5]}; expects 0 and 1.")
    return inputs, 2 * classes.astype(int) - 1


def _most_right(columns: np.ndarray, signs: np.ndarray) -> float:
    """Examples on a side of their class after the best cut, or none, of one of the columns [N, k]; signs [N]."""
    order = columns.argsort(0)
    below, whole = signs[order].cumsum(0), signs.sum()
    possible = np.diff(np.take_along_axis(columns, order, 0), axis=0, append=np.inf) > 1e-9  # ties stay whole
    return float((len(signs) + np.where(possible, np.abs(below) + np.abs(whole - below), 0).max()) / 2)
