"""The work written out in JAX alone, as purejaxrl and rejax do: a run is a function of its seed, mapped and compiled.

One virtual device a core is all that is set; the lanes of a device are as many as dlcore takes. The order of an epoch
is `jax.random.permutation`, a sort, in `study_sorted` and `start`, and dlcore's cheaper one in the others, so that they
are the same program as dlcore's. XLA has its defaults but in `study_set_up`.
"""

import math
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, PartitionSpec

from benchmarks.peers.work import LARGEST_NORM, MOMENTUM, PENALTY, Data, Finished, Side, Work, steps

Permutation = Callable[[jax.Array, int], jax.Array]
LAYOUT = ("NHWC", "HWIO", "NHWC")
NUM_CLASSES = 10
LANES = {"mlp": 4, "cnn": 1, "lstm": 1, "logistic": 64}


def setup() -> None:
    """One device a core, which has to be said before JAX starts."""
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def init(network: str, key: jax.Array, shape: tuple[int, ...], num_classes: int) -> list[tuple[jax.Array, ...]]:
    """Weights and biases of each layer."""
    if network == "lstm":
        sizes = [(shape[1] + 256, 4 * 256), (256, num_classes)]
    elif network == "cnn":
        features = 64 * (shape[0] // 4) * (shape[1] // 4)
        sizes = [(3, 3, shape[2], 32), (3, 3, 32, 64), (features, 128), (128, num_classes)]
    else:
        sizes = [(*shape, 128), (128, num_classes)]
    make = jax.nn.initializers.lecun_normal()
    keys = jax.random.split(key, len(sizes))
    return [(make(key, size), jnp.zeros(size[-1])) for key, size in zip(keys, sizes, strict=True)]


def forward(network: str, params: list[tuple[jax.Array, ...]], x: Any) -> jax.Array:
    """[B, ...] -> logits [B, num_classes]."""
    if network == "lstm":
        (weights, bias), (head, head_bias) = params

        def cell(carry, x):
            hidden, memory = carry
            gates = jnp.concatenate([x, hidden], -1) @ weights + bias
            inputs, forget, output, new = jnp.split(gates, 4, -1)
            memory = jax.nn.sigmoid(forget + 1) * memory + jax.nn.sigmoid(inputs) * jnp.tanh(new)
            return (jax.nn.sigmoid(output) * jnp.tanh(memory), memory), None

        zeros = jnp.zeros((len(x), 256))
        (hidden, _), _ = lax.scan(cell, (zeros, zeros), x.swapaxes(0, 1))
        return hidden @ head + head_bias
    if network == "cnn":
        for kernel, bias in params[:2]:
            x = jax.nn.relu(lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT) + bias)
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x, params = x.reshape(len(x), -1), params[2:]
    (w1, b1), (w2, b2) = params
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def fit(work: Work, permutation: Permutation, seed: jax.Array, rate: jax.Array, data: Data) -> jax.Array:
    """One run: its test accuracy after each epoch [num_epochs]."""
    x, y, test_x, test_y = data
    num_batches = len(x) // work.batch_size
    first, order = jax.random.split(jax.random.key(seed))
    params = init(work.network, first, x.shape[1:], NUM_CLASSES)

    def loss(params, rows):
        logits = forward(work.network, params, x[rows])
        chosen = jnp.take_along_axis(logits, y[rows][:, None], 1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)

    def step(carry, rows):
        params, velocity = carry
        gradient = jax.grad(loss)(params, rows)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient)))
        scale = jnp.where(norm < LARGEST_NORM, 1.0, LARGEST_NORM / norm)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + scale * g, velocity, gradient)
        return (jax.tree.map(lambda p, v: p - rate * v, params, velocity), velocity), None

    def epoch(carry, number):
        rows = permutation(jax.random.fold_in(order, number), len(x))[: num_batches * work.batch_size]
        carry, _ = lax.scan(step, carry, rows.reshape(num_batches, work.batch_size))
        return carry, jnp.mean(forward(work.network, carry[0], test_x).argmax(1) == test_y)

    start = (params, jax.tree.map(jnp.zeros_like, params))
    return lax.scan(epoch, start, jnp.arange(work.num_epochs))[1]


