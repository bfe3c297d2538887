"""What gradients cost."""

import numpy as np
import pytest

import dlcore as dl


def test_operations_of_a_deep_and_of_a_linear_network():
    """Catches a gradient by the inputs that is counted, the forward pass left out, sides exchanged."""
    inputs = np.ones((64, 32), np.float32)
    linear, deep = (
        dl.evidence.gradient_cost(model, inputs, blocks=3, seconds=0.0)
        for model in (dl.models.linear(32, 32), dl.models.mlp([32] * 9))
    )
    products = 2 * 64 * 32 * 32
    assert linear.operations.sel(side="forward") == pytest.approx(products, rel=0.1)
    assert linear.operations.sel(side="gradient") == pytest.approx(2 * products, rel=0.1)
    assert deep.operations.sel(side="gradient") == pytest.approx((3 * 8 - 1) * products, rel=0.1)
    assert deep.seconds.dims == ("side", "block")
    assert deep.seconds.attrs == {"units": "s"}
    assert deep.seconds.median("block").diff("side").item() > 0
