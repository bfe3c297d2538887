"""How much memory evaluation takes, from the compiler's own account."""

import jax
import numpy as np
import optax
import pytest

import dlcore as dl
from dlcore.engine.devices import Constants
from dlcore.engine.traced import trace


@pytest.mark.heavy
def test_eight_networks_look_at_sixty_thousand_images():
    """Catches whole splits in the forward pass: 9.4 GB of intermediate results for each of the eight."""
    images = np.zeros((60_000, 28, 28, 1), np.float32)
    data = dl.data.Dataset((images, np.arange(60_000) % 10))
    task = dl.tasks.classification(dl.models.lenet(), data)

    def make(cell):
        return dl.training(jax.random.key(cell["seed"]), task, optax.sgd(0.1), batch_size=64, num_steps=1)

    traced = trace(make, {"seed": jax.ShapeDtypeStruct((), np.int32)}, Constants())

    def measure(values, seeds):
        return jax.vmap(lambda seed: traced.start.call(values, {"seed": seed}))(seeds)

    compiled = jax.jit(measure).lower(list(traced.start.constants), np.arange(8, dtype=np.int32)).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 2e9