def logistic_fit(work: Work, permutation: Permutation, seed: jax.Array, rate: jax.Array, data: Data) -> jax.Array:
    """One run of single-sample SGD: the accuracy of the training set at the end [1]."""
    x, y = data.inputs, data.labels.astype(jnp.float32)
    key = jax.random.key(seed)

    def loss(params, row):
        weights, bias = params
        logit = x[row] @ weights + bias
        penalty = PENALTY / 2 * (jnp.sum(weights**2) + bias**2)
        return jax.nn.softplus(logit) - y[row] * logit + penalty

    def step(params, row):
        gradient = jax.grad(loss)(params, row)
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient), None

    def epoch(params, number):
        return lax.scan(step, params, permutation(jax.random.fold_in(key, number), len(x)))[0], None

    start = (jnp.zeros(x.shape[1]), jnp.zeros(()))
    (weights, bias), _ = lax.scan(epoch, start, jnp.arange(work.num_epochs))
    return jnp.mean((x @ weights + bias > 0) == (y > 0))[None]


def mapped(work: Work, permutation: Permutation) -> Any:
    """The compiled program of seeds [n], rates [n] and data: accuracies [n, records], shared out to the devices."""
    run = logistic_fit if work.network == "logistic" else fit
    num_lanes = math.gcd(len(work.pairs) // jax.device_count(), LANES[work.network])

    def lanes(seeds, rates, data):
        one_lane = jax.vmap(lambda seed, rate: run(work, permutation, seed, rate, data))
        groups = (seeds.reshape(-1, num_lanes), rates.reshape(-1, num_lanes))
        found = lax.map(lambda group: one_lane(*group), groups)
        return found.reshape(len(seeds), -1)

    mesh = Mesh(np.asarray(jax.devices()), ("runs",), axis_types=(AxisType.Auto,))
    runs, everywhere = PartitionSpec("runs"), PartitionSpec()
    specs: Any = {"in_specs": (runs, runs, everywhere), "out_specs": runs, "check_vma": False}
    return jax.jit(jax.shard_map(lanes, mesh=mesh, **specs))


def arguments(pairs: list[tuple[int, float]], data: Data) -> tuple[np.ndarray, np.ndarray, Data]:
    """Of the program: the runs, and the data on a device."""
    seeds, rates = zip(*pairs, strict=True)
    return np.asarray(seeds, np.int32), np.asarray(rates, np.float32), jax.tree.map(jnp.asarray, data)


def study(work: Work, data: Data, permutation: Permutation | None = None) -> Callable[[], Finished]:
    """All runs."""
    setup()
    program = mapped(work, permutation or _cheap_permutation())
    given = arguments(work.pairs, data)
    return lambda: _finished(work, data, work.pairs, program(*given))


def study_sorted(work: Work, data: Data) -> Callable[[], Finished]:
    """All runs, shuffled by `jax.random.permutation`."""
    return study(work, data, jax.random.permutation)


def study_set_up(work: Work, data: Data) -> Callable[[], Finished]:
    """All runs, with what `dl.setup` sets of XLA, one flag of which avoids crashes and costs time."""
    import dlcore as dl

    dl.setup(cache=False)
    return study(work, data)


def one(work: Work, data: Data, permutation: Permutation | None = None) -> Callable[[], Finished]:
    """The first of the few runs."""
    setup()
    shuffle, run = permutation or _cheap_permutation(), logistic_fit if work.network == "logistic" else fit
    program = jax.jit(lambda seed, rate, data: run(work, shuffle, seed, rate, data))
    given = jax.tree.map(jnp.asarray, data)
    return lambda: _finished(work, data, list(work.few[:1]), program(*work.few[0], given)[None])


def start(work: Work, data: Data) -> Callable[[], Finished]:
    """The same by JAX alone: nothing of dlcore is imported."""
    return one(work, data, jax.random.permutation)


def repeated_calls(work: Work, data: Data) -> Callable[[], Finished]:
    """The jitted function called again, and its compiled program alone."""
    setup()
    program = mapped(work, _cheap_permutation())
    given = arguments(work.pairs, data)
    compiled = program.lower(*given).compile()

    def run():
        began = time.perf_counter()
        found = jax.block_until_ready(program(*given))
        between = time.perf_counter()
        jax.block_until_ready(compiled(*given))
        seconds = {"same": between - began, "program": time.perf_counter() - between}
        return _finished(work, data, work.pairs, found)._replace(seconds=seconds)

    return run


def _cheap_permutation() -> Permutation:
    from dlcore.core.order import permutation

    return permutation


def _finished(work: Work, data: Data, pairs: list[tuple[int, float]], found: jax.Array) -> Finished:
    last = np.asarray(found)[:, -1].tolist()
    return Finished([(rate, value) for (_, rate), value in zip(pairs, last, strict=True)], steps(work, data))


PROGRAMS = (study, study_sorted, study_set_up, one, start, repeated_calls)
SIDES: dict[str, Side] = {program.__name__: program for program in PROGRAMS}
