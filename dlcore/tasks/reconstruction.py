"""Tasks of autoencoders: the targets are the inputs."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dlcore import losses
from dlcore.core.arguments import NONE, arguments, array, function, number
from dlcore.core.dataset import Dataset, Fetched, one_array, refuse_weights
from dlcore.core.dtypes import is_float
from dlcore.core.errors import ArgumentError, DataError, shown
from dlcore.core.model import NEEDS_KEY, Model
from dlcore.core.task import DATASET, MODEL, Task
from dlcore.losses.checks import OUTPUTS, WEIGHT, check_shares
from dlcore.losses.softmax import binary_surprisal
from dlcore.models.autoencoder import reparameterize
from dlcore.tasks.outputs import output_of, two_rows
from dlcore.tasks.supervised import check_targets

NUMBERS = array(text="numbers [B, ...]")
FLOATS = array("f", text="floats [B, ...], e.g. pixels / 255")
Corruption = Callable[[jax.Array, jax.Array], jax.Array]
Sparsity = Callable[[jax.Array], jax.Array]
Loss = Callable[[jax.Array, jax.Array], jax.Array]


@arguments(model=MODEL, data=DATASET, loss=function, corruption=function | NONE, sparsity=function | NONE)
def reconstruction(
    model: Model,
    data: Dataset,
    *,
    loss: Loss = losses.squared_error,
    corruption: Corruption | None = None,
    sparsity: Sparsity | None = None,
) -> Task:
    """The inputs again: plain, from corrupted inputs (denoising), by a sparse code. Reports `reconstruction`.

    Args:
      model: its output is as large as its inputs. With sparsity, a model with the parts "encode" and "decode".
      data: float inputs, one array; its targets are not used and may be None; no weights of examples.
      loss: `loss(output, inputs) -> [B]`, e.g. `squared_error` or `pixel_cross_entropy`.
      corruption: `corruption(key, inputs) -> inputs`, in training only, e.g. `masking_noise(0.3)`.
      sparsity: `sparsity(code) -> []`, added to the loss and reported, e.g. `l1_activity(0.01)`.

    Raises:
      DataError: integer inputs, an output of another size, inputs of any split that a loss of `dl.losses` refuses, e.g.
        pixels outside [0, 1] by a cross-entropy.
    Reference: Vincent et al., Stacked denoising autoencoders, JMLR 2010.

    Example:
      >>> task = dl.tasks.reconstruction(dl.models.mlp([4, 2, 4]), dl.data.iris())
    """
    _check_output("reconstruction", model, data, loss)
    if sparsity is not None:
        _check_parts(model)

    def forward(params, state, batch, *, key=None, train=False):
        x = batch.inputs
        if corruption is not None and train:
            if key is None:
                raise ArgumentError(NEEDS_KEY)
            noise_key, key = jax.random.split(key)
            x = corruption(noise_key, x)
        if sparsity is None:
            output, state = model.apply(params, state, x, key=key, train=train)
            return (output, None), state
        code, state = model.parts["encode"].apply(params, state, x, key=key, train=train)
        output, state = model.parts["decode"].apply(params, state, code, key=key, train=train)
        return (output, code), state

    def report(params, outputs, batch):
        output, code = outputs
        error = jnp.mean(loss(output, batch.inputs.reshape(output.shape)))
        extra = {} if sparsity is None else {"sparsity": sparsity(code)}
        return sum(extra.values(), error), {"reconstruction": error, **extra}

    return Task(model, data, forward, report)


@arguments(model=MODEL, data=DATASET, loss=function, beta=WEIGHT)
def variational(
    model: Model, data: Dataset, *, loss: Loss = losses.squared_error, beta: float | jax.Array = 1.0
) -> Task:
    """Minus the evidence lower bound of a variational autoencoder; reports its terms `reconstruction` and `divergence`.

    `loss`, summed over the numbers of an example, is minus the log likelihood up to a constant: of normal densities of
    variance 1/2 for `squared_error`, of independent bits for `pixel_cross_entropy`. Evaluation decodes the mean.

    Args:
      model: with parts "encode", to (mean, log variance), and "decode"; see `dl.models.autoencoder`.
      loss: `loss(output, inputs) -> [B]`, a mean over the numbers of an example.
      beta: weight of the divergence from the standard normal distribution; may be traced.

    Raises:
      ArgumentError: a negative beta, a model that is not variational. DataError: as `reconstruction`.
    Reference: Kingma and Welling, ICLR 2014; Higgins et al., beta-VAE, ICLR 2017.

    Example:
      >>> task = dl.tasks.variational(dl.models.autoencoder([4, 2], variational=True), dl.data.iris())
    """
    _check_output("variational", model, data, loss)
    _check_parts(model)
    code = output_shape(model.parts["encode"], data)
    if not isinstance(code, tuple) or len(code) != 2:
        raise ArgumentError(
            f"the model's code is {code}; variational expects (mean, log variance). Build it with variational=True."
        )

    def forward(params, state, batch, *, key=None, train=False):
        if train and key is None:
            raise ArgumentError(NEEDS_KEY)
        (mean, log_variance), state = model.parts["encode"].apply(params, state, batch.inputs, key=key, train=train)
        code = reparameterize(key, mean, log_variance) if train and key is not None else mean
        output, state = model.parts["decode"].apply(params, state, code, key=key, train=train)
        return (output, mean, log_variance), state

    def report(params, outputs, batch):
        output, mean, log_variance = outputs
        error = output[0].size * jnp.mean(loss(output, batch.inputs.reshape(output.shape)))
        # Of small log variances the difference is but half their squares: 1 would round them away.
        each = mean**2 + (jnp.expm1(log_variance) - log_variance)
        divergence = 0.5 * jnp.mean(each.reshape(len(each), -1).sum(axis=1))
        return error + beta * divergence, {"reconstruction": error, "divergence": divergence}

    return Task(model, data, forward, report)


@arguments(logits=OUTPUTS, images=OUTPUTS)
def pixel_cross_entropy(logits: jax.Array, images: jax.Array) -> jax.Array:
    """Binary cross-entropy of values in [0, 1], mean over those of an image: [B, ...], [B, ...] -> [B], in nats.

    Raises:
      DataError: no example; images of another shape; where they are known, images outside [0, 1].

    Example:
      >>> dl.tasks.pixel_cross_entropy(jnp.zeros((1, 4)), jnp.ones((1, 4)))
      Array([0.6931472], dtype=float32)
    """
    check_shares("pixel_cross_entropy", logits, images)
    values = binary_surprisal(logits, images)
    return values.reshape(values.shape[0], -1).mean(axis=1)


@arguments(share=number(0, 1, open_high=True))
def masking_noise(share: float | jax.Array) -> Corruption:
    """Sets that share of the numbers, in [0, 1), to 0; may be traced.

    Raises:
      DataError: from the function, inputs that are no numbers.

    Example:
      >>> dl.tasks.masking_noise(0.0)(jax.random.key(0), jnp.ones(2))
      Array([1., 1.], dtype=float32)
    """

    def corrupt(key, x):
        x = jnp.asarray(NUMBERS.check("masking_noise: x", x))
        return jnp.where(jax.random.bernoulli(key, 1 - share, x.shape), x, jnp.zeros_like(x))

    return corrupt


@arguments(deviation=WEIGHT)
def gaussian_noise(deviation: float | jax.Array) -> Corruption:
    """Adds normal noise of that standard deviation, in the inputs' units; may be traced.

    Raises:
      DataError: from the function, inputs that are no floats.

    Example:
      >>> dl.tasks.gaussian_noise(0.0)(jax.random.key(0), jnp.ones(2))
      Array([1., 1.], dtype=float32)
    """

    def corrupt(key, x):
        x = jnp.asarray(FLOATS.check("gaussian_noise: x", x))
        return x + deviation * jax.random.normal(key, x.shape, x.dtype)

    return corrupt


@arguments(strength=WEIGHT)
def l1_activity(strength: float | jax.Array) -> Sparsity:
    """`strength` times the mean over examples of the code's absolute sum; may be traced.

    Raises:
      DataError: from the function, a code that holds no numbers.

    Example:
      >>> dl.tasks.l1_activity(0.5)(jnp.array([[1.0, -1.0]]))
      Array(1., dtype=float32)
    """

    def penalty(code):
        code = OUTPUTS.check("l1_activity: code", code)
        return strength * jnp.mean(jnp.abs(code).reshape(len(code), -1).sum(axis=1))

    return penalty


@arguments(target=number(0, 1, open_low=True, open_high=True), strength=WEIGHT)
def target_activity(target: float | jax.Array, strength: float | jax.Array) -> Sparsity:
    """`strength` times sum_j KL(target || mean activity of unit j over the batch); for codes in (0, 1), e.g. sigmoid.

    A mean activity outside [0, 1] makes it NaN: such a code has no divergence.

    Raises:
      DataError: from the function, a code that holds no numbers.
    Reference: Ng, Sparse autoencoder, CS294A lecture notes 2011.

    Example:
      >>> dl.tasks.target_activity(0.5, 1.0)(jnp.array([[0.5, 0.5]]))
      Array(0., dtype=float32)
    """

    def penalty(code):
        mean = jnp.mean(OUTPUTS.check("target_activity: code", code), axis=0)
        activity = jnp.where((mean >= 0) & (mean <= 1), jnp.clip(mean, 1e-6, 1 - 1e-6), jnp.nan)
        divergence = target * jnp.log(target / activity) + (1 - target) * jnp.log((1 - target) / (1 - activity))
        return strength * jnp.sum(divergence)

    return penalty


def output_shape(model: Model, data: Dataset):
    """Shapes of the model's output for two rows of the data, any pytree; nothing is computed."""
    return jax.eval_shape(lambda x: model.apply(*model.init(jax.random.key(0)), x)[0], two_rows(data))


def _check_output(name: str, model: Model, data: Dataset, loss: Loss) -> None:
    inputs = one_array(data, "inputs", name)
    refuse_weights(data, name)
    if not is_float(inputs.dtype):
        raise DataError(
            f"inputs are {inputs.dtype}; {name} expects floats. Use dl.data.prepared or x.astype('float32') / 255."
        )
    output = output_of(model, data)
    if output.size // 2 != math.prod(inputs.shape[1:]):
        raise DataError(
            f"the model's output is {shown(list(output.shape[1:]))} a row, the inputs are {list(inputs.shape[1:])}; "
            f"{name} expects as many numbers."
        )
    given = {split: getattr(data, split).inputs for split in data.splits}
    targets = {split: x.reshape(len(x), *output.shape[1:]) for split, x in given.items() if not isinstance(x, Fetched)}
    check_targets(name, loss, targets, output)


def _check_parts(model: Model) -> None:
    if not {"encode", "decode"} <= set(model.parts):
        raise ArgumentError(
            f"the model has the parts {sorted(model.parts)}; expects encode and decode, as dl.models.autoencoder has."
        )
