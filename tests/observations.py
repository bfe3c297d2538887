"""What observers get, of small networks, for the tests of probes."""

import jax
import jax.numpy as jnp
import optax

import dlcore as dl
from dlcore.core.dataset import on_device
from dlcore.core.update import make_update


def observed(task, seed=0, rate=0.1):
    """An `Observation` of a task after one step of full-batch descent."""
    key, optimizer = jax.random.key(seed), optax.sgd(rate)

    @jax.jit
    def stepped():
        params, model_state = task.model.init(key)
        state = dl.State(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(params))
        return make_update(key, task, optimizer)(state, on_device(task.data.train), None)

    state, step = stepped()
    return dl.probes.Observation(state, task, step.gradient, step.updates)


def recorded(probe, seen, *args, **options):
    """What a probe gives in a compiled program, as in a run; its labels come out as well."""

    @jax.jit
    def program(state, gradient, updates):
        return probe(dl.probes.Observation(state, seen.task, gradient, updates), *args, **options)

    return program(seen.state, seen.gradient, seen.updates)
