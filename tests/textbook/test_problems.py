"""Random problems for formulas."""

import jax
import numpy as np
import pytest

import dlcore as dl

OUTPUTS = {"softmax_cross_entropy": 3, "binary_cross_entropy": 1, "squared_error": 3}


@pytest.mark.parametrize("loss", OUTPUTS)
def test_they_fit_the_loss_and_depend_on_their_seed_only(loss):
    """Catches a network that depends on its neighbors, targets of another kind, float32."""
    widths = [4, 6, OUTPUTS[loss]]
    both = dl.textbook.random_problems([3, 5], widths, loss=loss)
    alone = dl.textbook.random_problems([5], widths, loss=loss)
    for together, single in zip(jax.tree.leaves(both), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(together[1], single[0])
        assert together.dtype in (np.float64, np.int64)
        assert not np.array_equal(together[0], together[1])
    with jax.enable_x64(True):
        passed = dl.textbook.through_layers(*jax.tree.map(lambda leaf: leaf[0], both), loss=loss)
    assert np.isfinite(passed.loss)
    assert passed.loss.dtype == np.float64


def test_weights_keep_the_size_of_the_inputs():
    """Catches a variance that is not 1 / fan-in."""
    problem = dl.textbook.random_problems([0], [400, 300, 1], loss="squared_error")
    assert problem.params["layers"][0]["kernel"].std() == pytest.approx(400**-0.5, rel=0.02)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_of_problems(dtype):
    """Catches a function that sees other problems, or another precision, than it was asked for."""

    def evaluate(params, inputs, targets):
        return dl.textbook.through_layers(params, inputs, targets).loss, params["layers"][0]["bias"]

    losses, biases = dl.textbook.over_problems(evaluate, [3, 5], [4, 6, 3], dtype=dtype)
    assert losses.dtype == biases.dtype == dtype
    expected = dl.textbook.random_problems([3, 5], [4, 6, 3]).params["layers"][0]["bias"]
    np.testing.assert_allclose(biases, expected, rtol=1e-6)
    alone, _ = dl.textbook.over_problems(evaluate, [5], [4, 6, 3], dtype=dtype)
    np.testing.assert_allclose(losses[1], alone[0], rtol=1e-6)
