"""scikit-learn's digits without scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlcore.data.sets import digits_file


@pytest.mark.parametrize("known", [True, False])
def test_digits_are_those_that_scikit_learn_loads(monkeypatch, known):
    """Catches another order or dtype; and a version that keeps them in another file, of which the sum is not known."""
    if not known:
        monkeypatch.setattr(digits_file, "SHA256", "")
    pixels, labels = digits_file.digits_table()
    bunch = load_digits()
    np.testing.assert_array_equal(pixels, bunch.data, strict=True)
    np.testing.assert_array_equal(labels, bunch.target, strict=True)
