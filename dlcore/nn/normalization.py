"""Normalizations of networks: by name or with options, and what they cannot do."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.core import Tracer

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments, boolean, instance, integer, number, one_of
from dlcore.core.errors import ArgumentError, DataError, described


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
        """The same shape.

        Args:
          mask: Booleans that broadcast to x: values that count. What it hides may be anything, NaN too, and gives
            what 0 would; where a feature has no value, its averages stay.
        """
        if mask is not None:
            mask = jnp.broadcast_to(jnp.asarray(mask, bool), x.shape)
            return self._masked(x, use_running_average, mask)
        before = self.momentum * self.var[...]
        outputs = super().__call__(x, use_running_average, mask=mask)
        frozen = self.use_running_average if use_running_average is None else use_running_average
        if self.unbiased and not frozen:
            self.var[...] = self.var[...] + (self.var[...] - before) / (num_values(x, self.axis) - 1)
        return outputs

    def _masked(self, x: jax.Array, use_running_average: bool | None, mask: jax.Array) -> Any:
        """The same of the values that the mask, of the shape of x, shows."""
        axes = tuple(axis for axis in range(x.ndim) if axis not in features(x, self.axis))
        count, mean, var = jnp.sum(mask, axis=axes), self.mean[...], self.var[...]
        there = jnp.broadcast_to(jnp.expand_dims(count > 0, axes), x.shape)
        # A feature without values is taken for one of zeros: the mean of nothing would be NaN, in the gradient too.
        outputs = super().__call__(jnp.where(mask, x, 0), use_running_average, mask=mask | ~there)
        frozen = self.use_running_average if use_running_average is None else use_running_average
        if not frozen:
            new = self.var[...]
            if self.unbiased:
                new = new + (new - self.momentum * var) / jnp.maximum(count - 1, 1)
            self.mean[...], self.var[...] = jnp.where(count > 0, self.mean[...], mean), jnp.where(count > 0, new, var)
        return outputs


def num_values(x: jax.Array, axes: int | Sequence[int]) -> int:
    """How many values of each feature there are in `x`; axes: of the features."""
    return math.prod(size for axis, size in enumerate(x.shape) if axis not in features(x, axes))


def features(x: jax.Array, axes: int | Sequence[int]) -> set[int]:
    """The axes of the features, counted from the first."""
    return {axis % x.ndim for axis in ([axes] if isinstance(axes, int) else axes)}


def check_batch(path: str, kind: str, x: jax.Array, count: int) -> None:
    """Raise `DataError` where a batch has one value per feature, which normalized is 0, whatever it was; or none."""
    if count <= 1:
        what = "one value per feature, which batch normalization makes 0" if count else "no values"
        raise DataError(
            f"layer {path} ({kind}): inputs are {described(x)} in training, {what}; expects two values or more. Use a "
            'batch_size of at least 2, with last_batch="drop" if one example is left over; or another normalization.'
        )


class GroupNorm(nnx.GroupNorm):
    """Flax's group normalization, which refuses groups of one value."""

    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> Any:
        """The same shape."""
        if math.prod(x.shape[1:]) == self.num_groups:
            _refuse_single(x, "group")
        return super().__call__(x, mask=mask)


class LayerNorm(nnx.LayerNorm):
    """Flax's layer normalization, which refuses to normalize one value."""

    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> Any:
        """The same shape."""
        axes = [self.reduction_axes] if isinstance(self.reduction_axes, int) else self.reduction_axes
        if math.prod(x.shape[axis] for axis in axes) == 1:
            _refuse_single(x, "layer")
        return super().__call__(x, mask=mask)


def _refuse_single(x: jax.Array, kind: str) -> None:
    raise DataError(
        f"{kind} normalization: inputs are {described(x)}, one value to a {kind}, which it makes 0, whatever it was; "
        "expects two values or more. Use wider layers, fewer groups, or another normalization."
    )


@dataclasses.dataclass(frozen=True)
class Normalization:
    """What a `normalization=` of a model may be, but for a name; made by `batch_norm`, `group_norm` or `layer_norm`.

    kind: "batch", "group" or "layer". epsilon: added to the variance. momentum, unbiased: of running averages.
    num_groups: None for the most up to 8 that divide the width.
    """

    kind: str
    epsilon: float = 1e-5
    momentum: float = 0.9
    unbiased: bool = False
    num_groups: int | None = None

    def groups(self, width: int) -> int:
        """Groups of so many channels."""
        return math.gcd(width, 8) if self.num_groups is None else self.num_groups


# Without `use_fast_variance=False` Flax takes E[x^2] - E[x]^2, which cancels where a mean is large. Batch statistics
# move by a tenth each step, as PyTorch's do; Flax's own hundredth outlasts a short run.
NORMALIZATIONS = {
    "batch": Normalization("batch"),
    "batch_unbiased": Normalization("batch", unbiased=True),
    "group": Normalization("group"),
    "layer": Normalization("layer"),
}

