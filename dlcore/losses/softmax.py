"""Softmax and sigmoid in logarithms, right relative to their own size wherever the logits lie."""

from typing import Any

import jax
import jax.numpy as jnp


def surprisals(logits: jax.Array) -> jax.Array:
    """Minus the log softmax, in nats, each 0 or more: [..., num_classes] -> [..., num_classes].

    Infinite for a logit of -inf, a class ruled out; NaN where a logit is NaN.
    """
    shifted, log_total = shifted_by_largest(logits)
    return log_total[..., None] - shifted


def surprisal_of(logits: jax.Array, labels: Any) -> jax.Array:
    """That of the label: [..., num_classes], integers [...] -> [...]; NaN for a label of no class."""
    shifted, log_total = shifted_by_largest(logits)
    return known(log_total - of_label(shifted, labels), labels, logits.shape[-1])


def mean_surprisal(shares: Any, logits: jax.Array, more: Any = 0) -> jax.Array:
    """Sum of shares * (surprisals + more) over the classes: [..., num_classes] each -> [...].

    Next to a logit of inf all other classes are infinitely unlikely; its own surprisal, inf - inf, is NaN, which counts
    where nothing but this class has a share.
    """
    products, sure = times(shares, surprisals(logits) + more), jnp.isposinf(logits)
    others = jnp.where(sure, 0, products).sum(axis=-1)
    own = jnp.where(sure & (shares != 0), products, 0).sum(axis=-1)
    return jnp.where(jnp.isposinf(others), others, others + own)


def shifted_by_largest(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits minus the largest, at most 0, and the log of their exponentials' sum, 0 or more; neither cancels.

    `logsumexp(logits) - logit` would lose what is small next to the logits, and a loss near 0 next to 1.
    """
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    shifted = logits - jnp.where(jnp.isfinite(largest), largest, 0)
    top = shifted == 0
    powers = jnp.exp(shifted)
    # The largest counts 1, which log1p adds: here it is 0, with the derivatives of exp.
    rest = jnp.sum(jnp.where(top, powers - jax.lax.stop_gradient(powers), powers), axis=-1)
    return shifted, jnp.log1p(rest + jnp.maximum(jnp.sum(top, axis=-1) - 1, 0))


def is_label(labels: Any, num_classes: int) -> jax.Array:
    """Where the label is: integers [...] -> bool [..., num_classes]."""
    labels = _wide(labels)[..., None]
    return labels == jnp.arange(num_classes).reshape((1,) * (labels.ndim - 1) + (num_classes,))


def of_label(values: jax.Array, labels: Any) -> jax.Array:
    """The value at the label, or at the class nearest to it: [..., num_classes], [...] -> [...]."""
    there = jnp.clip(_wide(labels), 0, values.shape[-1] - 1)[..., None]
    return jnp.take_along_axis(values, there, axis=-1)[..., 0]


def known(values: jax.Array, labels: Any, num_classes: int) -> jax.Array:
    """The values, NaN for a label of no class: a traced label cannot be refused, but must not pass for another."""
    return jnp.where(are_classes(_wide(labels), num_classes), values, jnp.nan)


def are_classes(labels: Any, num_classes: int) -> Any:
    """Whether integers of NumPy or JAX lie in [0, num_classes): as wide ones, see `_wide`."""
    labels = labels.astype(int)
    return (labels >= 0) & (labels < num_classes)


def _wide(labels: Any) -> jax.Array:
    """As JAX's default integers: next to labels of 8 bits the number of classes would wrap around."""
    return jnp.asarray(labels).astype(int)


def times(weight: Any, value: jax.Array) -> jax.Array:
    """Their product, where 0 times an infinite value is 0, in the gradient too: 0 log 0 = 0. NaN stays NaN."""
    void = (weight == 0) & jnp.isinf(value)
    return jnp.where(void, 0, weight * jnp.where(void, 0, value))


def over_exp(value: jax.Array, log: jax.Array) -> jax.Array:
    """Value / exp(log): right where exp(-log) alone overflows, and where the value is 0, in the gradient too."""
    halves = jnp.exp(-jnp.where((value == 0) & (log < -150), 0, log) / 2)
    return value * halves * halves


def binary_surprisal(logits: jax.Array, shares: jax.Array) -> jax.Array:
    """Cross-entropy of a share in [0, 1] of class 1 under sigmoid(logit), elementwise, in nats."""
    return times(shares, jax.nn.softplus(-logits)) + times(1 - shares, jax.nn.softplus(logits))
