"""dlcore: experiments on how neural networks train, as pure functions compiled by JAX."""

import importlib
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from dlcore import data, evidence, generation, losses, metrics, models, optimizers, plots, probes, tasks, textbook
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

# Loaded when they are first used: a study needs few of them, and they need Flax, SciPy and Matplotlib.
_PACKAGES = (
    *("data", "evidence", "generation", "losses", "metrics", "models", "nn", "optimizers", "plots", "probes", "tasks"),
    "textbook",
)
_MODULES = {
    **{name: f"dlcore.{name}" for name in _PACKAGES},
    "activations": "dlcore.nn.activations",
    "initializers": "dlcore.nn.initializers",
}
_NAMES = {"Masked": "dlcore.nn.masked", "from_linen": "dlcore.nn.linen_adapter", "from_nnx": "dlcore.nn.adapters"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found = importlib.import_module(_MODULES[name])
    elif name in _NAMES:
        found = getattr(importlib.import_module(_NAMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
