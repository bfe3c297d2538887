"""Reading the golden values that `make oracle` writes."""

import pathlib
from typing import Any

import jax
import numpy as np


def load(module: str) -> dict[str, dict[str, np.ndarray]]:
    """Case to part to array, as `tests/oracle/<module>.py` made them."""
    cases: dict[str, dict[str, np.ndarray]] = {}
    with np.load(pathlib.Path(__file__).parent / "golden" / f"{module}.npz") as values:
        for name in values:
            case, _, part = name.rpartition("/")
            cases.setdefault(case, {})[part] = values[name]
    return cases


def assert_matches(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Trees of arrays agree to `tolerance`, relative to the largest value of each array."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert np.shape(a) == np.shape(b), (np.shape(a), np.shape(b))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(float(np.max(np.abs(b))), 1e-30))
