"""The sawtooth: its network is right everywhere, and is the composition of triangles."""

import numpy as np
import pytest

import dlcore as dl


@pytest.mark.parametrize("num_layers", [1, 2, 5, 10])
def test_the_network_is_right(num_layers):
    points, classes = dl.textbook.sawtooth(num_layers)
    assert classes.sum() == 2 ** (num_layers - 1)
    model = dl.models.mlp([1, *[2] * num_layers, 1])
    logits, _ = model.apply(dl.textbook.sawtooth_params(num_layers), {}, points)
    np.testing.assert_array_equal(np.asarray(logits)[:, 0], classes - 0.5)


def test_between_the_points_it_folds():
    x = np.linspace(0, 1, 1001)
    expected = x
    for _ in range(3):
        expected = 1 - np.abs(2 * expected - 1)
    output, _ = dl.models.mlp([1, 2, 2, 2, 1]).apply(dl.textbook.sawtooth_params(3), {}, x[:, None])
    np.testing.assert_allclose(np.asarray(output)[:, 0] + 0.5, expected, atol=1e-5)
