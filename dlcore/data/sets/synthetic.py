"""Synthetic points and functions: pure functions of a key, made on the device, also inside a compiled run.

Each returns a `Split` of `num_examples` independent rows, at most 10 million of them and 2**28 values;
`from_split` cuts it into train, validation and test.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dlcore.core.arguments import NONE, arguments, array, integer, key, number
from dlcore.core.dataset import Dataset, Split
from dlcore.core.errors import ArgumentError, DataError
from dlcore.data.parameters import (
    DESCRIBED,
    DEVIATION,
    FRACTION,
    LABELS,
    NUM_EXAMPLES,
    PAIR,
    PROBABILITY,
    SIZE,
    check_fractions,
    check_size,
    held,
)

UNKNOWN_LABEL = -1
COEFFICIENTS = array(ndim=1, text="coefficients [K], from x^0 up")


@arguments(split=PAIR, validation=FRACTION, test=FRACTION, described=DESCRIBED)
def from_split(split: Split, *, validation: float = 0.0, test: float = 0.0, **described: Any) -> Dataset:
    """A `Dataset` of independent rows: the first are train, then validation, then test. Works on traced arrays.

    Args:
      validation, test: fraction of the rows.
      described: fields of `Dataset`.

    Raises:
      ArgumentError: fractions that leave nothing to train on. DataError: fractions that leave a split empty.

    Example:
      >>> data = dl.data.from_split(dl.data.moons(jax.random.key(0), 10), test=0.2, name="moons")
      >>> len(data.train.inputs), len(data.test.inputs)
      (8, 2)
    """
    check_fractions("from_split", validation, test)
    total = split.num_rows
    shares = {"validation": validation, "test": test}
    held = {name: round(share * total) for name, share in shares.items()}
    counts = {"train": total - sum(held.values()), **held}
    for name, share in {"train": 1.0, **shares}.items():
        if counts[name] < (share != 0):
            raise DataError(
                f"validation={validation} and test={test} leave {counts[name]} of {total} rows for {name}; "
                "expects fractions in [0, 1) that leave each split a row."
            )
    parts, begin = {}, 0
    for name, count in counts.items():
        if count:
            parts[name] = split.select(slice(begin, begin + count))
        begin += count
    fields: dict[str, Any] = {"name": "synthetic", "source": "made from a key"}
    return Dataset(**parts, **fields | described)


@arguments(key=key, num_examples=NUM_EXAMPLES, num_classes=SIZE, num_features=SIZE, spread=DEVIATION)
def blobs(
    key: jax.Array, num_examples: int, *, num_classes: int = 3, num_features: int = 2, spread: float = 1.0
) -> Split:
    """Gaussian clouds, one a class, around centers uniform in [-5, 5]^num_features.

    Args:
      key: consumed.
      num_examples: at most 10 million, and 2**28 values in all, as for all data made from a key.
      spread: standard deviation of each cloud.

    Returns:
      inputs float [N, num_features], targets int32 [N].

    Raises:
      ArgumentError: more than 2**28 values in all.

    Example:
      >>> inputs, targets = dl.data.blobs(jax.random.key(0), 6, num_classes=2, num_features=3)
      >>> inputs.shape, targets.shape
      ((6, 3), (6,))
    """
    check_size("blobs", max(num_examples, num_classes), num_features)
    center_key, label_key, noise_key = jax.random.split(key, 3)
    centers = jax.random.uniform(center_key, (num_classes, num_features), minval=-5, maxval=5)
    labels = jax.random.randint(label_key, (num_examples,), 0, num_classes)
    noise = spread * jax.random.normal(noise_key, (num_examples, num_features))
    return Split(centers[labels] + noise, labels)


@arguments(key=key, num_examples=NUM_EXAMPLES, noise=DEVIATION)
def moons(key: jax.Array, num_examples: int, *, noise: float = 0.1) -> Split:
    """Two interleaved half circles of radius 1; noise is the standard deviation of both coordinates.

    Returns:
      inputs float [N, 2], targets int32 [N] in {0, 1}.

    Example:
      >>> dl.data.moons(jax.random.key(0), 4, noise=0.0).inputs.shape
      (4, 2)
    """
    angle_key, label_key, noise_key = jax.random.split(key, 3)
    angles = jax.random.uniform(angle_key, (num_examples,), maxval=jnp.pi)
    labels = jax.random.randint(label_key, (num_examples,), 0, 2)
    upper = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    lower = jnp.stack([1 - jnp.cos(angles), 0.5 - jnp.sin(angles)], axis=1)
    points = jnp.where(labels[:, None] == 0, upper, lower)
    return Split(points + noise * jax.random.normal(noise_key, points.shape), labels)


@arguments(key=key, num_examples=NUM_EXAMPLES, num_classes=SIZE, turns=number(), noise=DEVIATION)
def spirals(
    key: jax.Array, num_examples: int, *, num_classes: int = 2, turns: float = 1.0, noise: float = 0.02
) -> Split:
    """Spirals that start at the center and end at radius 1, evenly turned against each other.

    Returns:
      inputs float [N, 2], targets int32 [N].

    Example:
      >>> points = dl.data.spirals(jax.random.key(0), 50, noise=0.0).inputs
      >>> bool(jnp.all(jnp.linalg.norm(points, axis=1) <= 1))
      True
    """
    radius_key, label_key, noise_key = jax.random.split(key, 3)
    radius = jnp.sqrt(jax.random.uniform(radius_key, (num_examples,)))
    labels = jax.random.randint(label_key, (num_examples,), 0, num_classes)
    angles = 2 * jnp.pi * (turns * radius + labels / num_classes)
    points = radius[:, None] * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    return Split(points + noise * jax.random.normal(noise_key, points.shape), labels)


@arguments(key=key, num_examples=NUM_EXAMPLES, noise=DEVIATION)
def xor(key: jax.Array, num_examples: int, *, noise: float = 0.2) -> Split:
    """Clouds at the corners (+-1, +-1); the class says whether the corner's signs differ.

    Returns:
      inputs float [N, 2], targets int32 [N] in {0, 1}.

    Example:
      >>> inputs, targets = dl.data.xor(jax.random.key(0), 50, noise=0.0)
      >>> bool(jnp.all((inputs.prod(axis=1) < 0) == targets))
      True
    """
    corner_key, noise_key = jax.random.split(key)
    split = parity(corner_key, num_examples, num_bits=2)
    return Split(split.inputs + noise * jax.random.normal(noise_key, split.inputs.shape), split.targets)


@arguments(key=key, num_examples=NUM_EXAMPLES, num_bits=SIZE, num_relevant=SIZE | NONE)
def parity(key: jax.Array, num_examples: int, *, num_bits: int, num_relevant: int | None = None) -> Split:
    """Bits as +-1; the class is the parity of the first `num_relevant` of them, by default of all.

    Returns:
      inputs float [N, num_bits], targets int32 [N]: 1 where the number of +1 is odd.

    Raises:
      ArgumentError: `num_relevant` is larger than `num_bits`; more than 2**28 values in all.

    Example:
      >>> inputs, targets = dl.data.parity(jax.random.key(0), 20, num_bits=5)
      >>> bool(jnp.all((inputs > 0).sum(axis=1) % 2 == targets))
      True
    """
    check_size("parity", num_examples, num_bits)
    relevant = num_bits if num_relevant is None else num_relevant
    if relevant > num_bits:
        raise ArgumentError(f"num_relevant is {relevant}; expects 1 to num_bits={num_bits}.")
    bits = jax.random.bernoulli(key, shape=(num_examples, num_bits)).astype(jnp.int32)
    return Split(2.0 * bits - 1, bits[:, :relevant].sum(axis=1) % 2)


@arguments(key=key, num_examples=NUM_EXAMPLES, frequency=number(), noise=DEVIATION)
def sine(key: jax.Array, num_examples: int, *, frequency: float = 1.0, noise: float = 0.1) -> Split:
    """Sine: y = sin(frequency * x) + noise * N(0, 1), x uniform in [-pi, pi].

    Returns:
      inputs float [N, 1], targets float [N].

    Example:
      >>> x, y = dl.data.sine(jax.random.key(0), 5, frequency=2.0, noise=0.0)
      >>> bool(jnp.allclose(y, jnp.sin(2 * x[:, 0])))
      True
    """
    x_key, noise_key = jax.random.split(key)
    x = jax.random.uniform(x_key, (num_examples,), minval=-jnp.pi, maxval=jnp.pi)
    return Split(x[:, None], jnp.sin(frequency * x) + noise * jax.random.normal(noise_key, x.shape))


@arguments(key=key, num_examples=NUM_EXAMPLES, coefficients=COEFFICIENTS, noise=DEVIATION)
def polynomial(
    key: jax.Array, num_examples: int, *, coefficients: Sequence[float] = (0.0, -1.0, 0.0, 1.0), noise: float = 0.1
) -> Split:
    """Polynomial: y = sum_k coefficients[k] * x^k + noise * N(0, 1), x uniform in [-1.5, 1.5].

    Returns:
      inputs float [N, 1], targets float [N].

    Raises:
      ArgumentError: no coefficients.

    Example:
      >>> x, y = dl.data.polynomial(jax.random.key(0), 5, coefficients=[1.0, 2.0], noise=0.0)
      >>> bool(jnp.allclose(y, 1 + 2 * x[:, 0]))
      True
    """
    x_key, noise_key = jax.random.split(key)
    x = jax.random.uniform(x_key, (num_examples,), minval=-1.5, maxval=1.5)
    if not len(coefficients):
        raise ArgumentError("polynomial: there are no coefficients; expects at least one.")
    y = jnp.polyval(jnp.asarray(coefficients)[::-1], x)
    return Split(x[:, None], y + noise * jax.random.normal(noise_key, x.shape))


@arguments(key=key, num_examples=NUM_EXAMPLES, num_features=SIZE, num_relevant=integer(0), noise=DEVIATION)
def sparse_linear(
    key: jax.Array, num_examples: int, *, num_features: int, num_relevant: int, noise: float = 0.1
) -> Split:
    """Linear: y = x . w + noise * N(0, 1), where only the first `num_relevant` weights are not 0; they are N(0, 1).

    Returns:
      inputs float [N, num_features], N(0, 1); targets float [N].

    Raises:
      ArgumentError: `num_relevant` is larger than `num_features`; more than 2**28 values in all.

    Example:
      >>> dl.data.sparse_linear(jax.random.key(0), 5, num_features=100, num_relevant=3).inputs.shape
      (5, 100)
    """
    check_size("sparse_linear", num_examples, num_features)
    if num_relevant > num_features:
        raise ArgumentError(f"num_relevant is {num_relevant}; expects 0 to num_features={num_features}.")
    x_key, weight_key, noise_key = jax.random.split(key, 3)
    x = jax.random.normal(x_key, (num_examples, num_features))
    weights = jax.random.normal(weight_key, (num_features,)) * (jnp.arange(num_features) < num_relevant)
    y = jnp.sum(x * weights[None], axis=1)
    return Split(x, y + noise * jax.random.normal(noise_key, y.shape))


@arguments(key=key, labels=held(LABELS), num_classes=integer(2, 1_000_000), rate=PROBABILITY)
def noisy_labels(key: jax.Array, labels: jax.Array, *, num_classes: int, rate: float | jax.Array) -> jax.Array:
    """Labels [N] of which each is, with probability `rate`, replaced by one of the other classes, evenly.

    Raises:
      DataError: where they are known, labels outside [0, num_classes).

    Example:
      >>> dl.data.noisy_labels(jax.random.key(0), jnp.zeros(4, int), num_classes=2, rate=1.0)
      Array([1, 1, 1, 1], dtype=int32)
    """
    if not isinstance(labels, Tracer):
        values = np.asarray(labels)
        wrong = values[(values < 0) | (values >= num_classes)]
        if wrong.size:
            raise DataError(
                f"noisy_labels: labels hold {wrong[0]}; expects integers in [0, {num_classes}). Relabel them."
            )
    flip_key, shift_key = jax.random.split(key)
    wrong = jax.random.bernoulli(flip_key, rate, labels.shape)
    shift = jax.random.randint(shift_key, labels.shape, 1, num_classes)
    return jnp.where(wrong, (labels + shift) % num_classes, labels)


@arguments(key=key, labels=held(array("i", text="signed integer labels")), known=PROBABILITY)
def sparse_labels(key: jax.Array, labels: jax.Array, *, known: float | jax.Array) -> jax.Array:
    """Labels [N] of which each stays with probability `known` and else becomes `UNKNOWN_LABEL`, -1.

    A loss has to mask those.

    Example:
      >>> dl.data.sparse_labels(jax.random.key(0), jnp.arange(3), known=0.0)
      Array([-1, -1, -1], dtype=int32)
    """
    return jnp.where(jax.random.bernoulli(key, known, labels.shape), labels, UNKNOWN_LABEL)
