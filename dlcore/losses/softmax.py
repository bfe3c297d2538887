"""Softmax and sigmoid in logarithms, right relative to their own size wherever the logits lie."""

from typing import Any

import jax
import jax.numpy as jnp

FEW_CLASSES = 32


def surprisal_of(logits: jax.Array, labels: Any) -> jax.Array:
    """Minus the log softmax of the label, in nats, 0 or more: [..., num_classes], integers [...] -> [...].

    Infinite for a logit of -inf, a class ruled out; NaN where a logit is NaN, and for a label of no class.
    """
    shifted, log_total = shifted_by_largest(logits)
    return known(log_total - of_label(shifted, labels), labels, logits.shape[-1])


def mean_surprisal(shares: Any, logits: jax.Array, more: Any = 0) -> jax.Array:
    """Sum over the classes of shares * (minus the log softmax + more): [..., num_classes] each -> [...].

    Next to a logit of inf all other classes are infinitely unlikely; its own surprisal, inf - inf, is NaN, which counts
    where nothing but this class has a share.
    """
    shifted, log_total = shifted_by_largest(logits)
    total = times(shares, log_total[..., None] - shifted + more).sum(axis=-1)
    # Next to a logit of inf: infinite if others have a share, finite if only this class has one, 0 if none has.
    marks = jnp.where(jnp.isposinf(logits), 1, jnp.inf)
    limit = times(jax.lax.stop_gradient(shares), marks).sum(axis=-1)
    limit = jnp.where(jnp.isfinite(limit) & (limit != 0), jnp.nan, limit)
    return jnp.where(jnp.isposinf(log_total), limit, total)


def shifted_by_largest(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits minus the largest, at most 0, and the log of their exponentials' sum, 0 or more; neither cancels.

    `logsumexp(logits) - logit` would lose what is small next to the logits, and a loss near 0 next to 1.
    """
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    is_finite = jnp.isfinite(largest)
    is_largest = _first_largest(jax.lax.stop_gradient(logits), largest) & is_finite
    shifted = _zero_at(logits - jnp.where(is_finite, largest, 0), is_largest)
    return shifted, jnp.log1p(_sum_of_others(jnp.exp(shifted), is_largest))


def _first_largest(logits: jax.Array, largest: jax.Array) -> jax.Array:
    """Where the largest is, in one place of [..., num_classes].

    XLA may compute logits that are products again at each use, rounded otherwise, so that none of them need equal their
    maximum: of many classes it is then the first that is close. Minima of places take a quarter of an argmax' time on
    a CPU, but of few classes longer.
    """
    places = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    if logits.shape[-1] <= FEW_CLASSES:
        return places == jnp.argmax(logits, axis=-1, keepdims=True)
    close = largest - 4 * jnp.finfo(logits.dtype).eps * jnp.abs(largest)
    equal, near = (
        jnp.min(jnp.where(logits >= bound, places, logits.shape[-1]), axis=-1, keepdims=True)
        for bound in (largest, close)
    )
    return places == jnp.where(equal < logits.shape[-1], equal, near)


@jax.custom_jvp
def _zero_at(shifted: jax.Array, is_largest: jax.Array) -> jax.Array:
    """0 where it is but for rounding; differentiated as if it were computed."""
    return jnp.where(is_largest, 0, shifted)


@_zero_at.defjvp
def _(primals, tangents):
    return _zero_at(*primals), tangents[0]


@jax.custom_jvp
def _sum_of_others(powers: jax.Array, is_largest: jax.Array) -> jax.Array:
    """Their sum less the largest, which is 1, without cancellation: [..., num_classes] -> [...].

    Differentiated as the sum of all. Were the largest left out by plain operations, derivatives would have to put it
    back, at two more passes over the classes.
    """
    return jnp.sum(jnp.where(is_largest, 0, powers), axis=-1)


@_sum_of_others.defjvp
def _(primals, tangents):
    return _sum_of_others(*primals), jnp.sum(tangents[0], axis=-1)


def is_label(labels: Any, num_classes: int) -> jax.Array:
    """Where the label is: integers [...] -> bool [..., num_classes]."""
    labels = _wide(labels)[..., None]
    return labels == jnp.arange(num_classes).reshape((1,) * (labels.ndim - 1) + (num_classes,))


def of_label(values: jax.Array, labels: Any) -> jax.Array:
    """The value at the label, 0 for a label of no class: [..., num_classes], [...] -> [...].

    By comparing: a gather's gradient is a scatter, which takes a quarter of the time of the loss of ten classes.
    """
    return jnp.sum(jnp.where(is_label(labels, values.shape[-1]), values, 0), axis=-1)


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
    of_zero, of_one = softplus_both_ways(logits)
    return times(shares, of_one) + times(1 - shares, of_zero)


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """log(1 + exp(x)), whose derivative does not wait for the logarithm: steps of one example are a fifth faster."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _(primals, tangents):
    return softplus(*primals), _sigmoid(*primals) * tangents[0]


@jax.custom_jvp
def _sigmoid(x: jax.Array) -> jax.Array:
    """Right relative to its size; its derivative, sigmoid(x) sigmoid(-x), does not cancel."""
    power = jnp.exp(-jnp.abs(x))
    return jnp.where(x < 0, power, 1) / (1 + power)


@_sigmoid.defjvp
def _(primals, tangents):
    return _sigmoid(*primals), _sigmoid(*primals) * _sigmoid(-primals[0]) * tangents[0]


@jax.custom_jvp
def softplus_both_ways(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """softplus(x) and softplus(-x), minus the logarithms of sigmoid(-x) and sigmoid(x), by one exponential.

    The derivatives, sigmoid(x) and -sigmoid(-x), are made of both, so that none of any order cancels.
    """
    rest = jnp.log1p(jnp.exp(-jnp.abs(x)))
    return jnp.maximum(x, 0) + rest, jnp.maximum(-x, 0) + rest


@softplus_both_ways.defjvp
def _(primals, tangents):
    plus, minus = softplus_both_ways(*primals)
    (change,) = tangents
    return (plus, minus), (jnp.exp(-minus) * change, -jnp.exp(-plus) * change)
