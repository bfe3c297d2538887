"""Arguments of the functions directly under `dl`."""

import functools
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import small
from flax import linen, nnx

import dlcore as dl


def halving(start):
    """A training that compiles in a moment."""
    return dl.Training(lambda: start * 1.0, lambda x: (x / 2, {"x": x / 2}), 2)


@functools.cache
def results():
    """Of a run."""
    return dl.run(small.fit(0, 0.1, num_epochs=1), final_params=True)


@functools.cache
def state():
    """Of a run that can go on."""
    return dl.run(halving(1.0), final_state=True)


@functools.cache
def stored() -> pathlib.Path:
    """A store that is there."""
    path = pathlib.Path(tempfile.mkdtemp()) / "runs.zarr"
    dl.save(results(), path)
    return path


@functools.cache
def kept() -> pathlib.Path:
    """A folder with the store of a study, `halving`."""
    path = pathlib.Path(tempfile.mkdtemp())
    dl.sweep(halving, start=np.array([1.0, 2.0]), store=path / "halving")
    return path


EXAMPLES = {
    "load": lambda: {"path": stored()},
    "save": lambda: {"results": results(), "path": pathlib.Path(tempfile.mkdtemp()) / "runs.zarr"},
    "final_params": lambda: {"results": results(), "model": small.MODEL, "cell": {}},
    "final_state": lambda: {"results": state(), "training": halving(1.0), "cell": {}},
    "best_record": lambda: {"results": results(), "by": "train_loss", "mode": "min"},
    "last_record": lambda: {"results": results()},
    "early_stopping": lambda: {"record": "test_loss", "patience": 2, "min_change": 0.0, "mode": "min"},
    "labeled": lambda: {"values": jnp.ones((2, 3)), "dims": ("row", ("column", ["a", "b", "c"]))},
    "points": lambda: {"dim": ("point",), "parameters": {"start": np.array([1.0, 2.0])}},
    "study": lambda: {"fn": halving, "points": (), "axes": {"start": np.array([1.0, 2.0])}},
    "run": lambda: {
        "training": halving(1.0),
        "start": None,
        "store": None,
        "final_params": False,
        "final_state": False,
        "progress": False,
    },
    "setup": lambda: {"num_devices": jax.device_count(), "cache": False},
    "sweep": lambda: {
        "fn": halving,
        "points": (),
        "along": "step",
        "lane_width": 2,
        "store": pathlib.Path(tempfile.mkdtemp()) / "runs",
        "executor": None,
        "final_params": False,
        "final_state": False,
        "progress": False,
        "axes": {"start": np.array([1.0, 2.0])},
    },
    "studies": lambda: {"folder": kept()},
    "verify": lambda: {"store": kept() / "halving", "fraction": 0.5, "seed": 0},
    "plan": lambda: {
        "fn": halving,
        "points": (),
        "along": "step",
        "lane_width": 2,
        "final_params": False,
        "final_state": False,
        "measure": False,
        "store": pathlib.Path(tempfile.gettempdir()) / "no_store",
        "axes": {"start": np.array([1.0, 2.0])},
    },
    "training": lambda: {
        "key": jax.random.key(0),
        "task": small.CLASSIFICATION,
        "optimizer": optax.sgd(0.1),
        "batch_size": 6,
        "num_epochs": 1,
        "num_steps": None,
        "record_every": "epoch",
        "evaluate": ("train",),
        "sampling": "reshuffle",
        "last_batch": "drop",
        "observe": {"step": lambda seen: seen.state.step},
        "evaluate_params": lambda state: state.params,
        "keep_best": "train_loss",
        "stop": dl.early_stopping("train_loss", patience=2),
        "mesh": jax.make_mesh((1,), ("data",)),
    },
    "from_linen": lambda: {"module": linen.Dense(2), "example_inputs": jnp.ones((1, 4)), "switch": {}},
    "from_nnx": lambda: {"build": lambda rngs: nnx.Linear(4, 2, rngs=rngs), "parts": ()},
}
