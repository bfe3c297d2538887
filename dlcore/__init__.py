"""dlcore: experiments on how neural networks train, as pure functions compiled by JAX."""

from dlcore import (
    activations,
    backpropagation,
    data,
    decoding,
    generation,
    initializers,
    losses,
    metrics,
    models,
    optimizers,
    tasks,
)
from dlcore.errors import ArgumentError, DataError, DlcoreError
from dlcore.layers.masked import Masked
from dlcore.model import Model, from_linen, from_nnx
from dlcore.results import final_params
from dlcore.setup import setup
from dlcore.store import load, save
from dlcore.sweep import run, sweep
from dlcore.training import State, Training, training

__all__ = [
    "ArgumentError",
    "DataError",
    "DlcoreError",
    "Masked",
    "Model",
    "State",
    "Training",
    "activations",
    "backpropagation",
    "data",
    "decoding",
    "final_params",
    "from_linen",
    "from_nnx",
    "generation",
    "initializers",
    "load",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "run",
    "save",
    "setup",
    "sweep",
    "tasks",
    "training",
]
