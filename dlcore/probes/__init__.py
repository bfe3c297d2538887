"""Probes: what to record about a network in training; for `dlcore.training(observe=...)`."""

from dlcore.core.evaluation import Observation
from dlcore.probes.norms import layer_norms

__all__ = ["Observation", "layer_norms"]
