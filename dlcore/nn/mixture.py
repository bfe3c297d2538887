"""Mixtures of bivariate Gaussians as the output of a network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

FLOOR = 1e-30  # of the deviations where no other is set: log 0 would make NaN of a gradient


class Mixture(NamedTuple):
    """Densities of the next point, one at each step; leading axes [...] are [B, T], or [B] for one step.

    logits: [..., M] of the components. means: [..., M, 2]. log_deviations: [..., M, 2], logarithms of the standard
    deviations. correlations: [..., M], before the tanh. pen: [...], the logit that the pen is up; None without a pen.
    """

    logits: jax.Array
    means: jax.Array
    log_deviations: jax.Array
    correlations: jax.Array
    pen: jax.Array | None


class MixtureLayer(nnx.Module):
    """Affine map from features [..., num_features] to the parameters of a mixture.

    Args:
      num_mixtures: components M. pen: whether there is a pen.
      min_deviation: added to the standard deviations, so that a component cannot shrink to a point.
    Reference: Graves, Generating sequences with recurrent neural networks, 2013, eqs. 15 to 22.
    """

    def __init__(self, num_features: int, num_mixtures: int, *, pen: bool, min_deviation: float, rngs: nnx.Rngs):
        self.num_mixtures, self.pen, self.min_deviation = num_mixtures, pen, min_deviation
        self.linear = nnx.Linear(num_features, 6 * num_mixtures + pen, rngs=rngs)

    def __call__(self, x: jax.Array) -> Mixture:
        """The mixtures [...]."""
        values, num = self.linear(x), self.num_mixtures
        logits, means, log_deviations, correlations, pen = jnp.split(values, [num, 3 * num, 5 * num, 6 * num], axis=-1)
        pairs = (*values.shape[:-1], num, 2)
        floor = jnp.log(jnp.asarray(max(self.min_deviation, FLOOR), values.dtype))
        return Mixture(
            logits,
            means.reshape(pairs),
            jnp.logaddexp(log_deviations, floor).reshape(pairs),
            correlations,
            pen[..., 0] if self.pen else None,
        )


def sharpened(mixture: Mixture, temperature: float | jax.Array) -> Mixture:
    """The mixture at a temperature: below 1 nearer to its most probable points, 1 as it is.

    Logits are divided by it, variances multiplied.
    Reference: Ha and Eck, A neural representation of sketch drawings, ICLR 2018, eq. 8.
    """
    dtype = mixture.logits.dtype
    temperature = jnp.maximum(jnp.asarray(temperature, dtype), jnp.finfo(dtype).tiny)
    return mixture._replace(
        # From the largest down: divided by a small temperature, several would be inf.
        logits=(mixture.logits - mixture.logits.max(axis=-1, keepdims=True)) / temperature,
        log_deviations=mixture.log_deviations + 0.5 * jnp.log(temperature),
        pen=None if mixture.pen is None else mixture.pen / temperature,
    )


def draw(key: jax.Array, mixture: Mixture) -> jax.Array:
    """A point of each mixture: [..., 2], or [..., 3] with a pen, 1 where it is up; the key is consumed."""
    component_key, noise_key, pen_key = jax.random.split(key, 3)
    component = jax.random.categorical(component_key, mixture.logits)[..., None]
    mean, log_deviation = (
        jnp.take_along_axis(values, component[..., None], axis=-2)[..., 0, :]
        for values in (mixture.means, mixture.log_deviations)
    )
    correlation = jnp.take_along_axis(mixture.correlations, component, axis=-1)[..., 0]
    first, second = jnp.moveaxis(jax.random.normal(noise_key, mean.shape, mean.dtype), -1, 0)
    # sqrt(1 - tanh^2) = 1 / cosh
    noise = jnp.stack([first, jnp.tanh(correlation) * first + second / jnp.cosh(correlation)], axis=-1)
    point = mean + jnp.exp(log_deviation) * noise
    if mixture.pen is None:
        return point
    up = jax.random.bernoulli(pen_key, jax.nn.sigmoid(mixture.pen)).astype(point.dtype)
    return jnp.concatenate([point, up[..., None]], axis=-1)
