"""Averages of the parameters: equal to their formulas, in a study, and read out of its state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small
from optax import contrib

import dlcore as dl

PARAMS = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([3.0])}
TARGET = jax.tree.map(lambda leaf: -leaf, PARAMS)


def descend(optimizer, num_steps):
    """Parameters after each of the steps toward a quadratic's minimum, [num_steps, ...]; the last state."""

    def step(state, _):
        gradient = jax.tree.map(lambda p, t: p - t, state.params, TARGET)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        state = dl.State(state.step + 1, optax.apply_updates(state.params, updates), {}, opt_state)
        return state, state.params

    start = dl.State(jnp.zeros((), jnp.int32), PARAMS, {}, optimizer.init(PARAMS))
    state, params = jax.lax.scan(step, start, length=num_steps)
    return params, state


def weights(decay, start, num_steps):
    """Share of each step's parameters in the average."""
    counted = np.arange(num_steps) - start
    shares = np.where(counted >= 0, (1.0 if decay is None else decay) ** (num_steps - 1.0 - np.arange(num_steps)), 0)
    return shares / shares.sum()


@pytest.mark.parametrize(("decay", "start"), [(None, 0), (None, 3), (0.9, 0), (0.5, 3), (0.0, 0)])
def test_the_average_equals_its_formula(decay, start):
    """Catches a bias toward the first parameters or zero, a mean of the updates, parameters before the step, and a
    start that is off by one.
    """
    optimizer = optax.chain(optax.sgd(0.3), dl.optimizers.average_parameters(decay, start=start))
    params, state = jax.jit(lambda: descend(optimizer, 8))()
    plain, _ = jax.jit(lambda: descend(optax.sgd(0.3), 8))()
    for name, average in dl.optimizers.averaged(state).items():
        np.testing.assert_allclose(params[name], plain[name], rtol=1e-6)
        expected = np.tensordot(weights(decay, start, 8), np.asarray(params[name]), axes=1)
        np.testing.assert_allclose(average, expected, rtol=1e-5)


def test_before_the_start_it_is_the_parameters():
    """Catches an average over nothing: 0 / 0, or the initial parameters."""
    for decay in (None, 0.9):
        optimizer = optax.chain(optax.sgd(0.3), dl.optimizers.average_parameters(decay, start=10))
        _, state = descend(optimizer, 4)
        jax.tree.map(np.testing.assert_array_equal, dl.optimizers.averaged(state), state.params)


def test_small_floats_are_averaged_in_larger_ones():
    """Catches an average that stands still, since a hundredth of a change is lost in bfloat16."""
    transform = dl.optimizers.average_parameters()
    state = transform.init(jnp.zeros((), jnp.bfloat16))
    for value in (1.0, *([1.0078125] * 400)):
        _, state = jax.jit(transform.update)(jnp.bfloat16(0), state, jnp.bfloat16(value))
    assert float(state.average) > 1.007
    run = dl.State(jnp.int32(401), jnp.bfloat16(1), {}, state)
    assert dl.optimizers.averaged(run).dtype == jnp.bfloat16


def fit(seed, decay):
    """A run that keeps an average, below a transformation that keeps the state of its inner one elsewhere."""
    inner = optax.chain(optax.sgd(0.1), dl.optimizers.average_parameters(decay, start=2))
    optimizer = optax.apply_if_finite(inner, 3)
    return dl.training(jax.random.key(seed), small.REGRESSION, optimizer, batch_size=6, num_epochs=1)


def test_in_a_study_the_decay_is_traced():
    """Catches an average that only a known decay makes, or that another optimizer around it hides."""
    runs = dl.sweep(fit, seed=jnp.arange(1), decay=jnp.array([0.0, 0.9]), lane_width=2, progress=False)
    assert bool(runs.finite.all())
    training = fit(0, 0.9)
    state, _ = training.advance(training.init())
    average = dl.optimizers.averaged(state)
    assert jax.tree.structure(average) == jax.tree.structure(state.params)
    assert any(
        bool((mean != leaf).any())
        for mean, leaf in zip(jax.tree.leaves(average), jax.tree.leaves(state.params), strict=True)
    )


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (optax.sgd(0.1), r"state keeps no averages; expects one. Let the optimizer be optax\.chain"),
        (optax.chain(*[dl.optimizers.average_parameters()] * 2), "state keeps 2 averages"),
    ],
)
def test_one_average_is_expected(optimizer, text):
    """Catches the parameters themselves, or the first of several averages, returned in silence."""
    with pytest.raises(dl.ArgumentError, match=text):
        dl.optimizers.averaged(dl.State(jnp.int32(0), PARAMS, {}, optimizer.init(PARAMS)))


def test_without_parameters_there_is_no_average():
    """Catches an average of updates where a loop leaves out the parameters."""
    transform = dl.optimizers.average_parameters()
    with pytest.raises(dl.ArgumentError, match="params is None; expects"):
        transform.update(PARAMS, transform.init(PARAMS))


@pytest.mark.parametrize("reset_state", [False, True])
def test_lookahead_equals_that_of_optax(reset_state):
    """Catches slow parameters that do not move, or move at another step."""
    theirs = optax.lookahead(optax.sgd(0.2, momentum=0.9), 3, 0.5, reset_state)
    ours = dl.optimizers.lookahead(optax.sgd(0.2, momentum=0.9), 3, 0.5, reset_state)
    pair = optax.LookaheadParams.init_synced(PARAMS)
    their_state = theirs.init(pair)
    for _ in range(7):
        gradient = jax.tree.map(lambda p, t: p - t, pair.fast, TARGET)
        updates, their_state = theirs.update(gradient, their_state, pair)
        pair = optax.apply_updates(pair, updates)
    _, state = jax.jit(lambda: descend(ours, 7))()
    slow = optax.tree.get(state.opt_state, "slow")
    for found, expected in ((state.params, pair.fast), (slow, pair.slow)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


def test_schedule_free_has_parameters_to_evaluate():
    """Catches an optax that changes the form in which docs/optimizers.md reads them."""
    optimizer = contrib.schedule_free_sgd(0.5)
    _, state = jax.jit(lambda: descend(optimizer, 20))()
    evaluated = contrib.schedule_free_eval_params(state.opt_state, state.params)
    assert jax.tree.structure(evaluated) == jax.tree.structure(PARAMS)
    assert any(bool((evaluated[name] != leaf).any()) for name, leaf in state.params.items())
    assert float(optax.tree.norm(optax.tree.sub(evaluated, TARGET))) < float(optax.tree.norm(PARAMS))
