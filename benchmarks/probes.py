"""What probes cost: each in turns with the gradient of the same split, both compiled, on a network of digits."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dlcore as dl
from benchmarks.measurements import Numbers
from benchmarks.timing import Part
from dlcore.core.dataset import on_device
from dlcore.core.task import Task

WIDTHS = [64, 128, 10]
ITERATIONS, SAMPLES, KERNEL_ROWS = 20, 32, 128

# name: (the probe, what it is)
PROBES: dict[str, tuple[Callable[[dl.probes.Observation], Any], str]] = {
    "layer_norms": (lambda seen: dl.probes.layer_norms(seen.gradient), "norms of the layers of a gradient"),
    "update_ratios": (dl.probes.update_ratios, "norms of updates over those of weights"),
    "unit_symmetry": (
        lambda seen: dl.probes.unit_symmetry(seen.state.params),
        "distances between the units of each layer",
    ),
    "activations": (dl.probes.activations, "statistics of hidden layers"),
    "sharpness": (
        functools.partial(dl.probes.sharpness, num_iterations=ITERATIONS),
        f"{ITERATIONS} iterations of Lanczos",
    ),
    "hessian_trace": (
        functools.partial(dl.probes.hessian_trace, num_samples=SAMPLES),
        f"{SAMPLES} samples of Hutchinson's estimator",
    ),
    "gradient_noise": (dl.probes.gradient_noise, "gradients of all examples"),
    "two_batch_noise": (
        functools.partial(dl.probes.two_batch_noise, small=32, big=1024),
        "32 gradients of 32 examples",
    ),
    "tangent_kernel": (
        functools.partial(dl.probes.tangent_kernel, num_rows=KERNEL_ROWS),
        f"the tangent kernel of {KERNEL_ROWS} examples, 10 outputs each",
    ),
}


def observed(task: Task) -> dl.probes.Observation:
    """A network at its start, with its gradient in place of updates too."""
    params, model_state = task.model.init(jax.random.key(0))
    gradient = jax.grad(lambda p: task.objective(p, model_state, on_device(task.data.train))[0])(params)
    return dl.probes.Observation(dl.State(jnp.zeros((), jnp.int32), params, model_state, ()), task, gradient, gradient)


def compared(name: str, repeats: int) -> Numbers:
    """Milliseconds of a probe and of the gradient, and the median of their ratios."""
    probe, _ = PROBES[name]
    task = dl.tasks.classification(dl.models.mlp(WIDTHS, activation="tanh"), dl.data.digits())
    seen = observed(task)

    def gradient(state, gradient):
        rows = on_device(task.data.train)
        return jax.grad(lambda params: task.objective(params, state.model_state, rows)[0])(state.params)

    def probed(state, gradient):
        return probe(dl.probes.Observation(state, task, gradient, gradient))

    compiled = [jax.jit(function) for function in (gradient, probed)]
    rounds = [[_seconds(each, seen) for each in compiled] for _ in range(repeats + 1)][1:]
    gradients, probes = np.array(rounds).T
    return {
        "milliseconds": 1e3 * probes,
        "gradient_milliseconds": 1e3 * gradients,
        "gradients": probes / gradients,
    }


def _seconds(function: Callable[..., Any], seen: dl.probes.Observation, least: float = 0.05) -> float:
    """Of one call, among as many as take `least` seconds."""
    calls, began = 0, time.perf_counter()
    while not calls or time.perf_counter() - began < least:
        jax.block_until_ready(function(seen.state, seen.gradient))
        calls += 1
    return (time.perf_counter() - began) / calls


def _part(name: str) -> Part:
    part = functools.partial(compared, name)
    part.__doc__ = PROBES[name][1]
    return part


PARTS: dict[str, Part] = {name: _part(name) for name in PROBES}
