"""Optimizers, clippings and schedules: traced or not the same, and equal to their formulas."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dlcore import optimizers

RATE, NUM_STEPS = 0.1, 5
STEPS = np.arange(0, 25)

# name: (schedule of a rate, its formula of rate and step in NumPy)
SCHEDULES = {
    "inverse_time": (lambda r: optimizers.inverse_time(r, 4), lambda r, t: r / (1 + t / 4)),
    "step_decay": (lambda r: optimizers.step_decay(r, every=4, factor=0.5), lambda r, t: r * 0.5 ** (t // 4)),
    "warm_up": (
        lambda r: optimizers.warm_up(optimizers.inverse_time(r, 4), num_steps=5),
        lambda r, t: np.where(t < 5, r * t / 5, r / (1 + np.maximum(t - 5, 0) / 4)),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_their_formula(name):
    """Catches a schedule off by a step, floor for a quotient, and a rate that is not traced."""
    schedule, formula = SCHEDULES[name]
    expected = formula(RATE, STEPS.astype(float))
    traced = jax.jit(jax.vmap(lambda r: jax.vmap(lambda t: schedule(r)(t) * jnp.float32(1))(jnp.asarray(STEPS))))
    rates = np.float32([RATE, 2 * RATE])
    values = np.asarray(traced(rates))
    np.testing.assert_allclose(values[0], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(values[1], 2 * expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        [float(schedule(RATE)(t)) for t in (0, 3, 12)], expected[[0, 3, 12]], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("traced", [False, True])
def test_every_period_of_step_decay_drops_on_time(traced):
    """Catches the division by a reciprocal: compiled, 41 / 41 is below 1 in float32, and the drop a step late."""
    periods = np.arange(1, 1501)
    edges = periods[:, None] * np.array([1, 1, 7, 7]) - np.array([1, 0, 1, 0])

    schedule = inspect.unwrap(optimizers.step_decay)  # of all periods in one program

    def rates(periods, steps):
        return schedule(1.0, every=periods, factor=0.5)(steps)

    found = jax.jit(rates)(periods[:, None], edges) if traced else jax.jit(lambda: rates(periods[:, None], edges))()
    np.testing.assert_array_equal(found, np.broadcast_to([1, 0.5, 0.5**6, 0.5**7], edges.shape))
    one = jax.jit(optimizers.step_decay(1.0, every=41, factor=0.5))
    assert [float(one(step)) for step in (40, 41, 81, 82)] == [1, 0.5, 0.5, 0.25]


def test_every_number_of_a_schedule_may_be_traced():
    """Catches a schedule that looks at its number of steps or its factor when it is built."""

    def rates(steps, factor):
        made = [
            optimizers.inverse_time(RATE, steps),
            optimizers.step_decay(RATE, every=steps, factor=factor),
            optimizers.warm_up(optimizers.inverse_time(RATE, steps), num_steps=steps),
        ]
        return jnp.stack(
            [jax.vmap(lambda t, schedule=schedule: schedule(t) * jnp.float32(1))(STEPS) for schedule in made]
        )

    for steps in (jnp.int32(4), jnp.float32(4)):
        np.testing.assert_allclose(jax.jit(rates)(steps, jnp.float32(0.5)), rates(4, 0.5), rtol=1e-6)


PARAMS = {"kernel": np.linspace(-1, 1, 6).reshape(2, 3).astype(np.float32), "bias": np.float32([0.5, -2.0, 1.0])}
TARGET = jax.tree.map(lambda leaf: 3 * np.flip(leaf), PARAMS)


def descend(rate, name, clip=None, schedule=None):
    """Parameters after some steps toward a quadratic's minimum."""
    optimizer = optimizers.by_name(name, SCHEDULES[schedule][0](rate) if schedule else rate, clip=clip, clip_at=0.3)

    def step(carry, _):
        params, state = carry
        gradient = jax.tree.map(lambda p, t: p - t, params, TARGET)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    params = jax.tree.map(jnp.asarray, PARAMS)
    return jax.lax.scan(step, (params, optimizer.init(params)), length=NUM_STEPS)[0][0]


CLIPS = [None, *optimizers.CLIPPINGS]


@pytest.mark.parametrize("schedule", [None, *SCHEDULES])
@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_combination_takes_a_traced_rate(name, schedule):
    """Catches a check or a branch on the value of the rate, and a state whose types change in a step."""
    for clip in CLIPS:
        mapped = jax.vmap(lambda rate, clip=clip: descend(rate, name, clip, schedule))
        params = jax.eval_shape(mapped, jax.ShapeDtypeStruct((2,), np.float32))
        assert jax.tree.map(lambda leaf: leaf.shape[1:], params) == jax.tree.map(np.shape, PARAMS)
        assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(("name", "position"), [(name, i) for i, name in enumerate(optimizers.OPTIMIZERS)])
