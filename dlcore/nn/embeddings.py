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
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x**2, axis=-1, keepdims=True), 1e-12))


def angles(features: jax.Array, class_weights: jax.Array) -> Angles:
    """Cosines of features [B, D] with class weights [C, D], and the features' norms."""
    norms = jnp.sqrt(jnp.maximum(jnp.sum(features**2, axis=-1), 1e-12))
    return Angles(unit_vectors(features) @ unit_vectors(class_weights).T, norms)
