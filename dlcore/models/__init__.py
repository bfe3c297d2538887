"""Built-in model families, one a file. Each function returns a pure `dlcore.Model`."""

from dlcore.models.feed_forward import linear, mlp
from dlcore.models.recurrent import recurrent

__all__ = ["linear", "mlp", "recurrent"]
