import jax
import numpy as np
import optax
import pytest

import dlcore as dl


def test_a_quadratic_is_multiplied_by_one_less_rate_times_curvature():
    """Catches a step with another sign or rate, a start that is left out, and float32 where doubles were given."""
    curvatures, rate, start = np.array([0.5, 2.0, 10.0]), 0.15, np.array([1.0, -2.0, 3.0])
    with jax.enable_x64(True):
        path = dl.textbook.descent_path(lambda x: 0.5 * (curvatures * x**2).sum(), start, optax.sgd(rate), num_steps=40)
    expected = start * (1 - rate * curvatures) ** np.arange(41)[:, None]
    np.testing.assert_allclose(path, expected, rtol=1e-12)


def test_the_state_of_the_optimizer_goes_on():
    """Catches a state that begins anew at each step: momentum would do nothing."""
    path = dl.textbook.descent_path(lambda x: x, 0.0, optax.sgd(1.0, momentum=0.5), num_steps=3)
    np.testing.assert_allclose(path, [0, -1, -2.5, -4.25])


def test_starts_can_be_mapped_and_words_say_what_is_wrong():
    """Catches a path that is no pure function of its start."""
    starts = np.array([1.0, 3.0], np.float32)
    paths = jax.vmap(lambda x: dl.textbook.descent_path(lambda x: x**2, x, optax.sgd(0.25), num_steps=2))(starts)
    np.testing.assert_allclose(paths, starts[:, None] * [1, 0.5, 0.25])
    with pytest.raises(dl.ArgumentError, match="num_steps"):
        dl.textbook.descent_path(lambda x: x**2, 1.0, optax.sgd(0.25), num_steps=0)
