"""Loss of mixture densities."""

import math

import jax
import jax.numpy as jnp

from dlcore.core.arguments import NONE, arguments, array
from dlcore.core.errors import DataError, described
from dlcore.losses.checks import check_flags, check_mask, real, record
from dlcore.losses.softmax import binary_surprisal, over_exp
from dlcore.nn.mixture import Mixture

MIXTURE = record(
    "of dl.models.mixture_density",
    logits="BTM",
    means="BTM2",
    log_deviations="BTM2",
    correlations="BTM",
    pen="BT?",
)


@arguments(
    mixture=MIXTURE,
    targets=real("points [B, T, 2], or [B, T, 3] with a pen", 3),
    mask=array("biu", ndim=2, text="Booleans [B, T]") | NONE,
)
def mixture_density(mixture: Mixture, targets: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Negative log-likelihood of the next points, the mean over the real steps of each row, in nats: [B].

    Args:
      mixture: of steps [B, T]. targets: [B, T, 2] or, with a pen, [B, T, 3], the third 1 where the pen is up, else 0.
      mask: bool [B, T]; a row without any step has loss and gradient 0. By default all are there.

    Raises:
      DataError: targets or a mask of another shape, a pen or a mask of other numbers than 0 and 1.
    Reference: Graves, Generating sequences with recurrent neural networks, 2013, eqs. 24 to 26.

    Example:
      >>> from dlcore.nn.mixture import Mixture
      >>> flat = Mixture(*map(jnp.zeros, [(1, 2, 1), (1, 2, 1, 2), (1, 2, 1, 2), (1, 2, 1)]), None)
      >>> dl.losses.mixture_density(flat, jnp.zeros((1, 2, 2)))
      Array([1.837877], dtype=float32)
    """
    steps = mixture.logits.shape[:2]
    if targets.shape != (*steps, 2 if mixture.pen is None else 3) or (mask is not None and mask.shape != steps):
        raise DataError(
            f"mixture_density: targets are {described(targets)}, the mask {described(mask)}; expects points "
            f"{[*steps, 2 if mixture.pen is None else 3]} and a mask {list(steps)}, as the mixture has steps and a pen."
        )
    if mask is not None:
        check_mask("mixture_density", mask)
        mask = jnp.asarray(mask, bool)
        # before the loss too: a NaN hidden only after it makes the gradient NaN
        mixture = jax.tree.map(lambda leaf: jnp.where(_like(mask, leaf), leaf, 0), mixture)
        targets = jnp.where(mask[..., None], targets, 0)
    log_weights = jax.nn.log_softmax(mixture.logits)
    each = -jax.nn.logsumexp(log_weights + _log_density(mixture, targets[..., None, :2]), axis=-1)
    if mixture.pen is not None:
        check_flags("mixture_density: the pen", mixture.pen, targets[..., 2])
        each = each + binary_surprisal(mixture.pen, targets[..., 2])
    if mask is None:
        return each.mean(axis=1)
    return jnp.where(mask, each, 0).sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)


def _log_density(mixture: Mixture, points: jax.Array) -> jax.Array:
    """Of points [..., 1, 2] under each component: [..., M].

    With r = tanh(c), 1 - r^2 = 1 / cosh(c)^2, so the exponent a^2 - 2rab + b^2 over 1 - r^2 is
    ((a - rb) cosh c)^2 + b^2: a sum of squares, however near to 1 the correlation is.
    """
    c = jnp.clip(mixture.correlations, -10, 10)  # beyond, r is 1 in float32 and cosh soon overflows
    a, b = jnp.moveaxis(over_exp(points - mixture.means, mixture.log_deviations), -1, 0)
    log_cosh = jnp.logaddexp(c, -c) - math.log(2)
    exponent = ((a - jnp.tanh(c) * b) * jnp.cosh(c)) ** 2 + b**2
    return log_cosh - mixture.log_deviations.sum(axis=-1) - math.log(2 * math.pi) - exponent / 2


def _like(mask: jax.Array, leaf: jax.Array) -> jax.Array:
    """The mask with the axes of `leaf`."""
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim)), leaf.shape)
