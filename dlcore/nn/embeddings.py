"""What networks that embed compute with: unit vectors, angles to class weights, Gaussians."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Angles(NamedTuple):
    """cosines [B, C] of the angles between features and class weights, norms [B] of the features."""

    cosines: Any
    norms: Any


class Gaussian(NamedTuple):
    """A diagonal Gaussian for each row: mean [B, D], log_variance [B, D]."""

    mean: Any
    log_variance: Any


def unit_vectors(x: jax.Array) -> jax.Array:
    """Rows [..., D] divided by their Euclidean norm; a row of zeros stays one, with a finite derivative."""
    x = _scaled(x)[0]
    squares = jnp.sum(x**2, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))


def angles(features: jax.Array, class_weights: jax.Array) -> Angles:
    """Cosines of features [B, D] with class weights [C, D], and the features' norms."""
    scaled, scale = _scaled(features)
    squares = jnp.sum(scaled**2, axis=-1)
    there = squares > 0  # the derivative of the norm of zeros is 0
    norms = jnp.where(there, scale[..., 0] * jnp.sqrt(jnp.where(there, squares, 1)), 0)
    return Angles(unit_vectors(features) @ unit_vectors(class_weights).T, norms)


def _scaled(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows [..., D] divided by their largest number, and that number [..., 1], 1 for a row of zeros.

    Their squares neither overflow nor vanish. The scale counts as a constant: what is computed does not depend on it.
    """
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
    scale = jnp.where(scale > 0, scale, 1)
    return x / scale, scale
