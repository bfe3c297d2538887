"""What became of a run, of losses that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dlcore.probes.fate import fate


def of(*losses):
    found = fate(jnp.asarray(losses, jnp.float32))
    return bool(found.trained), float(found.steps)


def test_closed_forms():
    """Catches a wrong side, sums that are not relative to the first loss, and means over too much of the end."""
    halved = 0.5 ** np.arange(40)
    assert of(*(8 * halved)) == (True, pytest.approx(2.0))
    assert of(*(8 / halved)) == (False, pytest.approx(2.0, rel=1e-4))
    assert of(*np.full(40, 3.0)) == (False, pytest.approx(40))
    rises_at_the_end = np.append(np.full(20, 5.0), np.full(20, 5.1))
    assert of(*rises_at_the_end)[0] is False
    assert of(*rises_at_the_end[::-1])[0] is True
    oscillates = np.where(np.arange(40) % 2, 0.5, 1.4)
    oscillates[0] = 1
    assert of(*oscillates)[0] is True  # 0.95 on average


@pytest.mark.parametrize("end", [np.inf, np.nan, 1e30, 3e38])
def test_overflow_is_divergence(end):
    """Catches inf - inf, NaN that counts as trained, and a sum of infinities."""
    trained, steps = of(*np.full(10, 2.0), *np.full(30, end))
    assert not trained
    assert steps == pytest.approx(10 + 30e-6, rel=1e-5)
    assert of(2.0, *np.full(20, end), *np.full(20, 0.1))[0] is True  # the end decides


def test_a_loss_of_nothing():
    """Catches a division by a loss that has become zero."""
    assert of(1.0, *np.zeros(39)) == (True, 1.0)
    assert of(0.0, *np.zeros(39))[0] is False  # NaN: there was nothing to train


def test_under_vmap_and_jit():
    """Catches values that are looked at while they are traced."""
    losses = jnp.stack([0.5 ** jnp.arange(30), 2.0 ** jnp.arange(30)])
    found = jax.jit(jax.vmap(fate))(losses)
    assert found.trained.tolist() == [True, False]
    assert found.steps == pytest.approx([2, 2], rel=1e-3)
