"""What textbooks write out by hand."""

from dlcore.textbook.backpropagation import (
    Elman,
    ThroughLayers,
    ThroughTime,
    elman_states,
    through_layers,
    through_time,
)

__all__ = ["Elman", "ThroughLayers", "ThroughTime", "elman_states", "through_layers", "through_time"]
