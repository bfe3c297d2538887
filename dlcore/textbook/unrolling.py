"""A recurrent network as the deep network that it is: a layer for each step, with weights of its own."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dlcore.core.arguments import arguments, array
from dlcore.losses.checks import check_same_shape
from dlcore.nn import activations
from dlcore.nn.activations import ACTIVATION, Activation
from dlcore.textbook.backpropagation import ELMAN, SEQUENCES, Elman, elman_states


class Unrolled(NamedTuple):
    """Gradients of `unrolled_gradients`.

    weights: dL/dparams of each step's copy, [T, ...] each. states: dL/dh_t, [B, T, num_units].

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> last = jnp.array([[[0.0], [0.0], [1.0]]])
      >>> unrolled = dl.textbook.unrolled_gradients(params, jnp.ones((1, 3, 1)), last, activation="identity")
      >>> unrolled.states[0, :, 0], unrolled.weights.bias[:, 0]  # a bias for each step's copy
      (Array([0.25, 0.5 , 1.  ], dtype=float32), Array([0.25, 0.5 , 1.  ], dtype=float32))
    """

    weights: Elman
    states: jax.Array


@arguments(params=ELMAN, inputs=SEQUENCES, state_errors=array(ndim=3), activation=ACTIVATION)
def unrolled_gradients(
    params: Elman, inputs: jax.Array, state_errors: jax.Array, *, activation: str | Activation = "tanh"
) -> Unrolled:
    """Gradients by `jax.grad` of a network in which every step has a copy of the weights.

    The gradient of weights that all steps share is the sum over the copies.

    Args:
      params: the weights, the same in all copies.
      inputs: [B, T, num_inputs].
      state_errors: e_t, what reaches each state from the output above it: [B, T, num_units]; the loss is sum e_t h_t.
      activation: name or function, element by element and without weights of its own.

    Raises:
      ArgumentError: an unknown activation. DataError: arrays that do not fit.

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> last = jnp.array([[[0.0], [0.0], [1.0]]])
      >>> dl.textbook.unrolled_gradients(params, jnp.ones((1, 3, 1)), last, activation="identity").states[0, :, 0]
      Array([0.25, 0.5 , 1.  ], dtype=float32)
    """
    states = elman_states(params, inputs, activation=activation)
    check_same_shape("unrolled_gradients, states against state_errors", states, state_errors)
    function, num_steps = activations.by_name(activation), inputs.shape[1]

    def loss(copies, shifts):
        def step(state, at):
            own, shift, x, error = at
            state = function(x @ own.input_kernel + state @ own.recurrent_kernel + own.bias[None]) + shift
            return state, jnp.sum(error * state)

        by_time = (jnp.swapaxes(each, 0, 1) for each in (shifts, inputs, state_errors))
        return lax.scan(step, jnp.zeros_like(states[:, 0]), (copies, *by_time))[1].sum()

    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_steps, *jnp.shape(leaf))), params)
    return Unrolled(*jax.grad(loss, (0, 1))(copies, jnp.zeros_like(states)))


@arguments(params=ELMAN, inputs=SEQUENCES, activation=ACTIVATION)
def state_jacobians(params: Elman, inputs: jax.Array, *, activation: str | Activation = "tanh") -> jax.Array:
    """dh_t / dh_{t-1} = diag(f'(z_t)) W_h^T of each step: [B, T, num_units, num_units], after before.

    A signal e at step T reaches step t as e J_T J_{T-1} ... J_{t+1}.

    Args:
      params: the weights.
      inputs: [B, T, num_inputs].
      activation: name or function, element by element and without weights of its own.

    Raises:
      ArgumentError: an unknown activation. DataError: arrays that do not fit.

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> dl.textbook.state_jacobians(params, jnp.ones((1, 2, 1)), activation="identity").ravel()
      Array([0.5, 0.5], dtype=float32)
    """
    states = elman_states(params, inputs, activation=activation)
    before = jnp.pad(states[:, :-1], ((0, 0), (1, 0), (0, 0)))
    kernel, bias = jnp.asarray(params.recurrent_kernel), jnp.asarray(params.bias)
    preactivations = inputs @ params.input_kernel + before @ kernel + bias[None, None]
    slopes = jax.jvp(activations.by_name(activation), (preactivations,), (jnp.ones_like(preactivations),))[1]
    return slopes[..., :, None] * kernel.T[None, None]


@arguments(error=array(ndim=2), jacobians=array(ndim=4))
def carried_back(error: jax.Array, jacobians: jax.Array) -> jax.Array:
    """A signal at the last state, at each state: e J_T J_{T-1} ... J_{t+1}, [B, T, num_units].

    Args:
      error: e = dL/dh_T, [B, num_units].
      jacobians: of `state_jacobians`, [B, T, num_units, num_units].

    Example:
      >>> halves = jnp.full((1, 3, 1, 1), 0.5)
      >>> dl.textbook.carried_back(jnp.ones((1, 1)), halves)[0, :, 0]
      Array([0.25, 0.5 , 1.  ], dtype=float32)
    """

    def earlier(signal, jacobian):
        return jnp.einsum("bi,bij->bj", signal, jacobian), signal

    signals = lax.scan(earlier, error, jnp.swapaxes(jacobians, 0, 1), reverse=True)[1]
    return jnp.swapaxes(signals, 0, 1)