NORMALIZATION = one_of(*NORMALIZATIONS) | instance(Normalization, example="dl.models.group_norm(num_groups=4)") | NONE


def normalization_layer(
    normalization: str | Normalization, width: int, axes: Sequence[int], rngs: nnx.Rngs
) -> nnx.Module:
    """The layer. width: channels. axes: of a row, (-1,) or (-3, -2, -1) for images, which "layer" goes over."""
    spec = _spec(normalization)
    options = {"epsilon": spec.epsilon, "use_fast_variance": False, "rngs": rngs}
    if spec.kind == "batch":
        return BatchNorm(width, momentum=spec.momentum, unbiased=spec.unbiased, **options)
    if spec.kind == "group":
        return GroupNorm(width, num_groups=spec.groups(width), **options)
    return LayerNorm(width, reduction_axes=tuple(axes), **options)


def check_normalized(name: str, normalization: str | Normalization | None, widths: Sequence[int]) -> None:
    """Raise `ArgumentError` unless the groups, if any, divide all the widths that are normalized."""
    if normalization is None or _spec(normalization).kind != "group":
        return
    for width in widths:
        if width % _spec(normalization).groups(width):
            raise ArgumentError(
                f"{name}: normalization has num_groups={_spec(normalization).num_groups}, a layer has {width} units or "
                f"channels; expects a number that divides all of {list(widths)}, e.g. {math.gcd(*widths)}."
            )


def _spec(normalization: str | Normalization) -> Normalization:
    return NORMALIZATIONS[normalization] if isinstance(normalization, str) else normalization


def _known(given: Constraint) -> Constraint:
    """What is given, but not traced: it is a setting of a layer."""

    def accept(value):
        if isinstance(value, Tracer):
            raise RefusedError("A traced value cannot be a setting of a layer: pass it as a list, a static axis.")
        return float(given.accept(value))

    return Constraint(given.expected, accept)


# Smaller ones vanish beside the rounding of float32, and the square root of a constant's variance is divided by.
EPSILON = _known(number(1e-12, 1e6))


@arguments(epsilon=EPSILON, momentum=_known(number(0, 1, open_high=True)), unbiased=boolean)
def batch_norm(*, epsilon: float = 1e-5, momentum: float = 0.9, unbiased: bool = False) -> Normalization:
    """Batch normalization with options: `dl.models.mlp(widths, normalization=dl.models.batch_norm(epsilon=1e-3))`.

    Args:
      epsilon: added to the variance.
      momentum: what remains of a running average at each step, in [0, 1): 0.9 is PyTorch's momentum of 0.1.
      unbiased: the running average of the variance is of that divided by n - 1, as in PyTorch, not by n, as in Flax and
        ONNX.

    Raises:
      ArgumentError: a number out of its range, or traced.
    Reference: Ioffe and Szegedy, Batch normalization, ICML 2015.

    Example:
      >>> model = dl.models.mlp([4, 8, 3], normalization=dl.models.batch_norm(momentum=0.99))
      >>> dl.models.num_params(model)
      83
    """
    return Normalization("batch", epsilon, momentum, unbiased)


@arguments(num_groups=integer(1, 2**24) | NONE, epsilon=EPSILON)
def group_norm(num_groups: int | None = None, *, epsilon: float = 1e-5) -> Normalization:
    """Group normalization with options: `dl.models.resnet((32, 32, 3), 10, normalization=dl.models.group_norm(4))`.

    One group is layer normalization over all pixels and channels, one for each channel is instance normalization.

    Args:
      num_groups: divides the channels (the units of a dense layer); None for the most up to 8 that do.
      epsilon: added to the variance.

    Raises:
      ArgumentError: a number out of its range, or traced; where it is used, groups that do not divide the channels.
    Reference: Wu and He, Group normalization, ECCV 2018.

    Example:
      >>> model = dl.models.convolutional((8, 8), [6], 3, normalization=dl.models.group_norm(3))
      >>> dl.models.num_params(model)
      12875
    """
    return Normalization("group", epsilon, num_groups=num_groups)


@arguments(epsilon=EPSILON)
def layer_norm(*, epsilon: float = 1e-5) -> Normalization:
    """Layer normalization with options: `dl.models.mlp(widths, normalization=dl.models.layer_norm(epsilon=1e-12))`.

    Args:
      epsilon: added to the variance.

    Raises:
      ArgumentError: a number out of its range, or traced.
    Reference: Ba et al., Layer normalization, 2016.

    Example:
      >>> dl.models.layer_norm(epsilon=1e-6).epsilon
      1e-06
    """
    return Normalization("layer", epsilon)
