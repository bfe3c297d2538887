"""Back-propagation as the textbook writes it: the error signal of every layer, and of every time step.

The gradients equal those of `jax.grad`; here one sees what they are made of, delta = dL/dz of each pre-activation z.
All functions are pure and can be compiled and mapped. Training uses `jax.grad`.
Reference: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dlcore import losses
from dlcore.core.arguments import NONE, arguments, array, instance, integer, one_of, result_of, tree
from dlcore.core.errors import ArgumentError, DataError, described, shown
from dlcore.core.model import Params
from dlcore.losses.checks import check_labels, check_same_shape
from dlcore.losses.softmax import is_label, known
from dlcore.nn import activations
from dlcore.nn.activations import ACTIVATION, Activation

FLOATS = array("f", text="an array of floats")
SEQUENCES = array(ndim=3, text="numbers [B, T, num_inputs]")
LOSSES = ("softmax_cross_entropy", "binary_cross_entropy", "squared_error")


class ThroughLayers(NamedTuple):
    """Forward and backward pass of a multi-layer perceptron with layers l = 1 ... L.

    loss: mean over the batch, [].
    preactivations: z_l, [B, n_l] each. activations: a_0 = inputs, a_1, ..., a_{L-1}; what layer l + 1 sees.
    errors: delta_l = dL/dz_l, [B, n_l] each; with the 1 / B of the mean.
    gradients: dL/dparams, like the params.

    Example:
      >>> params, _ = dl.models.mlp([2, 3, 2]).init(jax.random.key(0))
      >>> passes = dl.textbook.through_layers(params, jnp.ones((4, 2)), jnp.array([0, 1, 1, 0]))
      >>> [errors.shape for errors in passes.errors], passes.gradients["layers"][0]["kernel"].shape
      ([(4, 3), (4, 2)], (2, 3))
    """

    loss: jax.Array
    preactivations: tuple[jax.Array, ...]
    activations: tuple[jax.Array, ...]
    errors: tuple[jax.Array, ...]
    gradients: Params


class Elman(NamedTuple):
    """Weights of h_t = f(x_t input_kernel + h_{t-1} recurrent_kernel + bias), h_0 = 0.

    input_kernel: [num_inputs, num_units]. recurrent_kernel: [num_units, num_units]. bias: [num_units].
    Of a Flax `SimpleCell`: `dense_i.kernel`, `dense_h.kernel`, `dense_i.bias`.
    Reference: Elman, Finding structure in time, 1990.

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> dl.textbook.elman_states(params, jnp.array([[[1.0], [0.0]]]), activation="identity")[0, :, 0]
      Array([1. , 0.5], dtype=float32)
    """

    input_kernel: Any
    recurrent_kernel: Any
    bias: Any


class ThroughTime(NamedTuple):
    """Backward pass of `through_time`.

    errors: delta_t = dL/dz_t, [B, T, num_units]. gradients: dL/dparams.

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> last = jnp.array([[[0.0], [0.0], [1.0]]])
      >>> passed = dl.textbook.through_time(params, jnp.ones((1, 3, 1)), last, activation="identity")
      >>> passed.errors[0, :, 0], passed.gradients.bias
      (Array([0.25, 0.5 , 1.  ], dtype=float32), Array([1.75], dtype=float32))
    """

    errors: jax.Array
    gradients: Elman


ELMAN = instance(Elman, example="dl.textbook.Elman(input_kernel, recurrent_kernel, bias)")


@arguments(
    params=tree,
    inputs=array(ndim=2, text="numbers [B, n_0]; flatten with x.reshape(len(x), -1)"),
    targets=array(),
    activation=ACTIVATION,
    loss=one_of(*LOSSES),
)
def through_layers(
    params: Params,
    inputs: jax.Array,
    targets: jax.Array,
    *,
    activation: str | Activation = "relu",
    loss: str = "softmax_cross_entropy",
) -> ThroughLayers:
    """Back-propagate the mean loss of a batch through a multi-layer perceptron.

    delta_L = dL/dz_L, and before it delta_l = (delta_{l+1} W_{l+1}^T) * f'(z_l); then dL/dW_l = a_{l-1}^T delta_l, and
    dL/db_l is the sum of delta_l over the batch.

    Args:
      params: of `dl.models.mlp`.
      inputs: [B, n_0].
      targets: [B] or [B, n_L], as the loss takes them.
      activation: of the hidden layers: name or function, element by element and without weights of its own.
      loss: "softmax_cross_entropy" with labels [B], "binary_cross_entropy" with labels [B] and one output,
        "squared_error" with targets [B, n_L].

    Raises:
      ArgumentError: an unknown name, an activation over groups of units, params of another model.
      DataError: params, inputs or targets that do not fit.

    Example:
      >>> params, _ = dl.models.mlp([2, 3, 2]).init(jax.random.key(0))
      >>> passes = dl.textbook.through_layers(params, jnp.ones((4, 2)), jnp.array([0, 1, 1, 0]))
      >>> [errors.shape for errors in passes.errors]
      [(4, 3), (4, 2)]
    """
    function, slope = _elementwise("through_layers", activation)
    weights = _layers(params)
    if not len(inputs) or inputs.shape[1] != weights[0]["kernel"].shape[0]:
        raise DataError(
            f"through_layers: inputs are {described(inputs)}; the first layer expects [B, "
            f"{weights[0]['kernel'].shape[0]}]. Flatten with x.reshape(len(x), -1)."
        )
    value, passed, preactivations = inputs, [], []
    for layer in weights:
        value = value if not preactivations else function(preactivations[-1])
        passed.append(value)
        preactivations.append(value @ layer["kernel"] + layer["bias"][None])

    values, error = _OUTPUT_ERRORS[loss](preactivations[-1], targets)
    errors = [error / len(inputs)]
    for layer, z in zip(weights[:0:-1], preactivations[-2::-1], strict=True):
        errors.insert(0, (errors[0] @ layer["kernel"].T) * slope(z))
    gradients = {
        number: {"bias": delta.sum(axis=0), "kernel": a.T @ delta}
        for number, (a, delta) in enumerate(zip(passed, errors, strict=True))
    }
    return ThroughLayers(values.mean(), tuple(preactivations), tuple(passed), tuple(errors), {"layers": gradients})


@arguments(params=ELMAN, inputs=SEQUENCES, activation=ACTIVATION)
def elman_states(params: Elman, inputs: jax.Array, *, activation: str | Activation = "tanh") -> jax.Array:
    """States h_1 ... h_T: inputs [B, T, num_inputs] -> [B, T, num_units].

    Args:
      params: the weights.
      inputs: [B, T, num_inputs].
      activation: name or function, element by element and without weights of its own.

    Raises:
      ArgumentError: an unknown activation. DataError: inputs or weights that do not fit.

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> dl.textbook.elman_states(params, jnp.array([[[1.0], [0.0]]]), activation="identity")[0, :, 0]
      Array([1. , 0.5], dtype=float32)
    """
    function, _ = _elementwise("elman_states", activation)
    return _elman("elman_states", _weights("elman_states", params), inputs, function)[0]


@arguments(
    params=ELMAN,
    inputs=SEQUENCES,
    state_errors=array(ndim=3, text="numbers [B, T, num_units]"),
    num_steps=integer(meaning="steps that an error is followed back") | NONE,
    activation=ACTIVATION,
)
def through_time(
    params: Elman,
    inputs: jax.Array,
    state_errors: jax.Array,
    *,
    num_steps: int | None = None,
    activation: str | Activation = "tanh",
) -> ThroughTime:
    """Back-propagate through time, in full or truncated.

    In full delta_t = (e_t + delta_{t+1} W_h^T) * f'(z_t). Truncated, the error e_t of each step goes to the `num_steps`
    steps t, t - 1, ..., and no further: as if the state before them were given.

    Args:
      params: the weights.
      inputs: [B, T, num_inputs].
      state_errors: e_t = dL_t/dh_t, [B, T, num_units]: what reaches each state at its own time from the output above
        it. With all but the last at 0, the errors show how far a signal gets.
      num_steps: how many steps each error reaches; None for all of them.
      activation: name or function, element by element and without weights of its own.

    Raises:
      ArgumentError: an unknown activation, num_steps below 1. DataError: arrays that do not fit.
    Reference: Werbos, Backpropagation through time, 1990; Williams and Peng, An efficient gradient-based algorithm for
      on-line training of recurrent network trajectories, 1990.

    Example:
      >>> params = dl.textbook.Elman(jnp.ones((1, 1)), jnp.full((1, 1), 0.5), jnp.zeros(1))
      >>> last = jnp.array([[[0.0], [0.0], [1.0]]])
      >>> dl.textbook.through_time(params, jnp.ones((1, 3, 1)), last, activation="identity").errors[0, :, 0]
      Array([0.25, 0.5 , 1.  ], dtype=float32)
    """
    function, slope = _elementwise("through_time", activation)
    params = _weights("through_time", params)
    states, preactivations = _elman("through_time", params, inputs, function)
    check_same_shape("through_time, states against state_errors", states, state_errors)
    slopes, back = slope(preactivations), params.recurrent_kernel.T

    if num_steps is None:

        def earlier(delta, at_step):
            error, slope_t = at_step
            delta = (error + delta @ back) * slope_t
            return delta, delta

        by_time = (jnp.swapaxes(state_errors, 0, 1), jnp.swapaxes(slopes, 0, 1))
        errors = jnp.swapaxes(lax.scan(earlier, jnp.zeros_like(states[:, 0]), by_time, reverse=True)[1], 0, 1)
    else:

        def one_step_back(carry, _):
            signal, total = carry  # of all times at once, each as far back as the others
            signal = jnp.pad(signal[:, 1:], ((0, 0), (0, 1), (0, 0))) @ back * slopes
            return (signal, total + signal), None

        own = state_errors * slopes
        errors = lax.scan(one_step_back, (own, own), length=min(num_steps, states.shape[1]) - 1)[0][1]

    before = jnp.pad(states[:, :-1], ((0, 0), (1, 0), (0, 0)))
    gradients = Elman(
        jnp.einsum("bti,btj->ij", inputs, errors),
        jnp.einsum("bti,btj->ij", before, errors),
        errors.sum(axis=(0, 1)),
    )
    return ThroughTime(errors, gradients)


def _elementwise(name: str, activation: str | Activation) -> tuple[Activation, Callable[[jax.Array], jax.Array]]:
    """The activation and its derivative, element by element."""
    function = activations.by_name(activation)
    if activations.num_pieces(function) > 1 or function in (activations.softmax, activations.prelu):
        raise ArgumentError(
            f"{name}: activation is {activation!r}; expects one that acts element by element and has no weights. Use "
            "jax.grad for it, or leaky_relu for prelu."
        )
    values = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    made = result_of(f"{name}: activation", function, values, abstract=True)
    if getattr(made, "shape", None) != values.shape or not jnp.issubdtype(made.dtype, jnp.floating):
        raise ArgumentError(
            f"{name}: activation gives {described(made)} for {described(values)}; expects floats of the same shape."
        )
    return function, lambda z: jax.jvp(function, (z,), (jnp.ones_like(z),))[1]


def _layers(params: Params) -> list[Any]:
    found = params.get("layers") if isinstance(params, dict) else None
    if (
        not isinstance(found, dict)
        or not found
        or set(found) != set(range(len(found)))
        or any(not isinstance(layer, dict) or set(layer) != {"kernel", "bias"} for layer in found.values())
    ):
        raise ArgumentError(
            f"through_layers: params have the parts {sorted(params) if isinstance(params, dict) else shown(params)}; "
            "expects those of dl.models.mlp, layers of a kernel and a bias."
        )
    layers = [
        {part: FLOATS.check(f"through_layers: {part} of layer {number}", found[number][part]) for part in found[number]}
        for number in range(len(found))
    ]
    shapes = [layer["kernel"].shape for layer in layers]
    matrices = all(len(shape) == 2 for shape in shapes)
    chained = matrices and all(before[1] == after[0] for before, after in itertools.pairwise(shapes))
    if not chained or any(layer["bias"].shape != layer["kernel"].shape[1:] for layer in layers):
        raise DataError(
            f"through_layers: params hold {described(layers)}; expects kernels [n, m] and biases [m], each n the m "
            "of the layer before."
        )
    return layers


def _softmax_cross_entropy(logits, labels):
    check_labels("softmax_cross_entropy", logits, labels)
    num_classes = logits.shape[1]
    errors = jax.nn.softmax(logits) - is_label(labels, num_classes)
    return losses.softmax_cross_entropy(logits, labels), known(errors, labels[:, None], num_classes)


def _binary_cross_entropy(logits, labels):
    check_same_shape("binary_cross_entropy", logits[:, 0] if logits.shape[1] == 1 else logits, labels)
    values = losses.binary_cross_entropy(logits[:, 0], labels)
    return values, jax.nn.sigmoid(logits) - labels.astype(logits.dtype)[:, None]


def _squared_error(predictions, targets):
    return losses.squared_error(predictions, targets), 2 * (predictions - targets) / predictions.shape[1]


# (loss of each example [B], its derivative by the outputs [B, n_L]), of outputs and targets
_OUTPUT_ERRORS = {
    "softmax_cross_entropy": _softmax_cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "squared_error": _squared_error,
}


def _weights(name: str, params: Elman) -> Elman:
    """The weights as arrays that fit each other."""
    kernel, recurrent, bias = (FLOATS.check(f"{name}: {part}", values) for part, values in params._asdict().items())
    num_units = kernel.shape[-1] if kernel.ndim == 2 and kernel.size else None
    if (recurrent.shape, bias.shape) != ((num_units, num_units), (num_units,)):
        raise DataError(
            f"{name}: weights are {described((kernel, recurrent, bias))}; expects [num_inputs, num_units], "
            "[num_units, num_units], [num_units]."
        )
    return Elman(kernel, recurrent, bias)


def _elman(name: str, params: Elman, inputs: jax.Array, function: Activation) -> tuple[jax.Array, jax.Array]:
    """(states, pre-activations), [B, T, num_units] each."""
    num_inputs = len(params.input_kernel)
    if inputs.shape[2] != num_inputs or 0 in inputs.shape:
        raise DataError(f"{name}: inputs are {described(inputs)}; expects [B, T, {num_inputs}].")

    def step(state, driven):
        z = driven + state @ params.recurrent_kernel
        state = function(z)
        return state, (state, z)

    driven = jnp.swapaxes(inputs @ params.input_kernel + params.bias[None, None], 0, 1)
    _, (states, preactivations) = lax.scan(step, jnp.zeros_like(driven[0]), driven)
    return jnp.swapaxes(states, 0, 1), jnp.swapaxes(preactivations, 0, 1)
