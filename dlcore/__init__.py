"""dlcore: experiments on how neural networks train, as pure functions compiled by JAX."""

from dlcore import data, evidence, generation, losses, metrics, models, optimizers, plots, tasks, textbook
from dlcore.core.errors import ArgumentError, DataError, DlcoreError
from dlcore.core.model import Model
from dlcore.core.training import Training, training
from dlcore.core.update import State
from dlcore.nn import activations, initializers
from dlcore.nn.adapters import from_nnx
from dlcore.nn.linen_adapter import from_linen
from dlcore.nn.masked import Masked
from dlcore.study.results import final_params
from dlcore.study.setup import setup
from dlcore.study.store import load, save
from dlcore.study.sweep import run, sweep

__all__ = [
    "ArgumentError",
    "DataError",
    "DlcoreError",
    "Masked",
    "Model",
    "State",
    "Training",
    "activations",
    "data",
    "evidence",
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
    "plots",
    "run",
    "save",
    "setup",
    "sweep",
    "tasks",
    "textbook",
    "training",
]
