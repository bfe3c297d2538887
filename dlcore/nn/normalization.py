"""Batch normalization, and what it cannot do."""

import math
from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from dlcore.core.errors import DataError, described


class BatchNorm(nnx.BatchNorm):
    """Flax's batch normalization, with a choice of the variance that it averages for evaluation.

    Args:
      unbiased: the running average is of the batch's sum of squares divided by n - 1, as in PyTorch, not by n, as in
        Flax; n counts the values of a feature. In training both divide by n.
    """

    def __init__(self, num_features: int, *, unbiased: bool = False, rngs: nnx.Rngs, **options: Any):
        super().__init__(num_features, rngs=rngs, **options)
        self.unbiased = unbiased

    def __call__(self, x: jax.Array, use_running_average: bool | None = None, *, mask: jax.Array | None = None) -> Any:
        """The same shape."""
        before = self.momentum * self.var[...]
        outputs = super().__call__(x, use_running_average, mask=mask)
        frozen = self.use_running_average if use_running_average is None else use_running_average
        if self.unbiased and not frozen:
            self.var[...] = self.var[...] + (self.var[...] - before) / (num_values(x, self.axis) - 1)
        return outputs


def num_values(x: jax.Array, axes: int | Sequence[int]) -> int:
    """How many values of each feature there are in `x`; axes: of the features."""
    of_features = {axis % x.ndim for axis in ([axes] if isinstance(axes, int) else axes)}
    return math.prod(size for axis, size in enumerate(x.shape) if axis not in of_features)


def check_batch(path: str, kind: str, x: jax.Array, count: int) -> None:
    """Raise `DataError` where a batch has one value per feature: normalized it is 0, whatever it was."""
    if count == 1:
        raise DataError(
            f"layer {path} ({kind}): inputs are {described(x)} in training, one value per feature, which batch "
            "normalization makes 0; expects two values or more. Use a batch_size of at least 2, or another "
            "normalization."
        )
