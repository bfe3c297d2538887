"""Operators against ONNX: cases of the package onnx that `python -m tests.onnx --golden` has written down."""

import numpy as np
import pytest

from tests.onnx import compare, golden
from tests.onnx.case import Case

CASES = golden.read()


def test_all_cases_are_there():
    """Catches a case that the package has renamed, and that would no longer be computed."""
    assert set(CASES) == set(golden.NAMES)


@pytest.mark.parametrize("name", golden.NAMES)
def test_case(name):
    """Catches options that mean something else than in the standard: pads, gates, groups, axes, averages."""
    case = CASES[name]
    for run in compare.operators_of(case.operator).values():
        result = compare.compare(case, run)
        assert (result.reason, result.mismatch) == ("", "")


def test_a_mismatch_is_found():
    """Catches a comparison that passes whatever comes out."""
    x = np.array([-1.0, 2.0], np.float32)
    right = [0.01 * x[0], x[1]]
    wrong = [([0.0, 2.0], "error"), ([np.nan, 2.0], "is right"), ([[0.0, 2.0]], "expected [1, 2]")]
    for outputs, mismatch in [(right, ""), *wrong]:
        case = Case("leaky", "LeakyRelu", {}, [x], [np.array(outputs, np.float32)])
        found = compare.compare(case, compare.OPERATORS["LeakyRelu"]).mismatch
        assert mismatch in found
        assert bool(found) == bool(mismatch)
