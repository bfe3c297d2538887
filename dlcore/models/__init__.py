"""Built-in model families, one a file. Each function returns a pure `dlcore.Model`."""

from dlcore.models.feed_forward import linear, mlp
from dlcore.models.summary import Layer, layers, num_params, summary, symbolic

__all__ = ["Layer", "layers", "linear", "mlp", "num_params", "summary", "symbolic"]
