"""Learning-rate schedules that optax lacks, or has for known numbers only: functions of the step."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from dlcore.core.arguments import MOST, arguments, function, number, result_of
from dlcore.core.errors import ArgumentError, shown

Scalar = Any  # a number or a traced scalar
Schedule = Callable[[Any], Any]

RATE = number(0)
STEPS = number(1, MOST)
FACTOR = number(0, open_low=True)


@arguments(learning_rate=RATE, decay_steps=number(0, open_low=True, finite=False))
def inverse_time(learning_rate: Scalar, decay_steps: Scalar) -> Schedule:
    """`learning_rate / (1 + step / decay_steps)`: 1/t decay, whose sum diverges and whose sum of squares does not.

    Args:
      learning_rate: at step 0.
      decay_steps: steps until the rate has halved; infinity for a constant rate.
    Reference: Robbins and Monro, A stochastic approximation method, 1951.

    Example:
      >>> dl.optimizers.inverse_time(0.5, decay_steps=100)(100)
      0.25
    """
    return lambda step: learning_rate / (1 + step / decay_steps)


@arguments(learning_rate=RATE, every=STEPS, factor=FACTOR)
def step_decay(learning_rate: Scalar, *, every: int, factor: Scalar = 0.1) -> Schedule:
    """`learning_rate * factor ** floor(step / every)`: a drop at steps `every`, `2 * every`, and so on.

    Args:
      learning_rate: before the first drop.
      every: steps between two drops.
      factor: what each drop multiplies the rate by.

    Example:
      >>> schedule = dl.optimizers.step_decay(1.0, every=30, factor=0.5)
      >>> [float(schedule(step)) for step in (29, 30, 60)]
      [1.0, 0.5, 0.25]
    """

    def rate(step):
        # A compiled float32 division by a constant multiplies by its reciprocal: 41 / 41 is then below 1.
        num_drops = jnp.floor_divide(jnp.maximum(step, 0), every)
        return learning_rate * jnp.power(factor, num_drops.astype(jnp.result_type(float)))

    return rate


@arguments(schedule=function, num_steps=STEPS)
def warm_up(schedule: Schedule, *, num_steps: int) -> Schedule:
    """Raise the rate linearly from zero to `schedule(0)` in `num_steps` steps, then follow the schedule from its start.

    Raises:
      ArgumentError: a schedule that fails, or gives something other than a finite number, at step 0.
    Reference: Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, sec. 2.2.

    Example:
      >>> schedule = dl.optimizers.warm_up(optax.constant_schedule(1.0), num_steps=4)
      >>> [float(schedule(step)) for step in (0, 1, 4)]
      [0.0, 0.25, 1.0]
    """
    first = result_of("warm_up: schedule", schedule, 0)
    if number().refuses(first):
        raise ArgumentError(f"warm_up: schedule gives {shown(first)} at step 0; expects a finite number.")

    def rate(step):
        rising = first * (jnp.minimum(step, num_steps) / num_steps)
        return jnp.where(step < num_steps, rising, schedule(jnp.maximum(step - num_steps, 0)))

    return rate
