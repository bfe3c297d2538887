"""Learning-rate schedules; each takes traced numbers."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer

from dlcore.core.errors import ArgumentError, shown

Scalar = Any  # a number or a traced scalar
Schedule = Callable[[Any], Any]


def constant(learning_rate: Scalar) -> Schedule:
    """The same rate at every step."""
    check_rate("learning_rate", learning_rate, least=0.0)
    return optax.constant_schedule(learning_rate)


def inverse_time(learning_rate: Scalar, decay_steps: Scalar) -> Schedule:
    """`learning_rate / (1 + step / decay_steps)`: 1/t decay, whose sum diverges and whose sum of squares does not.

    Args:
      decay_steps: steps until the rate has halved; infinity for a constant rate.
    Reference: Robbins and Monro, A stochastic approximation method, 1951.
    """
    check_rate("learning_rate", learning_rate, least=0.0)
    check_rate("decay_steps", decay_steps, above=0.0, finite=False)
    return lambda step: learning_rate / (1 + step / decay_steps)


def step_decay(learning_rate: Scalar, *, every: int, factor: Scalar = 0.1) -> Schedule:
    """`learning_rate * factor ** floor(step / every)`."""
    check_rate("learning_rate", learning_rate, least=0.0)
    check_rate("every", every, least=1)
    check_rate("factor", factor, above=0.0)
    return optax.exponential_decay(learning_rate, transition_steps=every, decay_rate=factor, staircase=True)


def exponential(learning_rate: Scalar, *, decay_steps: int, factor: Scalar = 0.5) -> Schedule:
    """`learning_rate * factor ** (step / decay_steps)`."""
    check_rate("learning_rate", learning_rate, least=0.0)
    check_rate("decay_steps", decay_steps, least=1)
    check_rate("factor", factor, above=0.0)
    return optax.exponential_decay(learning_rate, transition_steps=decay_steps, decay_rate=factor)


def cosine(learning_rate: Scalar, *, num_steps: int) -> Schedule:
    """Half a cosine from `learning_rate` at step 0 to zero at `num_steps`."""
    check_rate("learning_rate", learning_rate, least=0.0)
    check_rate("num_steps", num_steps, least=1)
    return optax.cosine_decay_schedule(learning_rate, decay_steps=num_steps)


def warm_up(schedule: Schedule, *, num_steps: int) -> Schedule:
    """Raise the rate linearly from zero to `schedule(0)` in `num_steps` steps, then follow the schedule."""
    check_rate("num_steps", num_steps, least=1)
    if not callable(schedule):
        raise ArgumentError(f"schedule is {schedule!r}; expects a function of the step, e.g. constant({schedule!r}).")
    return optax.join_schedules([optax.linear_schedule(0.0, schedule(0), num_steps), schedule], [num_steps])


def _is_real_scalar(value: Any) -> bool:
    try:
        return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf" and isinstance(float(value), float)
    except (TypeError, ValueError, OverflowError):  # a key, an integer beyond all floats
        return False


def check_rate(
    name: str, value: Any, *, least: float = -math.inf, above: float = -math.inf, finite: bool = True
) -> None:
    """Check a number that is known; a traced one was checked as the value of its axis."""
    if isinstance(value, Tracer):
        return
    if not isinstance(value, int | float | np.number | np.ndarray | jax.Array) or not _is_real_scalar(value):
        raise ArgumentError(f"{name} is {shown(value)}; expects a number.")
    if not (value >= least and value > above and (math.isfinite(value) or not finite)) or value == -math.inf:
        bound = f"at least {least:g}" if least > -math.inf else f"more than {above:g}"
        raise ArgumentError(f"{name} is {value}; expects a {'finite ' * finite}number, {bound}.")
