"""Which experiments there are."""

import importlib
import pathlib
import pkgutil

import experiments
from dlcore.core.arguments import one_of
from dlcore.evidence.experiments import Experiment

PARTS = ("optimization",)


def names() -> list[str]:
    """Of all experiments; those of a part follow each other."""
    return [name for part in PARTS for name in names_of(part)]


def names_of(part: str) -> list[str]:
    """Of the experiments in a part of the handbook, in the order of the alphabet."""
    folder = pathlib.Path(experiments.__path__[0]) / part
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]))


def load(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
      ArgumentError: there is none.
    """
    one_of(*names()).check("experiment", name)
    return importlib.import_module(f"experiments.{part_of(name)}.{name}").EXPERIMENT


def part_of(name: str) -> str:
    """The part of the handbook that the experiment of that name is in."""
    return next(part for part in PARTS if name in names_of(part))
