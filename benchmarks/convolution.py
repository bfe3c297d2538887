"""How fast a small convolutional network trains: alone, in a loop, eight at once, and next to PyTorch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import AxisType, Mesh, PartitionSpec

import dlcore as dl
from benchmarks.measurements import Numbers
from benchmarks.timing import installed, take_turns

NUM_STEPS, NUM_EXAMPLES, BATCH_SIZE, NUM_NETWORKS = 5, 256, 64, 8
IMAGE_SHAPE = (32, 32, 3)


def convolution(repeats: int) -> Numbers:
    """A training step of a 32-64-128-10 convolutional network, batch 64: milliseconds a step and network."""
    random = np.random.default_rng(0)
    images = random.random((NUM_EXAMPLES, *IMAGE_SHAPE), np.float32)
    labels = random.integers(0, 10, NUM_EXAMPLES).astype(np.int32)
    task = dl.tasks.classification(
        dl.models.convolutional(IMAGE_SHAPE, [32, 64], 10, head=[128]),
        dl.data.Dataset(dl.data.Split(images, labels), name="random"),
    )
    sides = {**_ours(task), **_pytorch(images, labels)}
    seconds = take_turns(sides, repeats)
    networks = {"mapped": NUM_NETWORKS, "lanes": NUM_NETWORKS}
    cost = {side: 1e3 * value / NUM_STEPS / networks.get(side, 1) for side, value in seconds.items()}
    results: Numbers = {
        **{f"{side}_ms": value for side, value in cost.items()},
        "step_over_scan": cost["step"] / cost["scan"],
        "scan_over_mapped": cost["scan"] / cost["mapped"],
        "scan_over_lanes": cost["scan"] / cost["lanes"],
    }
    if "pytorch" in sides:
        results |= {f"pytorch_over_{side}": cost["pytorch"] / cost[side] for side in ("scan", "mapped", "lanes")}
    return results


def _ours(task: dl.tasks.Task) -> dict[str, Callable[[], Any]]:
    """A step called alone, in a scan, in a scan of 8 mapped networks, and 8 networks as `dl.sweep` has them.

    Their state is so large that `dl.sweep` chooses lanes of one network: each device takes one after the other.
    """
    optimizer = optax.sgd(0.01)
    inputs, labels = map(jnp.asarray, task.data.train)

    def start(seed):
        return task.model.init(jax.random.key(seed))

    def step(carry, number, inputs, labels):
        rows = (number * BATCH_SIZE + jnp.arange(BATCH_SIZE)) % NUM_EXAMPLES
        batch = dl.data.Split(inputs[rows], labels[rows])
        params, state = carry
        gradient, (_, state) = jax.grad(task.objective, has_aux=True)(params, state, batch, train=True)
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        return optax.apply_updates(params, updates), state

    def train(carry, inputs, labels):
        return lax.scan(lambda c, n: (step(c, n, inputs, labels), None), carry, jnp.arange(NUM_STEPS))[0]

    mapped = jax.vmap(train, (0, None, None))
    mesh = Mesh(np.asarray(jax.devices()), ("runs",), axis_types=(AxisType.Auto,))
    runs, everywhere = PartitionSpec("runs"), PartitionSpec()

    def one_after_the_other(carries, inputs, labels):
        return lax.map(lambda carry: train(carry, inputs, labels), carries)

    specs: Any = {"in_specs": (runs, everywhere, everywhere), "out_specs": runs, "check_vma": False}
    lanes = jax.shard_map(one_after_the_other, mesh=mesh, **specs)
    one, several = jax.jit(start)(0), jax.jit(jax.vmap(start))(jnp.arange(NUM_NETWORKS))
    alone = jax.jit(step)

    def steps():
        carry = one
        for number in range(NUM_STEPS):
            carry = alone(carry, number, inputs, labels)
        jax.block_until_ready(carry)

    def program(function, carry):
        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(carry, inputs, labels))

    return {
        "step": steps,
        "scan": program(train, one),
        "mapped": program(mapped, several),
        "lanes": program(lanes, several),
    }


def _pytorch(images: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The same steps in PyTorch with its default threads; nothing where it is not installed."""
    torch = installed("torch")
    if torch is None:
        return {}
    nn = torch.nn
    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    loss = nn.CrossEntropyLoss()
    inputs = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.tensor(labels.astype(np.int64))

    def steps():
        for number in range(NUM_STEPS):
            begin = number * BATCH_SIZE % NUM_EXAMPLES
            batch = slice(begin, begin + BATCH_SIZE)
            optimizer.zero_grad()
            loss(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()

    return {"pytorch": steps}
