"""Recurrent networks whose output is a probability density."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dlcore.core.arguments import arguments, boolean, integer, number
from dlcore.core.errors import DataError, described
from dlcore.core.model import Model
from dlcore.nn.adapters import built_in
from dlcore.nn.inputs import as_numbers
from dlcore.nn.masked import Masked
from dlcore.nn.mixture import Mixture, MixtureLayer
from dlcore.nn.recurrent import CELL, NUM_LAYERS, NUM_UNITS, RecurrentStack


@arguments(
    num_mixtures=integer(1, 10_000),
    num_units=NUM_UNITS,
    num_layers=NUM_LAYERS,
    cell=CELL,
    pen=boolean,
    min_deviation=number(0),
)
def mixture_density(
    num_mixtures: int,
    *,
    num_units: int = 128,
    num_layers: int = 1,
    cell: str = "lstm",
    pen: bool = False,
    min_deviation: float = 0.0,
) -> Model:
    """Mixture-density recurrent network: offsets of a pen [B, T, 2] -> density of the next offset at each step.

    Args:
      num_mixtures: bivariate Gaussians in the density.
      num_units, num_layers, cell: of the recurrent layers, as in `recurrent`; Graves has cell="lstm_peephole".
      pen: whether offsets have a third number, 1 where the pen is up; the density then has a Bernoulli for it.
      min_deviation: least standard deviation, in the unit of the offsets. Where data are rounded, as coordinates are,
        a likelihood without one can grow without bound.

    Returns:
      A model of offsets [B, T, 2 or 3], or of `Masked(offsets, mask [B, T])`; its output is a
      `dlcore.nn.mixture.Mixture` of steps [B, T].

    Parts:
      start: anything [B, ...] -> (carry, offset [B, 2 or 3]): where a sequence begins, with an offset of 0.
      step: (carry, offset) -> (carry, the mixture [B] of the next).

    Raises:
      ArgumentError: an unknown cell, a size that is not a positive integer, a negative min_deviation.
      DataError: on apply, inputs of another shape or type.
    Reference: Graves, Generating sequences with recurrent neural networks, 2013, sec. 4; Bishop 1994.

    Example:
      >>> model = dl.models.mixture_density(5, num_units=2)
      >>> params, state = model.init(jax.random.key(0))
      >>> model.apply(params, state, jnp.zeros((1, 3, 2)))[0].means.shape
      (1, 3, 5, 2)
    """

    def build(rngs):
        return MixtureDensity(
            cell, num_mixtures, num_units, num_layers, rngs=rngs, pen=pen, min_deviation=min_deviation
        )

    return built_in(build, parts=("start", "step"))


class MixtureDensity(nnx.Module):
    """Recurrent layers, and a layer of a mixture on top; arguments as in `mixture_density`."""

    def __init__(
        self,
        cell: str,
        num_mixtures: int,
        num_units: int,
        num_layers: int,
        *,
        rngs: nnx.Rngs,
        pen: bool,
        min_deviation: float,
    ):
        self.width = 3 if pen else 2
        self.recurrent = RecurrentStack(cell, self.width, num_units, num_layers, rngs=rngs)
        self.output = MixtureLayer(num_units, num_mixtures, pen=pen, min_deviation=min_deviation, rngs=rngs)

    def __call__(self, x: Any) -> Mixture:
        """The mixture of the next offset at each step, [B, T]."""
        values, mask = _checked(x, self.width)
        outputs, _ = self.recurrent(values, mask)
        return self.output(outputs)

    def start(self, x: Any) -> tuple[Any, jax.Array]:
        """Anything [B, ...] to (carry, the offset 0)."""
        dtype = self.output.linear.kernel.dtype
        return self.recurrent.initial(x.shape[:1], dtype), jnp.zeros((x.shape[0], self.width), dtype)

    def step(self, inputs: Any) -> tuple[Any, Mixture]:
        """(carry, offset) to (carry, the mixture [B] of the next)."""
        carry, x = inputs
        carry, output = self.recurrent.step(carry, x)
        return carry, self.output(output)


def _checked(x: Any, width: int) -> tuple[jax.Array, jax.Array | None]:
    values, mask = x if isinstance(x, Masked) else (x, None)
    values = as_numbers("mixture_density", values)
    fits = values.ndim == 3 and jnp.issubdtype(values.dtype, jnp.floating)
    if not fits or values.shape[1] == 0 or values.shape[2] != width:
        raise DataError(
            f"mixture_density: inputs are {described(values)}; expects float offsets [B, T, {width}] of one step or "
            f"more, as made with pen={width == 3}."
        )
    return values, mask
