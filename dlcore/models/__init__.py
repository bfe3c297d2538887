"""Built-in model families, one a file. Each function returns a pure `dlcore.Model`."""

from dlcore.models.feed_forward import linear, mlp
from dlcore.models.mixture_density import mixture_density
from dlcore.models.recurrent import recurrent
from dlcore.models.sequence_to_sequence import sequence_to_sequence
from dlcore.models.summary import Layer, layers, num_params, summary, symbolic

__all__ = [
    "Layer",
    "layers",
    "linear",
    "mixture_density",
    "mlp",
    "num_params",
    "recurrent",
    "sequence_to_sequence",
    "summary",
    "symbolic",
]
