"""dlcore: experiments on how neural networks train, as pure functions compiled by JAX."""

from dlcore import data, evidence, generation, losses, metrics, models, optimizers, plots, probes, tasks, textbook
from dlcore.core.errors import ArgumentError, DataError, DlcoreError, FailedCellsError
from dlcore.core.labeled import labeled
from dlcore.core.model import Model
from dlcore.core.training import Training, training
from dlcore.core.update import State
from dlcore.core.watching import early_stopping
from dlcore.engine.axes import points, study
from dlcore.engine.distributed import executors
from dlcore.engine.durable.audit import verify
from dlcore.engine.durable.reading import studies
from dlcore.engine.parameters import final_params, final_state
from dlcore.engine.planning.plan import plan
from dlcore.engine.selection import best_record, last_record
from dlcore.engine.setup import setup
from dlcore.engine.store import load, save
from dlcore.engine.sweep import run, sweep
from dlcore.nn import activations, initializers
from dlcore.nn.adapters import from_nnx
from dlcore.nn.linen_adapter import from_linen
from dlcore.nn.masked import Masked

__all__ = [
    "ArgumentError",
    "DataError",
    "DlcoreError",
    "FailedCellsError",
    "Masked",
    "Model",
    "State",
    "Training",
    "activations",
    "best_record",
    "data",
    "early_stopping",
    "evidence",
    "executors",
    "final_params",
    "final_state",
    "from_linen",
    "from_nnx",
    "generation",
    "initializers",
    "labeled",
    "last_record",
    "load",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "plan",
    "plots",
    "points",
    "probes",
    "run",
    "save",
    "setup",
    "studies",
    "study",
    "sweep",
    "tasks",
    "textbook",
    "training",
    "verify",
]
