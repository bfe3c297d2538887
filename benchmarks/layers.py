"""How fast the layers are: convolution, recurrent networks, text written on; next to PyTorch where it is installed."""

from benchmarks.convolution import convolution
from benchmarks.recurrent import generation, recurrent
from benchmarks.timing import Part

PARTS: dict[str, Part] = {function.__name__: function for function in (convolution, recurrent, generation)}
