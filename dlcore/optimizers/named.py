"""Optimizers by name, composed of optax transformations; each takes a traced learning rate."""

from collections.abc import Callable
from typing import Any

import optax

from dlcore.core.arguments import NONE, arguments, function, number, one_of
from dlcore.optimizers.schedules import RATE, Scalar, Schedule

OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda learning_rate: optax.sgd(learning_rate, momentum=0.9),
    "nesterov": lambda learning_rate: optax.sgd(learning_rate, momentum=0.9, nesterov=True),
    "adam": optax.adam,
}

CLIPPINGS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "value": optax.clip,
    "global_norm": optax.clip_by_global_norm,
    "adaptive": optax.adaptive_grad_clip,
}


@arguments(
    name=one_of(*OPTIMIZERS),
    learning_rate=RATE | function,
    clip=one_of(*CLIPPINGS) | NONE,
    clip_at=number(0, open_low=True),
)
def by_name(
    name: str,
    learning_rate: Scalar | Schedule,
    *,
    clip: str | None = None,
    clip_at: Scalar = 1.0,
) -> optax.GradientTransformation:
    """The optimizer of that name, after a clipping of that name; for static axes of a sweep.

    Args:
      name: "sgd", "momentum" (0.9), "nesterov" (0.9) or "adam"; for other settings call optax.
      learning_rate: a number, traced or not, or a schedule.
      clip: None, "value" (each entry), "global_norm" (of all gradients together) or "adaptive" (each unit's gradient
        relative to its weights, Brock et al. 2021).
      clip_at: the bound of the clipping.

    Raises:
      ArgumentError: an unknown name; a learning rate or bound that is negative, zero for the bound, or not finite.

    Example:
      >>> optimizer = dl.optimizers.by_name("sgd", 0.5, clip="value", clip_at=1.0)
      >>> optimizer.update(jnp.array([-4.0, 0.5]), optimizer.init(jnp.zeros(2)))[0]
      Array([ 0.5 , -0.25], dtype=float32)
    """
    optimizer = OPTIMIZERS[name](learning_rate)
    return optimizer if clip is None else optax.chain(CLIPPINGS[clip](clip_at), optimizer)
