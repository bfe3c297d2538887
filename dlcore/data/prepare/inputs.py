"""`prepared`: what is done to a batch inside the step before the model sees it: cast, scale, augment, encode."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlcore.core.arguments import arguments, array, function, instance, sequence
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import ArgumentError
from dlcore.core.model import Model
from dlcore.data.parameters import DATASET, SIZE, check_in_memory
from dlcore.data.prepare.augment import Augmentation
from dlcore.data.prepare.vocabulary import mask

Step = Callable[[jax.Array], jax.Array]


class InTraining(NamedTuple):
    """A step that draws from a key and happens in training only."""

    function: Augmentation


STEPS = sequence(function | instance(InTraining), text="functions of the inputs, or dl.data.in_training(function)")


@arguments(function=function)
def in_training(function: Augmentation) -> InTraining:
    """Mark `function(key, inputs) -> inputs` as a random step of `prepared`.

    >>> step = dl.data.in_training(dl.data.flip)
    """
    return InTraining(function)


@arguments(model=instance(Model, example="dl.models.mlp([784, 128, 10])"), steps=STEPS)
def prepared(model: Model, *steps: Step | InTraining) -> Model:
    """A model whose inputs pass through `steps` first, in order, inside the compiled step.

    So integer images stay integers on the device, and each batch is augmented anew.

    Args:
      steps: functions [B, ...] -> [B, ...]; those wrapped by `in_training` get a key of their own each training step
        and are left out in evaluation.

    Example:
      >>> steps = [dl.data.in_training(dl.data.flip), dl.data.unit_range, dl.data.flatten]
      >>> model = dl.data.prepared(dl.models.mlp([64, 32, 10]), *steps)
      >>> params, state = model.init(jax.random.key(0))
      >>> model.apply(params, state, jnp.zeros((5, 8, 8), jnp.uint8))[0].shape
      (5, 10)
    """
    draws = any(isinstance(step, InTraining) for step in steps)

    def apply(params, state, x, *, key=None, train=False):
        if train and draws and key is None:
            raise ArgumentError("this model augments its inputs in training: pass key=jax.random.key(...).")
        for position, step in enumerate(steps):
            if not isinstance(step, InTraining):
                x = step(x)
            elif train and key is not None:
                x = step.function(jax.random.fold_in(key, position), x)
        if draws and key is not None:
            key = jax.random.fold_in(key, len(steps))
        return model.apply(params, state, x, key=key, train=train)

    return Model(model.init, apply)


@arguments(images=array("uf", text="unsigned integers, e.g. uint8, or floats"))
def unit_range(images: jax.Array) -> jax.Array:
    """Unsigned integers scaled to [0, 1] as floats: uint8 by 255. Floats stay as they are.

    >>> dl.data.unit_range(jnp.array([0, 255], jnp.uint8))
    Array([0., 1.], dtype=float32)
    """
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    return images.astype(float) / float(jnp.iinfo(images.dtype).max)


@arguments(inputs=array(ndim=range(1, 33), text="inputs [B, ...]"))
def flatten(inputs: jax.Array) -> jax.Array:
    """[B, ...] to [B, features].

    >>> dl.data.flatten(jnp.zeros((5, 8, 8))).shape
    (5, 64)
    """
    return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:]))


@arguments(dataset=DATASET)
def standardizer(dataset: Dataset) -> Step:
    """The step that scales images to mean 0, deviation 1 of each channel, on the train split.

    Args:
      dataset: inputs [N, height, width] (one channel) or [N, height, width, channels], integers or floats.

    Example:
      >>> data = dl.data.from_arrays(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), [0, 1])
      >>> dl.data.standardizer(data)(jnp.array([[[3.5]]]))  # the mean
      Array([[[0.]]], dtype=float32)
    """
    check_in_memory("standardizer", dataset)
    inputs = one_array(dataset, "inputs", "standardizer")
    axes = tuple(range(min(inputs.ndim, 3)))
    # Sums of squares of uint8 are exact in float64; a float copy of all images would need 8 times their memory.
    total, squares = np.zeros(inputs.shape[3:]), np.zeros(inputs.shape[3:])
    for chunk in np.array_split(inputs, max(1, len(inputs) // 1000)):
        values = chunk.astype(np.float64)
        total, squares = total + values.sum(axes), squares + (values**2).sum(axes)
    count = math.prod(inputs.shape[:3])
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    scale = jnp.asarray(np.where(deviation > 0, deviation, 1), float)
    center = jnp.asarray(mean, float)

    def standardized(images: jax.Array) -> jax.Array:
        shape = (1,) * (images.ndim - center.ndim) + center.shape
        return (images.astype(center.dtype) - center.reshape(shape)) / scale.reshape(shape)

    return standardized


@arguments(num_tokens=SIZE)
def one_hot(num_tokens: int) -> Step:
    """The step from ids [B, length] to [B, length, num_tokens].

    >>> dl.data.one_hot(3)(jnp.array([[0, 2]]))
    Array([[[1., 0., 0.],
            [0., 0., 1.]]], dtype=float32)
    """
    return lambda ids: jax.nn.one_hot(ids, num_tokens)


@arguments(num_tokens=SIZE)
def bag_of_words(num_tokens: int) -> Step:
    """The step from ids [B, length] to the share of each token in the row, [B, num_tokens]; padding does not count.

    >>> dl.data.bag_of_words(3)(jnp.array([[1, 2, 2, 2, 0]]))
    Array([[0.  , 0.25, 0.75]], dtype=float32)
    """

    def shares(ids: jax.Array) -> jax.Array:
        real = mask(ids).astype(float)
        rows = jnp.arange(len(ids))[:, None]
        counts = jnp.zeros((len(ids), num_tokens)).at[rows, ids].add(real)
        return counts / jnp.maximum(real.sum(axis=1, keepdims=True), 1)

    return shares
