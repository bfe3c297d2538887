"""A function that depth is made for: classes that alternate, represented exactly by layers of two units."""

import numpy as np

from dlcore.core.arguments import arguments, integer
from dlcore.core.model import Params

NUM_LAYERS = integer(1, 20, meaning="layers")


@arguments(num_layers=NUM_LAYERS)
def sawtooth(num_layers: int) -> tuple[np.ndarray, np.ndarray]:
    """Points i / 2^k [2^k, 1] for k layers, and their classes [2^k], which alternate.

    Reference: Telgarsky, Representation benefits of deep feedforward networks, 2015: any network of l layers of m ReLU
      units, m at most 2^((k - 3) / l - 1), is wrong on a sixth of the points at least.

    Example:
      >>> points, classes = dl.textbook.sawtooth(2)
      >>> points[:, 0].tolist(), classes.tolist()
      ([0.0, 0.25, 0.5, 0.75], [0, 1, 0, 1])
    """
    numbers = np.arange(2**num_layers)
    return numbers[:, None] / 2.0**num_layers, numbers % 2


@arguments(num_layers=NUM_LAYERS)
def sawtooth_params(num_layers: int) -> Params:
    """Parameters of `dl.models.mlp([1, 2, ..., 2, 1])` with k hidden layers whose output is above 0 on class 1 only.

    Each layer folds [0, 1] once, onto itself: x becomes 2 relu(x) - 4 relu(x - 1/2). All are powers of two.

    Example:
      >>> points, classes = dl.textbook.sawtooth(3)
      >>> model = dl.models.mlp([1, 2, 2, 2, 1])
      >>> logits, _ = model.apply(dl.textbook.sawtooth_params(3), {}, points)
      >>> ((logits[:, 0] > 0) == classes).all().item()
      True
    """
    fold = np.array([[2, 2], [-4, -4]], np.float32)
    kernels = [np.ones((1, 2), np.float32), *[fold] * (num_layers - 1), fold[:, :1]]
    biases = [np.array([0, -0.5], np.float32)] * num_layers + [np.array([-0.5], np.float32)]
    layers = ({"kernel": kernel, "bias": bias} for kernel, bias in zip(kernels, biases, strict=True))
    return {"layers": dict(enumerate(layers))}
