"""Traced functions that compute the same are known again; others never."""

import functools
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

import dlcore as dl
from dlcore.engine import devices
from dlcore.engine.equations import equations_of

X = jnp.ones(3)


def traced(function, *arguments):
    return equations_of(jax.make_jaxpr(function)(*(arguments or (X,))).jaxpr)


@jax.custom_jvp
def doubled(x):
    return 2 * x


doubled.defjvp(lambda primals, tangents: (doubled(*primals), 3 * tangents[0]))


@jax.custom_vjp
def halved(x):
    return x / 2


halved.defvjp(lambda x: (halved(x), None), lambda _, cotangent: (cotangent,))

# Each is written so that a new function, and mostly new inner functions, are made for each trace.
FUNCTIONS = {
    "sum": lambda: lambda x: x + 1.0,
    "difference": lambda: lambda x: x - 1.0,
    "other order": lambda: lambda x: 1.0 + x,
    "zero": lambda: lambda x: x * 0.0,
    "negative zero": lambda: lambda x: x * -0.0,
    "NaN": lambda: lambda x: x * np.nan,
    "two results": lambda: lambda x: (x + 1.0, x),
    "two results, turned": lambda: lambda x: (x, x + 1.0),
    "an array inside": lambda: lambda x: jax.jit(lambda y: y + np.float32([1, 2, 3]))(x),
    "another array inside": lambda: lambda x: jax.jit(lambda y: y + np.float32([1, 2, 4]))(x),
    "sorted": lambda: lambda x: jnp.sort(x),
    "sorted downwards": lambda: lambda x: jnp.sort(x, descending=True),
    "loop": lambda: lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 2, x),
    "longer loop": lambda: lambda x: jax.lax.fori_loop(0, 4, lambda i, y: y * 2, x),
    "other loop": lambda: lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 3, x),
    "scan": lambda: lambda x: jax.lax.scan(lambda c, y: (c + y, c), 0.0, x),
    "scan backwards": lambda: lambda x: jax.lax.scan(lambda c, y: (c + y, c), 0.0, x, reverse=True),
    "condition": lambda: lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    "condition, turned": lambda: lambda x: jax.lax.cond(x[0] > 0, jnp.cos, jnp.sin, x),
    "product": lambda: lambda x: jnp.dot(x, x),
    "precise product": lambda: lambda x: jnp.dot(x, x, precision="highest"),
    "gradient": lambda: jax.grad(lambda x: jnp.sum(jax.nn.relu(x) ** 2)),
    "custom derivative": lambda: lambda x: doubled(x),
    "custom gradient": lambda: lambda x: halved(x),
    "drawn": lambda: lambda x: jax.random.normal(jax.random.key(0), (3,)) + x,
    "drawn from another key": lambda: lambda x: jax.random.normal(jax.random.key(1), (3,)) + x,
    "double": lambda: lambda x: x.astype(jnp.float16),
    "integers": lambda: lambda x: x.astype(jnp.int32),
    "named scope": lambda: lambda x: x / 3.0,
    "mapped": lambda: jax.vmap(lambda x: x * 2.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_known_again(name):
    """Catches a function that is not known again, and is lowered in every call."""
    first = traced(FUNCTIONS[name]())
    assert first is not None
    jax.clear_caches()
    assert traced(FUNCTIONS[name]()) is first


def test_told_apart():
    """Catches a program that runs in place of another one."""
    found = [traced(make()) for make in FUNCTIONS.values()]
    assert len(set(found)) == len(FUNCTIONS)


@pytest.mark.parametrize(
    "other", [jnp.ones(4), jnp.ones(3, jnp.int32), jnp.ones((3, 1)), 1.0, jnp.float32(1), jax.random.key(0)]
)
def test_types_are_told_apart(other):
    """Catches a program for arguments of another shape or dtype, or of a weak type."""
    function = jax.random.bits if jnp.issubdtype(jnp.asarray(other).dtype, jax.dtypes.prng_key) else jnp.negative
    assert traced(function, other) is not traced(jnp.negative)
    assert traced(jnp.negative, 1.0) is not traced(jnp.negative, jnp.float32(1))


def test_captured_arrays_are_arguments():
    """Catches data in what is kept: captured arrays are no part of a program."""
    assert traced(lambda x: x + jnp.arange(3.0)) is traced(lambda x: x + jnp.arange(3.0))

    data = jnp.arange(100_000.0)
    held = weakref.ref(data)
    assert traced(functools.partial(lambda data, x: x[0] + data, data)) is not None
    del data
    jax.clear_caches()
    assert held() is None


@jax.custom_batching.custom_vmap
def mapped_its_own_way(x):
    return x


mapped_its_own_way.def_vmap(lambda size, batched, x: (x + size, batched[0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jax.pure_callback(np.sin, x, x),
        lambda x: jax.lax.scan(lambda c, y: (jax.pure_callback(np.sin, c, c), y), x[0], x),
        mapped_its_own_way,
        lambda x: jax.jit(lambda y: y[0] + np.ones((30_000, 3), np.float32))(x),
    ],
    ids=["Python", "Python in a loop", "a rule of the user's", "a large array inside"],
)
def test_what_cannot_be_compared_is_lowered(function):
    """Catches a function of Python that is taken for another one."""
    assert traced(function) is None


@pytest.fixture
def lowerings():
    """How many programs JAX has lowered."""
    events: list[str] = []

    def listen(event, *_, **__):
        events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield lambda: sum("jaxpr_to_mlir" in event for event in events)
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_study_called_again_lowers_nothing(lowerings):
    """Catches the overhead of a repeated call: lowering takes twice as long as tracing."""
    dl.sweep(small.fit, seed=np.arange(2), learning_rate=np.float32([0.1]))
    before = lowerings()
    assert before
    dl.sweep(small.fit, seed=np.arange(3), learning_rate=np.float32([0.2, 0.3]))
    dl.sweep(small.fit, seed=np.arange(1), learning_rate=np.float32([0.1]))
    assert lowerings() == before


def test_what_a_function_closes_over_may_change():
    """Catches a study called again that runs the program of what its function was before."""
    settings = {"decay": 0.5, "start": 1.0}

    def fit(seed):
        decay, start = settings["decay"], settings["start"]
        return dl.Training(lambda: seed * 0.0 + start, lambda x: (x * decay, {"x": x * decay}), num_records=1)

    found = []
    for change in ({}, {"decay": 0.25}, {"start": 3.0}):
        settings.update(change)
        found.append(dl.sweep(fit, seed=np.arange(1)).x.item())
    assert found == [0.5, 0.25, 0.75]


def test_settings_of_jax_are_part_of_a_program(lowerings):
    """Catches a program with the precision, or the random numbers, of another setting."""
    sweep = functools.partial(dl.sweep, small.fit, seed=np.arange(1), learning_rate=np.float32([0.1]))
    one = sweep()
    before = lowerings()
    with jax.default_matmul_precision("highest"):
        sweep()
    assert lowerings() > before
    with jax.threefry_partitionable(False):
        other = sweep()
    assert not one.equals(other)
    assert one.equals(sweep())


@pytest.mark.heavy
@pytest.mark.parametrize("lanes", [1, 4])
def test_known_programs_are_those_lowered_anew(lanes, monkeypatch):
    """Catches a program known again whose text is another: all are lowered, and compared."""
    kept = devices._descriptions
    compared = []

    class Compared(type(kept)):
        def get(self, key):
            return None

        def put(self, key, value):
            known = kept.get(key)
            if known:
                assert value == known
                compared.append(key)
            kept.put(key, value)

    monkeypatch.setattr(devices, "_descriptions", Compared())
    task = small.CLASSIFICATION

    def fit(seed, rate, width):
        optimizer = [optax.sgd(rate), optax.adam(rate), optax.sgd(rate, momentum=0.9)][width]
        return dl.training(
            jax.random.key(seed),
            task,
            optimizer,
            batch_size=2 + width,
            num_epochs=2,
            keep_best="train_loss" if width else None,
            observe={"norm": lambda seen: optax.tree.norm(seen.gradient)},
        )

    for _ in range(3):
        dl.sweep(fit, width=[0, 1, 2], seed=np.arange(2), rate=np.float32([0.1]), lane_width=lanes, along="epoch")
    assert len(compared) >= 12
