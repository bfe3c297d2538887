"""Two sets of parameters: those that are trained, and others that follow them and are evaluated."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dlcore.core.arguments import MOST, NONE, arguments, boolean, instance, integer, number
from dlcore.core.errors import ArgumentError
from dlcore.core.model import Params
from dlcore.core.optimizer import OPTIMIZER
from dlcore.core.update import State
from dlcore.optimizers.schedules import Scalar


class AveragedParameters(NamedTuple):
    """count: completed updates, a scalar; average: of the parameters, in float32 or finer."""

    count: jax.Array
    average: Params


@arguments(decay=number(0, 1, open_high=True) | NONE, start=number(0, MOST))
def average_parameters(decay: Scalar | None = None, *, start: Scalar = 0) -> optax.GradientTransformation:
    """Keep an average of the parameters, and leave the updates as they are; the last in `optax.chain`.

    Args:
      decay: of an exponential moving average, without bias toward its beginning: the parameters of `k` updates ago
        count `decay ** k`. None: all count the same, as in stochastic weight averaging.
      start: updates before the first that counts; until then the average is the parameters themselves.

    Raises:
      ArgumentError: from its `update`, no params.
    Reference: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; Izmailov et al.,
    Averaging weights leads to wider optima and better generalization, UAI 2018.

    Example:
      >>> optimizer = optax.chain(optax.sgd(1.0), dl.optimizers.average_parameters())
      >>> state, params = optimizer.init(jnp.float32(6)), jnp.float32(6)
      >>> for gradient in (1.0, 1.0, 2.0):
      ...     updates, state = optimizer.update(jnp.float32(gradient), state, params)
      ...     params = optax.apply_updates(params, updates)  # 5, 4, 2
      >>> round(float(state[-1].average), 3)
      3.667
    """

    def init(params):
        average = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.promote_types(leaf.dtype, jnp.float32)), params)
        return AveragedParameters(jnp.zeros((), jnp.int32), average)

    def update(updates, state, params=None):
        if params is None:
            raise ArgumentError(
                "average_parameters: params is None; expects optimizer.update(gradient, state, params)."
            )
        count = jnp.asarray(optax.safe_increment(state.count))
        counted = jnp.maximum(count - start, 1).astype(jnp.float32)
        # The newest of n counts 1 / n, or 1 / (1 + decay + ... + decay ** (n - 1)) = (1 - decay) / (1 - decay ** n),
        # whose denominator cancels where decay is near 1.
        share = 1 / counted if decay is None else (1 - decay) / -jnp.expm1(counted * jnp.log1p(decay - 1))
        new = optax.apply_updates(params, updates)

        def follow(old, leaf):
            leaf = leaf.astype(old.dtype)
            return jnp.where(counted == 1, leaf, old + share.astype(old.dtype) * (leaf - old))

        average = jax.tree.map(follow, state.average, new)
        return updates, AveragedParameters(count, average)

    return optax.GradientTransformation(init, update)


@arguments(state=instance(State, example="what a training's init and advance return"))
def averaged(state: State) -> Params:
    """The average that `average_parameters` keeps, in the dtypes of the parameters.

    Raises:
      ArgumentError: the optimizer keeps none, or several.

    Example:
      >>> optimizer = optax.chain(optax.sgd(0.1), dl.optimizers.average_parameters(0.99))
      >>> task = dl.tasks.classification(dl.models.mlp([4, 3]), dl.data.iris())
      >>> training = dl.training(jax.random.key(0), task, optimizer, batch_size=20, num_steps=6, record_every=6)
      >>> state, record = training.advance(training.init())
      >>> jax.tree.map(jnp.shape, dl.optimizers.averaged(state)) == jax.tree.map(jnp.shape, state.params)
      True
    """
    nodes = jax.tree.leaves(state.opt_state, is_leaf=lambda node: isinstance(node, AveragedParameters))
    found = [node.average for node in nodes if isinstance(node, AveragedParameters)]
    if len(found) != 1:
        raise ArgumentError(
            f"averaged: state keeps {len(found) or 'no'} averages; expects one. Let the optimizer be "
            "optax.chain(..., dl.optimizers.average_parameters())."
        )
    return optax.tree.cast_like(found[0], state.params)


class LookaheadState(NamedTuple):
    """slow: parameters that follow the trained ones; the rest as in `optax.LookaheadState`."""

    slow: Params
    fast_state: Any
    steps_since_sync: jax.Array


@arguments(
    fast_optimizer=OPTIMIZER,
    sync_period=integer(meaning="updates"),
    slow_step_size=number(0, 1),
    reset_state=boolean,
)
def lookahead(
    fast_optimizer: optax.GradientTransformation,
    sync_period: int,
    slow_step_size: Scalar,
    reset_state: bool = False,
) -> optax.GradientTransformation:
    """`optax.lookahead` for a training, which has one set of parameters: the slow ones are kept in its state.

    Args:
      fast_optimizer: trains.
      sync_period: after so many updates the slow parameters move toward the trained ones, which start again from there.
      slow_step_size: by which share of the way.
      reset_state: whether `fast_optimizer` then starts anew.

    Read the slow parameters by `optax.tree.get(state.opt_state, "slow")`.

    Raises:
      ArgumentError: from its `init` and `update`, a `fast_optimizer` that fails, that does not fit the parameters, or
        that has `optax.lookahead` in it; one that asks for the loss, such as `optax.lbfgs`, does not get it and fails.
    Reference: Zhang et al., Lookahead optimizer: k steps forward, 1 step back, NeurIPS 2019.

    Example:
      >>> optimizer = dl.optimizers.lookahead(optax.sgd(1.0), sync_period=1, slow_step_size=0.5)
      >>> optimizer.update(jnp.float32(4.0), optimizer.init(jnp.float32(0.0)), jnp.float32(0.0))[0]
      Array(-2., dtype=float32)
    """
    pairs: Any = optax.lookahead(fast_optimizer, sync_period, slow_step_size, reset_state)

    def init(params):
        inner = pairs.init(optax.LookaheadParams.init_synced(params))
        return LookaheadState(params, *inner)

    def update(updates, state, params: Any = None):
        both = optax.LookaheadParams(fast=params, slow=state.slow)
        inner = optax.LookaheadState(state.fast_state, state.steps_since_sync)
        moves, inner = pairs.update(updates, inner, both)
        return moves.fast, LookaheadState(optax.apply_updates(state.slow, moves.slow), *inner)

    return optax.GradientTransformation(init, update)
