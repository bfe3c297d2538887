"""dlcore's outputs of a case against the right ones."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import dlcore as dl
from tests.onnx import functions, layers, windows
from tests.onnx.case import Case, NotExpressibleError, Operator

OPERATORS: dict[str, Operator] = functions.OPERATORS | windows.OPERATORS | layers.OPERATORS

# Outputs that are compared in another form: not the indices of boxes, but the boxes.
EXPECTED: dict[str, Callable[[Case], Sequence[Any]]] = {
    "NonMaxSuppression": lambda case: [case.inputs[0][case.outputs[0][:, 0], case.outputs[0][:, 2]]],
}

COARSER = {"float16": 4e-3, "bfloat16": 3e-2}


@dataclasses.dataclass(frozen=True)
class Result:
    """error: the largest, relative to the largest number of the output or 1. reason: why it could not be compared."""

    case: str
    error: float = 0.0
    mismatch: str = ""
    reason: str = ""


def operators_of(operator: str) -> dict[str, Operator]:
    """Ours by their names, e.g. both forms of "Conv"."""
    return {name: run for name, run in OPERATORS.items() if name.split(" ")[0] == operator}


def compare(case: Case, run: Operator) -> Result:
    """What dlcore makes of the case; its own errors are reasons why it is not expressible."""
    try:
        got = run(case)
    except NotExpressibleError as error:
        return Result(case.name, reason=str(error))
    except dl.DlcoreError as error:
        return Result(case.name, reason=f"refused: {error}")
    expected = EXPECTED.get(case.operator, lambda case: case.outputs)(case)
    largest, mismatches = 0.0, []
    for place, (ours, right) in enumerate(zip(got, expected, strict=False)):
        if ours is None or right is None:
            continue
        error, mismatch = difference(np.asarray(ours), np.asarray(right), case.tolerance)
        largest = max(largest, error)
        mismatches += [f"output {place}: {mismatch}"] * bool(mismatch)
    return Result(case.name, largest, "; ".join(mismatches))


def difference(ours: np.ndarray, right: np.ndarray, tolerance: float) -> tuple[float, str]:
    """(the largest error, what is wrong or nothing)."""
    if ours.shape != right.shape:
        return np.inf, f"{list(ours.shape)}, expected {list(right.shape)}"
    tolerance = COARSER.get(str(right.dtype), tolerance if right.dtype.kind == "f" else 0)
    ours, right = ours.astype(np.float64), right.astype(np.float64)
    special = ~np.isfinite(ours) | ~np.isfinite(right)
    same = np.array_equal(ours[special], right[special], equal_nan=True)
    size = max(np.abs(right[~special]).max(initial=0), 1)
    error = float(np.abs(ours - right)[~special].max(initial=0) / size)
    if not same:
        return np.inf, f"{ours[special].tolist()[:4]} where {right[special].tolist()[:4]} is right"
    return error, f"error {error:.1e}" if error > tolerance else ""
