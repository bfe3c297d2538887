"""Optimizers by name, composed of optax transformations; each takes a traced learning rate."""

from collections.abc import Callable
from typing import Any

import optax

from dlcore.core.errors import check_name
from dlcore.optimizers.schedules import Scalar, Schedule, check_rate

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
    """
    check_name("optimizer", name, OPTIMIZERS)
    if not callable(learning_rate):
        check_rate("learning_rate", learning_rate, least=0.0)
    optimizer = OPTIMIZERS[name](learning_rate)
    if clip is None:
        return optimizer
    check_name("clipping", clip, CLIPPINGS)
    check_rate("clip_at", clip_at, above=0.0)
    return optax.chain(CLIPPINGS[clip](clip_at), optimizer)