def test_a_traced_rate_equals_a_known_one(name, position):
    """Catches a rate of another lane, or one that is read at trace time; each clipping and schedule comes once."""
    pairs = [
        (CLIPS[(position + i) % len(CLIPS)], list(SCHEDULES)[(2 * position + i) % len(SCHEDULES)]) for i in range(2)
    ]

    def descended(rate):
        return [descend(rate, name, clip, schedule) for clip, schedule in pairs]

    rates = np.float32([0.02, RATE])
    traced = jax.jit(jax.vmap(descended))(rates)
    for position, rate in enumerate(rates):
        jax.tree.map(
            lambda a, b, k=position: np.testing.assert_allclose(a[k], b, rtol=1e-4, atol=1e-5),
            traced,
            descended(float(rate)),
        )
        for params in traced:
            assert (np.asarray(params["kernel"])[position] != PARAMS["kernel"]).any()


def numpy_descent(update):
    """The same descent with an update rule of (gradient, memory, t) -> (change, memory), in float64."""
    params, target = (np.concatenate([np.ravel(tree["bias"]), np.ravel(tree["kernel"])]) for tree in (PARAMS, TARGET))
    params, memory = params.astype(float), (np.zeros(9), np.zeros(9))
    for t in range(1, NUM_STEPS + 1):
        change, memory = update(params - target, memory, t)
        params = params - RATE * change
    return params


def momentum(g, memory, t):
    """Polyak's heavy ball, 0.9."""
    return (v := 0.9 * memory[0] + g), (v, v)


def nesterov(g, memory, t):
    """Momentum looking ahead."""
    return 0.9 * (v := 0.9 * memory[0] + g) + g, (v, v)


def adam(g, memory, t):
    """Kingma and Ba 2015, algorithm 1."""
    m, v = 0.9 * memory[0] + 0.1 * g, 0.999 * memory[1] + 0.001 * g**2
    return (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), (m, v)


@pytest.mark.parametrize(
    ("name", "rule"), [("sgd", lambda g, m, t: (g, m)), ("momentum", momentum), ("nesterov", nesterov), ("adam", adam)]
)
def test_optimizers_equal_their_rule(name, rule):
    """Catches a name bound to another optimizer or other constants."""
    params = jax.jit(lambda rate: descend(rate, name))(np.float32(RATE))
    found = np.concatenate([np.ravel(params["bias"]), np.ravel(params["kernel"])])
    np.testing.assert_allclose(found, numpy_descent(rule), rtol=1e-4, atol=1e-5)


def clipped(kind, bound, gradient):
    """What is left of a gradient by that clipping."""
    optimizer = optimizers.by_name("sgd", 1.0, clip=kind, clip_at=bound)
    updates, _ = optimizer.update(gradient, optimizer.init(PARAMS), jax.tree.map(jnp.asarray, PARAMS))
    return jax.tree.map(lambda leaf: -np.asarray(leaf), updates)


GRADIENT = jax.tree.map(lambda leaf: jnp.asarray(4 * leaf), PARAMS)
NORM = math.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(GRADIENT)))


def test_clipping_by_value():
    """Catches clipping by the norm, and of one side only."""
    for name, leaf in clipped("value", 0.5, GRADIENT).items():
        np.testing.assert_allclose(leaf, np.clip(4 * PARAMS[name], -0.5, 0.5), rtol=1e-6)


@pytest.mark.parametrize(("bound", "factor"), [(0.5, 0.5 / NORM), (1000.0, 1.0)])
def test_clipping_by_global_norm(bound, factor):
    """Catches a norm of each array by itself, and small gradients scaled up."""
    for name, leaf in clipped("global_norm", bound, GRADIENT).items():
        np.testing.assert_allclose(leaf, 4 * factor * PARAMS[name], rtol=1e-5)


def test_adaptive_clipping():
    """Catches a bound that does not scale with each unit's weights; the gradient is 4 times the weights throughout."""
    for name, leaf in clipped("adaptive", 0.01, GRADIENT).items():
        np.testing.assert_allclose(leaf, 0.01 * PARAMS[name], rtol=1e-4, atol=1e-6)
    for name, leaf in clipped("adaptive", 5.0, GRADIENT).items():
        np.testing.assert_allclose(leaf, 4 * PARAMS[name], rtol=1e-5)


def test_the_bound_may_be_traced():
    """Catches a comparison of the bound in Python."""
    bounds = jnp.array([0.1, 0.5])

    def norm(bound):
        optimizer = optimizers.by_name("sgd", 1.0, clip="global_norm", clip_at=bound)
        return optax.tree.norm(optimizer.update(GRADIENT, optimizer.init(PARAMS), PARAMS)[0])

    np.testing.assert_allclose(jax.jit(jax.vmap(norm))(bounds), bounds, rtol=1e-5)


def test_inverse_time_without_decay_is_constant():
    """Catches inf / inf and 0 * inf, with the time of decay known or traced."""
    rates = jax.jit(jax.vmap(lambda decay, step: optimizers.inverse_time(RATE, decay)(step), in_axes=(None, 0)))
    np.testing.assert_allclose(rates(jnp.float32(jnp.inf), jnp.arange(0, 10**6, 10**5)), RATE, rtol=1e-6)
    assert float(optimizers.inverse_time(RATE, math.inf)(10**6)) == pytest.approx(RATE)


def test_a_rate_of_zero_stands_still():
    """Catches zero refused, which is a control in experiments."""
    for name in optimizers.OPTIMIZERS:
        params = jax.jit(lambda rate, name=name: descend(rate, name))(jnp.float32(0))
        jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
