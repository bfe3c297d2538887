"""Whole training runs follow PyTorch's, step by step, from the same weights over the same batches."""

import golden_values
import jax
import numpy as np
import optax
import pytest
import sklearn.datasets

import dlcore as dl

GOLDEN = golden_values.load("functions")


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_fifty_steps_follow_pytorch(activation):
    """Catches momentum or L2 of another form, a loss recorded after its update, batches shifted by one."""
    start, golden = GOLDEN["curves"], GOLDEN[f"curves/{activation}"]
    bunch = sklearn.datasets.load_digits()
    rows = start["rows"].ravel()
    data = dl.data.Dataset((bunch.data[rows] / 16, bunch.target[rows]))
    layers = {i: {"kernel": start[f"weight{2 * i}"], "bias": start[f"weight{2 * i + 1}"]} for i in range(2)}
    model = dl.models.mlp([64, 32, 10], activation)
    assert jax.tree.map(np.shape, {"layers": layers}) == jax.tree.map(np.shape, model.init(jax.random.key(0))[0])
    model = model._replace(init=lambda key: ({"layers": jax.tree.map(jax.numpy.asarray, layers)}, {}))

    task = dl.tasks.classification(model, data, penalty=dl.tasks.l2(float(golden["l2"])))
    optimizer = optax.sgd(float(golden["learning_rate"]), momentum=float(golden["momentum"]))
    history = dl.run(
        dl.training(
            jax.random.key(0),
            task,
            optimizer,
            batch_size=32,
            num_epochs=1,
            record_every=1,
            sampling="in_order",
            evaluate=(),
        )
    )
    losses = history.batch_loss.values[1:]
    assert losses.shape == golden["losses"].shape == (50,)
    np.testing.assert_allclose(losses, golden["losses"], rtol=1e-6)  # seen: 2.4e-7
