"""`prepared`: what is done to a batch inside the step before the model sees it: cast, scale, augment, encode."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import arguments, array, function, instance, sequence
from dlcore.core.dataset import Dataset, one_array
from dlcore.core.errors import ArgumentError, DataError, described
from dlcore.core.model import Model
from dlcore.data.parameters import DATASET, IMAGES, SIZE, check_in_memory
from dlcore.data.prepare.augment import Augmentation
from dlcore.data.prepare.statistics import statistics
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

    Raises:
      ArgumentError: from the model, training without a key where a step is random.

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

    Raises:
      DataError: inputs, or images given to the step, of other dimensions or channels.

    Example:
      >>> data = dl.data.from_arrays(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), [0, 1])
      >>> dl.data.standardizer(data)(jnp.array([[[3.5]]]))  # the mean
      Array([[[0.]]], dtype=float32)
    """
    check_in_memory("standardizer", dataset)
    inputs = one_array(dataset, "inputs", "standardizer")
    if inputs.ndim not in (3, 4):
        raise DataError(
            f"standardizer: inputs are {described(inputs)}; expects images [N, height, width] or [N, height, width, "
            "channels]. For tables use dl.data.standardize, for flattened images dl.data.normalize with "
            'dl.data.z_score(per="global").'
        )
    found = statistics(inputs, (0, 1, 2))
    scale, rest = (jnp.asarray(each, float) for each in (found.deviation, found.rest))

    def standardized(images: jax.Array) -> jax.Array:
        images = IMAGES.check("standardizer: images", images)
        if images.ndim != inputs.ndim or images.shape[3:] != inputs.shape[3:]:
            raise DataError(
                f"standardizer: images are {described(images)}, those it was made of {described(inputs)}; expects "
                "as many dimensions and channels."
            )
        return (_minus(images, found.center, scale.dtype) - rest) / scale

    return standardized


def _minus(images: jax.Array, center: np.ndarray, dtype: Any) -> jax.Array:
    """Images minus the center, in floats: integers of 32 bits, which those do not hold, as halves of 16."""
    if images.dtype.kind not in "iu" or images.dtype.itemsize < 4:
        return images.astype(dtype) - jnp.asarray(center, dtype)
    whole = np.rint(np.clip(center, -(2.0**32), 2.0**32)).astype(np.int64)
    high, low = (images >> 16).astype(dtype), (images & 0xFFFF).astype(dtype)
    difference = (high - jnp.asarray(whole >> 16, dtype)) * 2**16 + (low - jnp.asarray(whole & 0xFFFF, dtype))
    return difference - jnp.asarray(center - whole, dtype)


@arguments(num_tokens=SIZE)
def one_hot(num_tokens: int) -> Step:
    """The step from ids [B, length] to [B, length, num_tokens]; an id out of range is refused, NaN where it is traced.

    Raises:
      DataError: from the step, ids that are no integers; where they are known, ids outside [0, num_tokens).

    Example:
      >>> dl.data.one_hot(3)(jnp.array([[0, 2]]))
      Array([[[1., 0., 0.],
              [0., 0., 1.]]], dtype=float32)
    """

    def encoded(ids: jax.Array) -> jax.Array:
        numbers, known = _checked_ids("one_hot", ids, num_tokens)
        return jnp.where(known[..., None], jax.nn.one_hot(numbers, num_tokens), jnp.nan)

    return encoded


@arguments(num_tokens=SIZE)
def bag_of_words(num_tokens: int) -> Step:
    """The step from ids [B, length] to the share of each token in the row, [B, num_tokens]; padding does not count.

    An id out of range is refused; where ids are traced it makes its row NaN.

    Raises:
      DataError: from the step, ids that are no integers [B, length]; where they are known, ids outside [0, num_tokens).

    Example:
      >>> dl.data.bag_of_words(3)(jnp.array([[1, 2, 2, 2, 0]]))
      Array([[0.  , 0.25, 0.75]], dtype=float32)
    """

    def shares(ids: jax.Array) -> jax.Array:
        numbers, known = _checked_ids("bag_of_words", ids, num_tokens, ndim=2)
        real = mask(numbers).astype(float)
        rows = jnp.arange(len(numbers))[:, None]
        counts = jnp.zeros((len(numbers), num_tokens)).at[rows, jnp.where(known, numbers, 0)].add(real)
        counts = jnp.where(known.all(axis=1, keepdims=True), counts, jnp.nan)
        return counts / jnp.maximum(real.sum(axis=1, keepdims=True), 1)

    return shares


def _checked_ids(name: str, ids: Any, num_tokens: int, ndim: int | None = None) -> tuple[jax.Array, jax.Array]:
    """The ids as JAX's integers, and where they are in [0, num_tokens): elsewhere they are refused, if known."""
    found = array("iu", ndim=ndim, text="integer ids [B, length]").check(f"{name}: ids", ids)
    if not isinstance(found, Tracer):
        wrong = (np.asarray(found) < 0) | (np.asarray(found) >= num_tokens)
        if wrong.any():
            index = [int(i) for i in np.argwhere(wrong)[0]]
            raise DataError(
                f"{name}: ids hold {np.asarray(found)[tuple(index)]} at {index}; expects them in [0, {num_tokens}). "
                "Pass the size of the vocabulary."
            )
    numbers = jnp.asarray(found).astype(int)  # next to ids of 8 bits a larger number of tokens would wrap around
    return numbers, (numbers >= 0) & (numbers < num_tokens)
