"""Arguments of `dl.evidence`."""

import functools

import jax
import numpy as np
import optax
import xarray as xr

import dlcore as dl


def _history() -> xr.Dataset:
    losses = np.array([[5.0, 3.0, 1.0, 0.5], [5.0, 0.9, 3.0, 0.8]])
    return xr.Dataset({"loss": (("seed", "step"), losses)}, {"seed": [0, 1], "step": [0, 10, 20, 30]})


def _run_rates(rates) -> xr.Dataset:
    return xr.Dataset({"loss": ("learning_rate", np.log(np.asarray(rates)) ** 2)}, {"learning_rate": rates})


@functools.cache
def _training() -> dl.Training:
    task = dl.tasks.regression(dl.models.linear(1, 1), dl.data.from_arrays(np.ones((4, 1)), np.ones((4, 1))))
    return dl.training(jax.random.key(0), task, optax.sgd(0.1), batch_size=2, num_epochs=1, evaluate=())


EXAMPLES = {
    "fit_scaling": lambda: {"batch_sizes": np.array([1, 8, 64]), "steps": np.array([3300.0, 500.0, np.nan])},
    "mean_interval": lambda: {"values": np.array([1.0, 2.0, 4.0]), "level": 0.9},
    "paired_difference": lambda: {"a": np.array([3.0, 4.0, 6.0]), "b": np.array([1.0, 2.0, 3.0]), "level": 0.9},
    "paired_ratio": lambda: {
        "a": np.array([3.0, 4.0, np.nan]),
        "b": np.array([1.0, 2.0, 3.0]),
        "limit_a": 9.0,
        "limit_b": 9.0,
        "level": 0.9,
    },
    "seconds_per_step": lambda: {"trainings": [_training()], "repeats": 1, "seconds": 0.0},
    "slope_interval": lambda: {"x": np.arange(4.0), "y": np.array([1.0, 3.0, 4.0, 8.0]), "level": 0.9},
    "steps_to_target": lambda: {
        "history": _history(),
        "metric": "loss",
        "target": 1.0,
        "along": "step",
        "consecutive": 2,
    },
    "tune": lambda: {
        "run_rates": _run_rates,
        "learning_rates": np.array([0.25, 0.5, 1.0]),
        "score": lambda history: history.loss,
        "max_rounds": 2,
    },
}
