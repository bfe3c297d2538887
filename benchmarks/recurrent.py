"""How fast: an LSTM next to PyTorch's, alone and eight at once, and the writing of text."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, PartitionSpec

import dlcore as dl
from benchmarks.measurements import Numbers
from benchmarks.timing import installed, take_turns

NUM_STEPS, BATCH_SIZE, WIDTH, NUM_NETWORKS, NUM_UPDATES = 64, 32, 256, 8, 4
LEARNING_RATE = 1e-3
NUM_CHARACTERS = 1000


def recurrent(repeats: int) -> Numbers:
    """Milliseconds of forward, backward and SGD update of an LSTM 256 on 64 steps, batch 32, for each network."""
    inputs = np.random.default_rng(0).normal(size=(BATCH_SIZE, NUM_STEPS, WIDTH)).astype(np.float32)
    model = dl.models.recurrent(WIDTH, WIDTH, 1)
    data = dl.data.Dataset(dl.data.Split(inputs, inputs[:, 0, 0]), name="noise")
    task = dl.tasks.regression(model, data)

    def fit(seed, learning_rate):
        optimizer = optax.sgd(learning_rate)
        steps = {"batch_size": "full", "num_steps": NUM_UPDATES, "record_every": NUM_UPDATES, "evaluate": ()}
        return dl.training(jax.random.key(seed), task, optimizer, **steps)

    one = fit(0, LEARNING_RATE)
    alone = jax.jit(one.advance)
    together = jax.jit(jax.vmap(lambda seed, state: fit(seed, LEARNING_RATE).advance(state)))
    seeds = jnp.arange(NUM_NETWORKS)
    state, states = jax.jit(one.init)(), jax.jit(jax.vmap(lambda seed: fit(seed, LEARNING_RATE).init()))(seeds)

    # As `dl.sweep` shares out its runs: each device takes one of these networks after the other.
    mesh = Mesh(np.asarray(jax.devices()), ("runs",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("runs")
    lanes = jax.jit(
        jax.shard_map(
            lambda seeds, states: jax.lax.map(lambda run: fit(run[0], LEARNING_RATE).advance(run[1]), (seeds, states)),
            mesh=mesh,
            in_specs=spec,
            out_specs=spec,
            check_vma=False,
        )
    )
    sides = {
        "one": lambda: jax.block_until_ready(alone(state)),
        "vmap": lambda: jax.block_until_ready(together(seeds, states)),
        "lanes": lambda: jax.block_until_ready(lanes(seeds, states)),
        **_pytorch(inputs),
    }
    seconds = take_turns(sides, repeats)
    milliseconds = {name: 1e3 * value / NUM_UPDATES for name, value in seconds.items()}
    each = {"vmap": milliseconds["vmap"] / NUM_NETWORKS, "lanes": milliseconds["lanes"] / NUM_NETWORKS}
    results: Numbers = {
        "one_ms": milliseconds["one"],
        "vmap_ms_per_network": each["vmap"],
        "lanes_ms_per_network": each["lanes"],
    }
    if "pytorch" in milliseconds:
        theirs = milliseconds["pytorch"]
        results |= {
            "pytorch_ms": theirs,
            "pytorch_over_one": theirs / milliseconds["one"],
            "pytorch_over_vmap": theirs / each["vmap"],
            "pytorch_over_lanes": theirs / each["lanes"],
        }
    return results


def _pytorch(inputs: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The same updates by PyTorch, with its default number of threads; nothing where it is not installed."""
    torch = installed("torch")
    if torch is None:
        return {}
    lstm, head = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True), torch.nn.Linear(WIDTH, 1)
    optimizer = torch.optim.SGD([*lstm.parameters(), *head.parameters()], lr=LEARNING_RATE)
    x, y = torch.from_numpy(inputs), torch.from_numpy(inputs[:, 0, 0].copy())

    def run():
        for _ in range(NUM_UPDATES):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(head(lstm(x)[1][0][0])[:, 0], y)
            loss.backward()
            optimizer.step()

    return {"pytorch": run}


def generation(repeats: int) -> Numbers:
    """Seconds to write 1 000 characters greedily with an LSTM 256."""
    data = dl.data.english()
    vocabulary = data.input_vocabulary
    assert vocabulary is not None
    model = dl.models.recurrent(32, WIDTH, len(vocabulary), num_tokens=len(vocabulary), output="all")
    params, state = model.init(jax.random.key(0))
    prompt = vocabulary.encode("The ")[None]
    write = functools.partial(dl.generation.generate_greedily, model, params, state, prompt, NUM_CHARACTERS)
    return {"greedy_s": take_turns({"greedy": lambda: jax.block_until_ready(write())}, repeats)["greedy"]}
